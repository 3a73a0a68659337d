// Published ports: at a start, at run time, after a restart.
//
// How this works
//   A published port is a listener of the host's network namespace. squishd binds it and holds it; the keeper holds a
//   copy ("port/ID/SPEC"), so that it outlives squishd and the forwarder; the forwarder accepts on a third. (The
//   payload does where activation = true.)
//   Every change is written to the container's state before it is begun and again when it is done: `ports` are those
//   that shall be, `leaving` those that were and may not be gone everywhere yet. A new squishd makes it so
//   (adopt_descriptors). Changes of one container come one after the other (Turn).
//   A listener is closed in this order: the copies of the keeper and of squishd, so that the forwarder's is the last;
//   `drain`, from which on the kernel completes the handshakes that have begun and begins no more; when they are done
//   `unpublish`, which lets in whoever waits in the backlog, and closes. So nobody who was connected is reset.

#include "engine/handshakes.h"
#include "engine/impl.h"
#include "engine/port_holder.h"

#include "base/text.h"

#include <algorithm>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

namespace squish {

using wire::Json;

namespace {

// For handshakes that have begun: on one machine they take microseconds. Somebody who begins many and ends none must
// not keep us for ever.
constexpr std::chrono::milliseconds kDrain{20};
constexpr int kDrainRounds = 50;

using Attributes = std::vector<std::pair<std::string, std::string>>;
Attributes port_attributes(const PortSpec& port) {
    return {{"port", to_string(port)}};
}
Attributes rebind_attributes(const PortSpec& before, const PortSpec& after) {
    return {{"from", to_string(before)}, {"to", to_string(after)}};
}

std::string listener_name(const std::string& id, const PortSpec& port) {
    return "port/" + id + "/" + to_string(port);
}

Json publish_request(const ContainerInfo& info, const PortSpec& port) {
    Json target = {{"address", info.address}, {"port", port.container}};
    if (!info.address6.empty())
        target["address6"] = info.address6;
    return {{"op", "publish"},
            {"container", info.id},
            {"key", to_string(port)},
            {"protocol", port.protocol == Protocol::udp ? "udp" : "tcp"},
            {"target", std::move(target)},
            {"show_client", true}};
}

Json key_request(const char* op, const std::string& id, const PortSpec& port) {
    return {{"op", op}, {"container", id}, {"key", to_string(port)}};
}

bool is_same(const PortSpec& a, const PortSpec& b) {
    return a.host == b.host && a.container == b.container && a.protocol == b.protocol && a.address == b.address;
}

bool is_same_socket(const PortSpec& a, const PortSpec& b) {
    return a.host == b.host && a.protocol == b.protocol && a.address == b.address;
}

std::vector<int> one(int fd) {
    return {fd};
}

std::vector<int> two(int first, int second) {
    return {first, second};
}

// Where a port is in the record now; others may have changed it while we waited.
std::optional<std::size_t> index_of(const Record& record, const PortSpec& port) {
    const auto& ports = record.info.ports;
    const auto found = std::ranges::find_if(ports, [&](const auto& other) { return is_same(other, port); });
    const auto index = static_cast<std::size_t>(found - ports.begin());
    if (found == ports.end() || index >= record.listeners.size())
        return std::nullopt;
    return index;
}

std::string names_of(const std::vector<PortSpec>& ports) {
    std::vector<std::string> names;
    for (const auto& port : ports)
        names.push_back(to_string(port));
    return names.empty() ? "none" : join(names, ", ");
}

// Those that `text` means: one chosen by what is given of it, or all of a range.
Result<std::vector<PortSpec>> choose(const ContainerInfo& info, std::string_view text) {
    std::vector<PortSpec> chosen;
    if (const auto selector = parse_port_selector(text)) {
        std::ranges::copy_if(info.ports, std::back_inserter(chosen),
                             [&](const auto& port) { return matches(*selector, port); });
        if (chosen.size() > 1)
            return fail(ErrorKind::conflict, "'" + printable(text) + "' is ambiguous: " + names_of(chosen),
                        "give more of it");
    } else {
        for (const auto& wanted : TRY(parse_ports(text)))
            std::ranges::copy_if(info.ports, std::back_inserter(chosen),
                                 [&](const auto& port) { return is_same(port, wanted); });
    }
    if (chosen.empty())
        return fail(ErrorKind::not_found,
                    "container '" + printable(info.name) + "' publishes no port '" + printable(text) + "'",
                    "it publishes " + names_of(info.ports));
    for (const auto& port : chosen)
        if (port.activation)
            return fail(ErrorKind::conflict,
                        "port " + to_string(port) + " is the payload's own: it was given the socket (activation)",
                        "stop the container, and start it with other [[ports]]");
    return chosen;
}

// OLD, with whatever is given of NEW in its place.
Result<PortSpec> changed(const PortSpec& old, std::string_view text) {
    const auto change = TRY(parse_port_selector(text));
    auto port = old;
    port.host = change.host;
    port.container = change.container.value_or(old.container);
    port.protocol = change.protocol.value_or(old.protocol);
    port.address = change.address.value_or(old.address);
    return port;
}

Result<UniqueFd> listener_for(const PortSpec& port, const PortSpec& old, int old_listener) {
    if (!is_same_socket(port, old))
        return ports_collide(port, old) ? listen_beside(port, old_listener) : listen_on(port);
    UniqueFd copy(::fcntl(old_listener, F_DUPFD_CLOEXEC, 0));
    if (!copy)
        return fail_errno("duplicate the listener");
    return copy;
}

} // namespace

// One change at a time for each container.
class Engine::Impl::Turn {
public:
    static asio::awaitable<Turn> take(RecordPtr record, asio::any_io_executor executor) {
        while (const auto before = record->changing)
            co_await before->wait();
        record->changing = std::make_shared<Latch>(executor);
        co_return Turn(std::move(record));
    }
    Turn(Turn&&) = default;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
        if (record_)
            std::exchange(record_->changing, nullptr)->open();
    }

private:
    explicit Turn(RecordPtr record) : record_(std::move(record)) {}
    RecordPtr record_;
};

