// The published ports of one container, and the connections that came in through them.
#pragma once

#include "forward/pipe_pool.h"
#include "forward/relay.h"
#include "forward/tcp_port.h"

#include <list>
#include <map>
#include <memory>
#include <string>

namespace squish::forward {

inline constexpr std::size_t kDefaultMaxConnections = 16 * 1024;

class Container {
public:
    Container(TcpPort::Services services, PipePool& pool) : services_(services), pool_(pool) {}
    ~Container();
    Container(const Container&) = delete;
    Container& operator=(const Container&) = delete;

    // Adds a port, or replaces the one with that key: its figures and its connections are kept. Where it fails,
    // everything is as before.
    [[nodiscard]] Result<void> publish(const std::string& key, UniqueFd listener, NetworkNamespace where,
                                       Address target);
    // Stops listening; connections go on until they end. False where there is no such port.
    [[nodiscard]] bool unpublish(const std::string& key);
    // Stops listening on every port.
    void close_ports();
    // Resets every connection; how many there were.
    std::size_t cut_all();

    void limit_connections(std::size_t max) { max_connections_ = max; }

    [[nodiscard]] bool has_room() const { return relays_.size() < max_connections_; }
    [[nodiscard]] std::size_t connections() const { return relays_.size(); }
    [[nodiscard]] bool is_empty() const { return ports_.empty() && relays_.empty(); }
    [[nodiscard]] PipeAccount& pipes() { return pipes_; }
    // UDP ports will be a second map beside this one.
    [[nodiscard]] const std::map<std::string, std::unique_ptr<TcpPort>>& ports() const { return ports_; }

    // Takes over an accepted client and its way into the container.
    void begin(UniqueFd client, UniqueFd upstream, std::shared_ptr<PortStats> stats);
    // From a relay that has closed its sockets.
    void ended(Relay& relay);

private:
    TcpPort::Services services_;
    PipePool& pool_;
    PipeAccount pipes_;
    std::size_t max_connections_ = kDefaultMaxConnections;
    std::shared_ptr<const NetworkNamespace> where_; // shared by the ports: one descriptor for all
    std::map<std::string, std::unique_ptr<TcpPort>> ports_;
    std::list<std::unique_ptr<Relay>> relays_;
};

} // namespace squish::forward
