// Containers that are no more than records: what a test wants to happen, happens.
#pragma once

#include "daemon/containers.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

namespace squish::daemon {

// Layers that are a list.
class FakeLayers : public Layers {
public:
    std::vector<Engine::LayerUse> stored;
    std::vector<LayerProgress> told; // before pull() answers
    std::optional<Error> refuse;
    Provider::ImportRequest last_import;
    ProvideOptions last_options;

    Task<std::vector<ProvidedLayer>> resolve(Squishfile file, ProvideOptions options, OnLayerProgress) override {
        last_options = options;
        std::vector<ProvidedLayer> out;
        for (const auto& layer : file.layers) {
            ProvidedLayer one;
            one.name = layer.name;
            one.origin = ProvidedLayer::Origin::version;
            one.version = "1.2.3";
            one.digest = std::string(64, 'a');
            out.push_back(std::move(one));
        }
        co_return out;
    }
    Task<ProvidedLayer> pull(std::string name, std::string, OnLayerProgress on_progress) override {
        boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(1));
        co_await pause.async_wait(kAwait);
        for (const auto& one : told)
            on_progress(one);
        if (!told.empty()) {
            pause.expires_after(std::chrono::milliseconds(20)); // so that it is sent
            co_await pause.async_wait(kAwait);
        }
        if (refuse)
            co_return std::unexpected(*refuse);
        ProvidedLayer layer;
        layer.name = std::move(name);
        layer.version = "1.2.3";
        co_return layer;
    }
    Task<Provider::Imported> import(Provider::ImportRequest request, OnLayerProgress) override {
        last_import = std::move(request);
        Provider::Imported imported;
        imported.layer.digest = std::string(64, 'b');
        co_return imported;
    }
    std::vector<Engine::LayerUse> list() override { return stored; }
    Task<Provider::Verified> verify(std::string reference, OnLayerProgress) override {
        Provider::Verified verified;
        verified.digest = std::move(reference);
        verified.findings.emplace_back("'bin/sh': changed");
        co_return verified;
    }
    Task<std::string> remove(std::string reference) override {
        if (refuse)
            co_return std::unexpected(*refuse);
        co_return reference;
    }
    Task<LayerInfo> attach(std::string id, std::string name, std::string, OnLayerProgress) override {
        LayerInfo info;
        info.name = std::move(name);
        info.target = "/sdk/" + info.name + " of " + id;
        co_return info;
    }
    Task<LayerInfo> detach(std::string, std::string name) override {
        LayerInfo info;
        info.name = std::move(name);
        co_return info;
    }
    Task<std::vector<StoredLayer>> prune() override { co_return std::vector<StoredLayer>(); }
};

// Networks that are a list.
class FakeNetworks : public Networks {
public:
    std::map<std::string, NetworkInfo> all;

    Task<NetworkInfo> create(std::string name) override {
        if (all.contains(name))
            co_return fail(ErrorKind::conflict, "there is a network '" + name + "' already");
        auto& network = all[name];
        network.name = name;
        network.subnet = "10.89.16.0/24";
        co_return network;
    }
    Task<void> remove(std::string name) override {
        if (all.erase(name) == 0)
            co_return fail(ErrorKind::not_found, "there is no network '" + name + "'");
        co_return Result<void>();
    }
    Task<std::vector<NetworkInfo>> list() override {
        std::vector<NetworkInfo> out;
        for (const auto& [name, network] : all)
            out.push_back(network);
        co_return out;
    }
    Task<NetworkInfo> inspect(std::string name) override {
        if (!all.contains(name))
            co_return fail(ErrorKind::not_found, "there is no network '" + name + "'");
        co_return all.at(name);
    }
};

class FakeContainers : public Containers {
public:
    FakeLayers fake_layers;
    FakeNetworks fake_networks;
    Networks& networks() override { return fake_networks; }
    Layers& layers() override { return fake_layers; }
    struct Fake {
        ContainerInfo info;
        std::vector<std::shared_ptr<boost::asio::steady_timer>> waiting;
        int questions = 0; // how often the engine was asked to wait
    };
    std::map<std::string, Fake> all;
    CreateRequest last_create;
    ExecRequest last_exec;
    std::optional<Error> refuse_create;
    std::vector<std::pair<std::string, int>> signals;
    bool was_shut_down = false;
    Result<std::optional<IsolationInfo>> isolated = std::optional<IsolationInfo>();

    ContainerInfo& add(const std::string& id, const std::string& name) {
        auto& info = all[id].info;
        info.id = id;
        info.name = name;
        info.state = ContainerState::running;
        info.pid = 4711;
        info.created_at = info.started_at = 1'700'000'000'123'456;
        return info;
    }
    void end(const std::string& id, ExitInfo exit) {
        auto& fake = all.at(id);
        fake.info.state = ContainerState::exited;
        fake.info.exit = std::move(exit);
        for (const auto& timer : std::exchange(fake.waiting, {}))
            timer->cancel();
    }