// Binds them, and puts them into the record with the host ports that they have got. All or none.
Result<void> Engine::Impl::bind_ports(Record& record, std::vector<PortSpec> ports) {
    std::vector<UniqueFd> listeners;
    for (auto& port : ports) {
        auto listener = listen_on(port);
        if (!listener)
            return std::unexpected(name_holder(std::move(listener).error(), port));
        port.host = TRY(bound_port(listener->get()));
        listeners.push_back(std::move(*listener));
    }
    record.info.ports.insert(record.info.ports.end(), ports.begin(), ports.end());
    std::ranges::move(listeners, std::back_inserter(record.listeners));
    return {};
}

// Says who has the port: a container of ours, or a process that we can see.
Error Engine::Impl::name_holder(Error error, const PortSpec& port) const {
    if (error.kind != ErrorKind::conflict || port.host == 0)
        return error;
    for (const auto& [id, record] : records_) {
        const auto& held = record->info.ports;
        const bool holds = !record->listeners.empty() &&
                           std::ranges::any_of(held, [&](const auto& other) { return ports_collide(other, port); });
        if (holds) {
            error.message += " by container '" + printable(record->info.name) + "'";
            error.remedy = "choose another host port, or free it: squish port rm " + record->info.name + " " +
                           std::to_string(port.host);
            return error;
        }
    }
    if (const auto holder = describe_holder(port))
        error.message += " by " + *holder;
    return error;
}

// Hands the listener to those who keep it and who accept on it.
Task<void> Engine::Impl::publish_one(RecordPtr record, PortSpec port) {
    const auto ended = [&] {
        return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' has ended");
    };
    record->published = true; // from the first try on there may be something to take back
    CO_TRY(co_await ground_->need_keeper());
    auto index = index_of(*record, port);
    if (!index)
        co_return ended();
    std::vector<int> kept = one(record->listeners[*index].get());
    CO_TRY(co_await ground_->keeper()->put(listener_name(record->info.id, port), std::move(kept)));
    if (port.activation)
        co_return Result<void>{};
    CO_TRY(co_await ground_->need_forwarder());
    if (!record->network.netns) { // we are not the squishd that made the container
        CO_TRY_TO(auto fds, co_await ground_->keeper()->take("net/" + record->info.id));
        if (fds.size() != 1)
            co_return fail(ErrorKind::unavailable, "malformed answer of the keeper");
        record->network.netns = NsFd(std::move(fds[0]));
    }
    index = index_of(*record, port);
    if (!index || !ground_->forwarder())
        co_return ended();
    std::vector<int> fds = two(record->listeners[*index].get(), record->network.netns.get());
    CO_TRY(co_await ground_->forwarder()->ask(publish_request(record->info, port), std::move(fds)));
    co_return Result<void>{};
}

Task<void> Engine::Impl::publish(RecordPtr record) {
    const auto ports = record->info.ports;
    for (const auto& port : ports)
        CO_TRY(co_await publish_one(record, port));
    co_return Result<void>{};
}

