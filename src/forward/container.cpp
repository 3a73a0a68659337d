#include "forward/container.h"

namespace squish::forward {

Container::~Container() {
    close_ports();
    cut_all();
}

Result<void> Container::publish(const std::string& key, UniqueFd listener, NetworkNamespace where, Address target) {
    auto shared = where_ && *where_ == where ? where_ : std::make_shared<const NetworkNamespace>(std::move(where));
    const auto old = ports_.find(key);
    auto stats = old != ports_.end() ? old->second->stats() : std::make_shared<PortStats>();
    auto port = TRY(TcpPort::open(services_, *this, std::move(listener), {shared, target}, std::move(stats)));
    where_ = std::move(shared);
    if (old == ports_.end()) {
        ports_.emplace(key, std::move(port));
        return {};
    }
    old->second->close(TcpPort::Backlog::let_in);
    services_.loop.retire(std::exchange(old->second, std::move(port)));
    return {};
}

bool Container::unpublish(const std::string& key) {
    const auto found = ports_.find(key);
    if (found == ports_.end())
        return false;
    found->second->close(TcpPort::Backlog::let_in);
    services_.loop.retire(std::move(found->second));
    ports_.erase(found);
    if (ports_.empty())
        where_.reset();
    return true;
}

void Container::close_ports() {
    for (auto& [key, port] : ports_) {
        port->close(TcpPort::Backlog::drop);
        services_.loop.retire(std::move(port));
    }
    ports_.clear();
    where_.reset();
}

std::size_t Container::cut_all() {
    const auto count = relays_.size();
    for (auto& relay : relays_) {
        relay->cut();
        services_.loop.retire(std::move(relay));
    }
    relays_.clear();
    return count;
}

void Container::begin(UniqueFd client, UniqueFd upstream, std::shared_ptr<PortStats> stats) {
    auto relay =
        std::make_unique<Relay>(services_.loop, pool_, *this, std::move(client), std::move(upstream), std::move(stats));
    if (!relay->start()) {
        ++relay->stats().failed;
        return; // its destructor resets the client
    }
    relays_.push_front(std::move(relay));
    relays_.front()->place = relays_.begin();
}

void Container::ended(Relay& relay) {
    const bool was_full = !has_room();
    const auto place = relay.place;
    services_.loop.retire(std::move(*place));
    relays_.erase(place);
    services_.shortage.freed();
    if (was_full)
        for (const auto& [key, port] : ports_)
            port->resume();
}

} // namespace squish::forward
