#include "daemon/engine_containers.h"

namespace squish::daemon {

namespace {

class EngineLayers : public Layers {
public:
    explicit EngineLayers(Engine& engine) : engine_(engine) {}
    Task<std::vector<ProvidedLayer>> resolve(Squishfile file, ProvideOptions options,
                                             OnLayerProgress on_progress) override {
        return engine_.resolve(std::move(file), std::move(options), std::move(on_progress));
    }
    Task<ProvidedLayer> pull(std::string name, std::string requirement, OnLayerProgress on_progress) override {
        return engine_.pull_layer(std::move(name), std::move(requirement), std::move(on_progress));
    }
    Task<Provider::Imported> import(Provider::ImportRequest request, OnLayerProgress on_progress) override {
        return engine_.import_layer(std::move(request), std::move(on_progress));
    }
    std::vector<Engine::LayerUse> list() override { return engine_.list_layers(); }
    Task<Provider::Verified> verify(std::string reference, OnLayerProgress on_progress) override {
        return engine_.verify_layer(std::move(reference), std::move(on_progress));
    }
    Task<std::string> remove(std::string reference) override { return engine_.remove_layer(std::move(reference)); }
    Task<std::vector<StoredLayer>> prune() override { return engine_.prune_layers(); }
    Task<LayerInfo> attach(std::string id, std::string name, std::string requirement,
                           OnLayerProgress on_progress) override {
        return engine_.attach_layer(std::move(id), std::move(name), std::move(requirement), std::move(on_progress));
    }
    Task<LayerInfo> detach(std::string id, std::string name) override {
        return engine_.detach_layer(std::move(id), std::move(name));
    }

private:
    Engine& engine_;
};

class EngineNetworks : public Networks {
public:
    explicit EngineNetworks(Engine& engine) : engine_(engine) {}
    Task<NetworkInfo> create(std::string name) override { return engine_.create_network(std::move(name)); }
    Task<void> remove(std::string name) override { return engine_.remove_network(std::move(name)); }
    Task<std::vector<NetworkInfo>> list() override { return engine_.list_networks(); }
    Task<NetworkInfo> inspect(std::string name) override { return engine_.inspect_network(std::move(name)); }

private:
    Engine& engine_;
};

// Ids arrive by value and live in our coroutine's frame for as long as the engine's coroutine refers to them.
class EngineContainers : public Containers {
public:
    explicit EngineContainers(std::unique_ptr<Engine> engine)
        : engine_(std::move(engine)), layers_(*engine_), networks_(*engine_) {}

    Task<std::string> create(CreateRequest request) override { return engine_->create(std::move(request)); }
    Result<std::string> find(std::string_view reference) const override { return engine_->find(reference); }
    std::vector<ContainerInfo> list(bool with_exited) const override { return engine_->list(with_exited); }
    Result<ContainerInfo> inspect(const std::string& id) const override { return engine_->inspect(id); }
    Result<std::optional<IsolationInfo>> isolation(const std::string& id) const override {
        return engine_->isolation(id);
    }
    Task<ExitInfo> wait(std::string id) override { co_return co_await engine_->wait(id); }
    Task<void> stop(std::string id, std::chrono::milliseconds timeout) override {
        co_return co_await engine_->stop(id, timeout);
    }
    Task<void> kill(std::string id, int signal_number) override { co_return co_await engine_->kill(id, signal_number); }
    Task<void> remove(std::string id, bool force) override { co_return co_await engine_->remove(id, force); }
    Task<ResourceSpec> update(std::string id, ResourceChange change) override {
        co_return co_await engine_->update(id, std::move(change));
    }
    Task<void> pause(std::string id) override { co_return co_await engine_->pause(id); }
    Task<void> unpause(std::string id) override { co_return co_await engine_->unpause(id); }
    Task<std::vector<ContainerFigures>> stats(std::vector<std::string> ids) override {
        return engine_->stats(std::move(ids));
    }
    EventLog& events() override { return engine_->events(); }
    Task<std::string> exec(std::string id, ExecRequest request) override {
        co_return co_await engine_->exec(id, std::move(request));
    }
    Task<ExitInfo> wait_exec(std::string exec_id) override { co_return co_await engine_->wait_exec(exec_id); }
    Task<void> kill_exec(std::string exec_id, int signal_number) override {
        co_return co_await engine_->kill_exec(exec_id, signal_number);
    }
    Task<std::vector<PortSpec>> add_ports(std::string id, std::string spec) override {
        co_return co_await engine_->add_ports(id, spec);
    }
    Task<std::vector<PortSpec>> remove_ports(std::string id, std::string spec) override {
        co_return co_await engine_->remove_ports(id, spec);
    }
    Task<PortSpec> rebind_port(std::string id, std::string old_spec, std::string new_spec) override {
        co_return co_await engine_->rebind_port(id, old_spec, new_spec);
    }
    Task<void> shut_down(bool stop_containers) override { return engine_->shut_down(stop_containers); }
    std::size_t running_count() const override { return engine_->running_count(); }
    std::string describe() const override { return engine_->describe(); }
    Layers& layers() override { return layers_; }
    Networks& networks() override { return networks_; }

private:
    std::unique_ptr<Engine> engine_;
    EngineLayers layers_;
    EngineNetworks networks_;
};

} // namespace

std::unique_ptr<Containers> engine_containers(std::unique_ptr<Engine> engine) {
    return std::make_unique<EngineContainers>(std::move(engine));
}

} // namespace squish::daemon