    Task<std::string> create(CreateRequest request) override {
        if (refuse_create)
            co_return std::unexpected(*refuse_create);
        const auto id = "id" + std::to_string(all.size());
        add(id, request.file.name.value_or("fake"));
        last_create = std::move(request);
        co_return id;
    }
    Result<std::string> find(std::string_view reference) const override {
        for (const auto& [id, fake] : all)
            if (id == reference || fake.info.name == reference)
                return id;
        return fail(ErrorKind::not_found, "no such container: '" + std::string(reference) + "'");
    }
    std::vector<ContainerInfo> list(bool with_exited) const override {
        std::vector<ContainerInfo> list;
        for (const auto& [id, fake] : all)
            if (with_exited || fake.info.state != ContainerState::exited)
                list.push_back(fake.info);
        return list;
    }
    Result<ContainerInfo> inspect(const std::string& id) const override { return all.at(id).info; }
    Result<std::optional<IsolationInfo>> isolation(const std::string&) const override { return isolated; }
    Task<ExitInfo> wait(std::string id) override {
        if (!all.contains(id))
            co_return fail(ErrorKind::not_found, "never heard of '" + id + "'");
        auto& fake = all.at(id);
        ++fake.questions;
        if (!fake.info.exit) {
            const auto timer = std::make_shared<boost::asio::steady_timer>(
                co_await boost::asio::this_coro::executor, std::chrono::steady_clock::time_point::max());
            fake.waiting.push_back(timer);
            co_await timer->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        }
        co_return *all.at(id).info.exit;
    }
    Task<void> stop(std::string id, std::chrono::milliseconds timeout) override {
        stop_timeout = timeout;
        end(id, {143, 15, "signaled"});
        co_return Result<void>();
    }
    Task<void> kill(std::string id, int signal_number) override {
        signals.emplace_back(id, signal_number);
        co_return Result<void>();
    }
    Task<void> remove(std::string id, bool force) override {
        if (all.at(id).info.state == ContainerState::running && !force)
            co_return fail(ErrorKind::conflict, "container '" + id + "' runs", "stop it first, or use force");
        all.erase(id);
        co_return Result<void>();
    }
    Task<ResourceSpec> update(std::string id, ResourceChange change) override {
        if (refuse_update)
            co_return std::unexpected(*refuse_update);
        auto& resources = all.at(id).info.resources;
        auto merged = merge(resources, change);
        if (merged)
            resources = *merged;
        co_return merged;
    }
    Task<void> pause(std::string id) override { return set_state(std::move(id), ContainerState::paused); }
    Task<void> unpause(std::string id) override { return set_state(std::move(id), ContainerState::running); }
    Task<std::vector<ContainerFigures>> stats(std::vector<std::string> ids) override {
        std::vector<ContainerFigures> out;
        for (const auto& one : figures)
            if (ids.empty() || std::ranges::find(ids, one.id) != ids.end())
                out.push_back(one);
        asked_for = std::move(ids);
        co_return out;
    }
    EventLog& events() override { return log; }
    std::optional<Error> refuse_update;
    std::vector<ContainerFigures> figures;
    std::vector<std::string> asked_for; // by the last stats()
    EventLog log{""};
    Task<std::string> exec(std::string, ExecRequest request) override {
        last_exec = std::move(request);
        co_return std::string("exec0");
    }
    Task<ExitInfo> wait_exec(std::string) override { co_return ExitInfo{3, 0, "exited"}; }
    Task<void> kill_exec(std::string exec_id, int signal_number) override {
        signals.emplace_back(exec_id, signal_number);
        co_return Result<void>();
    }
    Task<std::vector<PortSpec>> add_ports(std::string id, std::string spec) override {
        auto wanted = parse_ports(spec);
        if (!wanted)
            co_return std::unexpected(std::move(wanted).error());
        auto& ports = all.at(id).info.ports;
        ports.insert(ports.end(), wanted->begin(), wanted->end());
        co_return *wanted;
    }
    Task<std::vector<PortSpec>> remove_ports(std::string id, std::string spec) override {
        port_changes.push_back("rm " + id + " " + spec);
        co_return std::exchange(all.at(id).info.ports, {});
    }
    Task<PortSpec> rebind_port(std::string id, std::string old_spec, std::string new_spec) override {
        port_changes.push_back("rebind " + id + " " + old_spec + " " + new_spec);
        auto port = parse_port(new_spec);
        if (!port)
            co_return std::unexpected(std::move(port).error());
        co_return *port;
    }
    std::vector<std::string> port_changes;
    Task<void> shut_down(bool) override {
        was_shut_down = true;
        co_return Result<void>();
    }
    std::size_t running_count() const override { return list(false).size(); }
    std::string describe() const override { return R"({"keeper": 42})"; }

    std::chrono::milliseconds stop_timeout{};

private:
    Task<void> set_state(std::string id, ContainerState state) {
        auto& info = all.at(id).info;
        if (info.state == state)
            co_return fail(ErrorKind::conflict, "container '" + info.name + "' is so already");
        info.state = state;
        co_return Result<void>();
    }
};

} // namespace squish::daemon
