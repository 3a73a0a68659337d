// The published ports of one container, and the connections that came in through them.
#pragma once

#include "forward/pipe_pool.h"
#include "forward/port.h"
#include "forward/relay.h"

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace squish::forward {

inline constexpr std::size_t kDefaultMaxConnections = 16 * 1024;

class Container {
public:
    Container(Port::Services services, PipePool& pool) : services_(services), pool_(pool) {}
    ~Container();
    Container(const Container&) = delete;
    Container& operator=(const Container&) = delete;

    enum class Protocol { tcp, udp };
    struct Target {
        Protocol protocol = Protocol::tcp;
        Address address;                     // of the container, seen from inside it
        std::optional<Address> other_family; // its address of the other family, where it has one
        bool show_client = false;            // the payload sees the client's own address (base/client_route.h)
    };
    // Adds a port, or replaces the one with that key: its figures and its connections are kept. Where it fails,
    // everything is as before.
    [[nodiscard]] Result<void> publish(const std::string& key, UniqueFd listener, NetworkNamespace where,
                                       const Target& target);
    // Lets nobody new in, ahead of unpublish(). False where there is no such port.
    [[nodiscard]] bool drain(const std::string& key);
    // Stops listening; connections go on until they end. False where there is no such port.
    [[nodiscard]] bool unpublish(const std::string& key);
    // Stops listening on every port.
    void close_ports();
    // Resets every connection; how many there were.
    std::size_t cut_all();

    void limit_connections(std::size_t max) { max_connections_ = max; }

    // Connections and UDP flows together.
    [[nodiscard]] bool has_room() const { return relays_.size() + flows() < max_connections_; }
    [[nodiscard]] std::size_t connections() const { return relays_.size(); }
    [[nodiscard]] bool is_empty() const { return ports_.empty() && relays_.empty(); }
    [[nodiscard]] PipeAccount& pipes() { return pipes_; }
    [[nodiscard]] const std::map<std::string, std::unique_ptr<Port>>& ports() const { return ports_; }

    // Takes over an accepted client and its way into the container.
    void begin(UniqueFd client, UniqueFd upstream, Way way, std::shared_ptr<PortStats> stats);
    // Another upstream for one of its relays.
    [[nodiscard]] Result<UniqueFd> connect(const Way& way);
    // From a relay that has closed its sockets.
    void ended(Relay& relay);

private:
    [[nodiscard]] std::size_t flows() const;

    Port::Services services_;
    PipePool& pool_;
    PipeAccount pipes_;
    std::size_t max_connections_ = kDefaultMaxConnections;
    std::shared_ptr<const NetworkNamespace> where_; // shared by the ports: one descriptor for all
    std::map<std::string, std::unique_ptr<Port>> ports_;
    std::list<std::unique_ptr<Relay>> relays_;
};

} // namespace squish::forward
