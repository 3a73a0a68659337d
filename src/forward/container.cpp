#include "forward/container.h"

#include "forward/tcp_port.h"
#include "forward/udp_port.h"

namespace squish::forward {

Container::~Container() {
    close_ports();
    cut_all();
}

namespace {

Result<std::unique_ptr<Port>> open_port(Port::Services services, Container& container, UniqueFd listener,
                                        Port::Route route, std::shared_ptr<PortStats> stats,
                                        Container::Protocol protocol) {
    switch (protocol) {
    case Container::Protocol::tcp:
        return TRY(TcpPort::open(services, container, std::move(listener), std::move(route), std::move(stats)));
    case Container::Protocol::udp:
        return TRY(UdpPort::open(services, container, std::move(listener), std::move(route), std::move(stats)));
    }
    std::unreachable();
}

} // namespace

std::size_t Container::flows() const {
    std::size_t count = 0;
    for (const auto& [key, port] : ports_)
        count += port->flows();
    return count;
}

Result<UniqueFd> Container::connect(const Way& way) {
    auto upstream = services_.upstreams.connect_tcp(way);
    services_.upstreams.go_home();
    return upstream;
}

Result<void> Container::publish(const std::string& key, UniqueFd listener, NetworkNamespace where,
                                const Target& target) {
    auto shared = where_ && *where_ == where ? where_ : std::make_shared<const NetworkNamespace>(std::move(where));
    const auto old = ports_.find(key);
    auto stats = old != ports_.end() ? old->second->stats() : std::make_shared<PortStats>();
    Port::Route route{shared, target.address, target.other_family, target.show_client};
    auto port =
        TRY(open_port(services_, *this, std::move(listener), std::move(route), std::move(stats), target.protocol));
    where_ = std::move(shared);
    if (old == ports_.end()) {
        ports_.emplace(key, std::move(port));
        return {};
    }
    old->second->close(Port::Backlog::let_in);
    services_.loop.retire(std::exchange(old->second, std::move(port)));
    return {};
}

bool Container::drain(const std::string& key) {
    const auto found = ports_.find(key);
    if (found == ports_.end())
        return false;
    found->second->drain();
    return true;
}

bool Container::unpublish(const std::string& key) {
    const auto found = ports_.find(key);
    if (found == ports_.end())
        return false;
    found->second->close(Port::Backlog::let_in);
    services_.loop.retire(std::move(found->second));
    ports_.erase(found);
    if (ports_.empty())
        where_.reset();
    return true;
}

void Container::close_ports() {
    for (auto& [key, port] : ports_) {
        port->close(Port::Backlog::drop);
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

void Container::begin(UniqueFd client, UniqueFd upstream, Way way, std::shared_ptr<PortStats> stats) {
    auto relay = std::make_unique<Relay>(services_.loop, pool_, *this, std::move(client), std::move(upstream),
                                         std::move(way), std::move(stats));
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