// Takes ports that are in `leaving` back from everybody. `how`: whether clients may be connecting right now.
asio::awaitable<void> Engine::Impl::withdraw(RecordPtr record, std::vector<PortSpec> ports, Withdraw how) {
    const auto id = record->info.id;
    for (const auto& port : ports)
        if (auto* keeper = ground_->keeper())
            (void) co_await keeper->drop_now(listener_name(id, port));
    if (how == Withdraw::drain) {
        for (const auto& port : ports)
            if (auto* forwarder = ground_->forwarder())
                (void) co_await forwarder->ask(key_request("drain", id, port));
        bool open = true;
        for (int round = 0; open && round < kDrainRounds; ++round) {
            asio::steady_timer pause(executor_, kDrain);
            co_await pause.async_wait(kAwait);
            open = std::ranges::any_of(ports, has_open_handshakes);
        }
    }
    for (const auto& port : ports)
        if (auto* forwarder = ground_->forwarder())
            (void) co_await forwarder->ask(key_request("unpublish", id, port));
    std::erase_if(record->leaving, [&](const auto& gone) {
        return std::ranges::any_of(ports, [&](const auto& port) { return is_same(port, gone); });
    });
}

Result<RecordPtr> Engine::Impl::get_publishing(const std::string& id) const {
    auto record = TRY(get(id));
    const auto name = "container '" + printable(record->info.name) + "'";
    if (!is_alive(record->info.state))
        return fail(ErrorKind::conflict, name + " does not run");
    if (record->info.file.network.mode != NetworkMode::bridge)
        return fail(ErrorKind::conflict,
                    name + " has network mode \"" + record->info.network_mode +
                        "\": nothing can be published from there",
                    "start it with mode \"bridge\"");
    return record;
}

Task<std::vector<PortSpec>> Engine::Impl::add_ports(std::string id, std::string spec) {
    CO_TRY_TO(auto wanted, parse_ports(spec));
    CO_TRY_TO(const auto record, get_publishing(id));
    const auto turn = co_await Turn::take(record, executor_);
    CO_TRY(get_publishing(id));
    const auto before = record->info.ports.size();
    if (before + wanted.size() > kMaxPorts)
        co_return fail(ErrorKind::conflict, "a container publishes at most " + std::to_string(kMaxPorts) + " ports");
    CO_TRY(bind_ports(*record, std::move(wanted)));
    const std::vector<PortSpec> added(record->info.ports.begin() + static_cast<std::ptrdiff_t>(before),
                                      record->info.ports.end());
    Result<void> done = save(*record);
    for (std::size_t i = 0; done && i < added.size(); ++i)
        done = co_await publish_one(record, added[i]);
    if (done && is_alive(record->info.state)) {
        for (const auto& port : added)
            events_.add("port-add", record->info.id, record->info.name, port_attributes(port));
        co_return added;
    }
    if (done)
        done = fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' has ended");
    co_await remove_from(record, added, Withdraw::at_once);
    co_return std::unexpected(std::move(done).error());
}

// Out of the record, then from everybody. The listeners of ours are closed in between.
asio::awaitable<void> Engine::Impl::remove_from(RecordPtr record, std::vector<PortSpec> ports, Withdraw how) {
    for (const auto& port : ports) {
        record->leaving.push_back(port);
        if (const auto index = index_of(*record, port)) {
            const auto at = static_cast<std::ptrdiff_t>(*index);
            record->info.ports.erase(record->info.ports.begin() + at);
            record->listeners.erase(record->listeners.begin() + at);
        }
    }
    if (is_alive(record->info.state))
        save_quietly(*record);
    co_await withdraw(record, std::move(ports), how);
    if (is_alive(record->info.state))
        save_quietly(*record);
}

Task<std::vector<PortSpec>> Engine::Impl::remove_ports(std::string id, std::string spec) {
    CO_TRY_TO(const auto record, get_publishing(id));
    const auto turn = co_await Turn::take(record, executor_);
    CO_TRY(get_publishing(id));
    CO_TRY_TO(const auto chosen, choose(record->info, spec));
    co_await remove_from(record, chosen, Withdraw::drain);
    for (const auto& port : chosen)
        events_.add("port-remove", record->info.id, record->info.name, port_attributes(port));
    co_return chosen;
}

