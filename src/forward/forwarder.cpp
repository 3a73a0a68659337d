#include "forward/forwarder.h"

#include <algorithm>

namespace squish::forward {

namespace {
constexpr int kReservedFds = 64; // for control connections, what they bring, and a few pipes
constexpr std::size_t kMaxContainers = 8192;
constexpr std::size_t kMaxPortsPerContainer = 4096;
constexpr std::chrono::milliseconds kSweepInterval(250);
} // namespace

Forwarder::Forwarder(EventLoop& loop, PipePool::Limits pipes, Upstreams upstreams, std::unique_ptr<Shortage> shortage)
    : loop_(loop), pool_(pipes), upstreams_(std::move(upstreams)), shortage_(std::move(shortage)) {}

Result<std::unique_ptr<Forwarder>> Forwarder::create(EventLoop& loop, PipePool::Limits pipes) {
    const int highest_fd = std::max(pipes.highest_fd - kReservedFds, pipes.highest_fd / 2);
    pipes.highest_fd = std::max(pipes.highest_fd - kReservedFds / 2, highest_fd);
    auto upstreams = TRY(Upstreams::create());
    auto shortage = TRY(Shortage::create(loop, highest_fd));
    std::unique_ptr<Forwarder> forwarder(new Forwarder(loop, pipes, std::move(upstreams), std::move(shortage)));
    forwarder->sweep_timer_ = TRY(Timer::create(loop, [self = forwarder.get()] { self->sweep(); }));
    return forwarder;
}

Result<void> Forwarder::publish(Publication publication) {
    sweep();
    auto where = TRY(NetworkNamespace::adopt(std::move(publication.where)));
    const auto found = containers_.find(publication.container);
    if (found == containers_.end() && containers_.size() >= kMaxContainers)
        return fail(ErrorKind::conflict,
                    "more than " + std::to_string(kMaxContainers) + " containers with published ports");
    if (found != containers_.end() && found->second->ports().size() >= kMaxPortsPerContainer)
        return fail(ErrorKind::conflict, "more than " + std::to_string(kMaxPortsPerContainer) + " published ports");
    auto fresh = found == containers_.end()
                     ? std::make_unique<Container>(forward::Port::Services{loop_, upstreams_, *shortage_}, pool_)
                     : nullptr;
    Container& container = fresh ? *fresh : *found->second;
    TRY(container.publish(publication.key, std::move(publication.listener), std::move(where), publication.target));
    if (publication.max_connections)
        container.limit_connections(*publication.max_connections);
    if (fresh)
        containers_.emplace(publication.container, std::move(fresh));
    return {};
}

namespace {
std::unexpected<Error> no_such_port(const std::string& container, const std::string& key) {
    return fail(ErrorKind::not_found, "container '" + container + "' has no published port '" + key + "'");
}
} // namespace

Result<void> Forwarder::drain(const std::string& container, const std::string& key) {
    const auto found = containers_.find(container);
    if (found == containers_.end() || !found->second->drain(key))
        return no_such_port(container, key);
    return {};
}

Result<void> Forwarder::unpublish(const std::string& container, const std::string& key) {
    const auto found = containers_.find(container);
    if (found == containers_.end() || !found->second->unpublish(key))
        return no_such_port(container, key);
    sweep();
    return {};
}

Forwarder::Released Forwarder::release(const std::string& container, std::chrono::milliseconds linger) {
    const auto found = containers_.find(container);
    if (found == containers_.end())
        return {};
    auto gone = std::move(found->second);
    containers_.erase(found);
    gone->close_ports();
    if (linger.count() == 0 || gone->connections() == 0)
        return {.closed = gone->cut_all()};
    const Released released{.lingering = gone->connections()};
    lingering_.push_back({std::move(gone), std::chrono::steady_clock::now() + linger});
    sweep_timer_->arm(kSweepInterval);
    return released;
}

// Forgets containers of which nothing is left, and ends those that have lingered long enough.
void Forwarder::sweep() {
    std::erase_if(containers_, [](const auto& entry) { return entry.second->is_empty(); });
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(lingering_, [&](const auto& entry) { return entry.container->is_empty() || entry.until <= now; });
    if (!lingering_.empty())
        sweep_timer_->arm(kSweepInterval);
}

std::vector<Forwarder::Port> Forwarder::list(const std::string& after_container, const std::string& after_key,
                                             std::size_t limit) const {
    std::vector<Port> out;
    for (auto entry = containers_.lower_bound(after_container); entry != containers_.end(); ++entry) {
        const auto& ports = entry->second->ports();
        auto port = entry->first == after_container ? ports.upper_bound(after_key) : ports.begin();
        for (; port != ports.end(); ++port) {
            if (out.size() == limit)
                return out;
            out.push_back({entry->first, port->first, *port->second->stats()});
        }
    }
    return out;
}

} // namespace squish::forward