Task<PortSpec> Engine::Impl::rebind_port(std::string id, std::string old_spec, std::string new_spec) {
    CO_TRY_TO(const auto record, get_publishing(id));
    const auto turn = co_await Turn::take(record, executor_);
    CO_TRY(get_publishing(id));
    CO_TRY_TO(const auto chosen, choose(record->info, old_spec));
    if (chosen.size() != 1)
        co_return fail(ErrorKind::invalid, "'" + printable(old_spec) + "' is more than one port",
                       "rebind one after the other");
    const auto& old = chosen.front();
    CO_TRY_TO(auto port, changed(old, new_spec));
    if (is_same(port, old))
        co_return old;
    const auto index = index_of(*record, old);
    if (!index)
        co_return fail(ErrorKind::unavailable, "port " + to_string(old) + " has lost its listener",
                       "remove and add it");
    auto opened = listener_for(port, old, record->listeners[*index].get());
    if (!opened)
        co_return std::unexpected(name_holder(std::move(opened).error(), port));
    CO_TRY_TO(port.host, bound_port(opened->get()));

    // From here on both are there, until one of them is taken back.
    auto old_listener = std::exchange(record->listeners[*index], std::move(*opened));
    record->info.ports[*index] = port;
    record->leaving.push_back(old);
    Result<void> done = save(*record);
    if (done)
        done = co_await publish_one(record, port);
    if (!is_alive(record->info.state)) {
        stop_listening(old_listener.get());
        co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' has ended");
    }
    if (!done) { // as it was
        std::erase_if(record->leaving, [&](const auto& gone) { return is_same(gone, old); });
        if (const auto at = index_of(*record, port)) {
            record->info.ports[*at] = old;
            record->listeners[*at] = std::move(old_listener);
        }
        record->leaving.push_back(port);
        save_quietly(*record);
        std::vector<PortSpec> gone(1, port);
        co_await withdraw(record, std::move(gone), Withdraw::at_once);
        save_quietly(*record);
        co_return std::unexpected(std::move(done).error());
    }
    old_listener.reset();
    std::vector<PortSpec> gone(1, old);
    co_await withdraw(record, std::move(gone), is_same_socket(port, old) ? Withdraw::at_once : Withdraw::drain);
    if (is_alive(record->info.state))
        save_quietly(*record);
    events_.add("port-rebind", record->info.id, record->info.name, rebind_attributes(old, port));
    co_return port;
}

// The listeners of a container that was running before we were; what a change that was interrupted has left undone.
asio::awaitable<void> Engine::Impl::adopt_descriptors(RecordPtr record) {
    if ((record->info.ports.empty() && record->leaving.empty()) || !ground_->keeper())
        co_return;
    const auto turn = co_await Turn::take(record, executor_);
    if (!record->leaving.empty()) {
        (void) co_await ground_->need_forwarder();
        auto leaving = record->leaving;
        co_await withdraw(record, std::move(leaving), Withdraw::at_once);
    }
    std::vector<PortSpec> ports;
    std::vector<UniqueFd> listeners;
    for (const auto& port : std::vector(record->info.ports)) {
        Result<std::vector<UniqueFd>> kept = fail(ErrorKind::unavailable, "the keeper is gone");
        if (auto* keeper = ground_->keeper())
            kept = co_await keeper->take(listener_name(record->info.id, port));
        auto listener = kept && kept->size() == 1 ? Result<UniqueFd>(std::move(kept->front())) : listen_on(port);
        if (!listener) {
            spdlog::warn("container {}: port {} is lost: {}", record->info.id, to_string(port),
                         listener.error().text());
            continue;
        }
        ports.push_back(port);
        listeners.push_back(std::move(*listener));
    }
    if (!is_alive(record->info.state)) { // it has ended meanwhile
        for (const auto& listener : listeners)
            stop_listening(listener.get());
        co_return;
    }
    record->info.ports = std::move(ports);
    record->listeners = std::move(listeners);
    if (auto published = co_await publish(record); !published) // the forwarder may be a new one
        spdlog::error("container {}: cannot publish its ports again: {}", record->info.id, published.error().text());
    if (is_alive(record->info.state))
        save_quietly(*record);
}

// A new forwarder knows nothing yet.
asio::awaitable<void> Engine::Impl::republish() {
    std::vector<RecordPtr> all;
    for (const auto& [id, record] : records_)
        if (is_alive(record->info.state) && record->published)
            all.push_back(record);
    for (const auto& record : all) {
        const auto turn = co_await Turn::take(record, executor_);
        if (!is_alive(record->info.state))
            continue;
        if (auto published = co_await publish(record); !published)
            spdlog::error("container {}: cannot publish its ports again: {}", record->info.id,
                          published.error().text());
    }
}

} // namespace squish
