// Takes orders from clients, runs a few jobs at a time, sends back what they say.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "layers/job.h"

#include <cstdint>
#include <deque>
#include <list>
#include <map>

namespace squish::layers {

class Service {
public:
    // `listener` (SEQPACKET, listening) is borrowed.
    Service(int listener, IdMaps maps) : listener_(listener), maps_(std::move(maps)) {}

    // Serves until there was no client for `idle_ms`.
    [[nodiscard]] Result<void> run(int idle_ms);

    static constexpr std::size_t kMaxClients = 256; // further ones wait to be let in
    static constexpr std::size_t kMaxRunning = 8;   // more would only take turns at the same disk
    static constexpr std::size_t kMaxWaiting = 256;

private:
    using ClientId = std::uint64_t;
    struct Running {
        ClientId client;
        Job job;
    };
    struct Waiting {
        ClientId client;
        Order order;
    };

    void accept();
    void on_message(ClientId client, int socket);
    void on_request(ClientId client, wire::JsonMessage message);
    void cancel(ClientId client, const wire::Json& request);
    void start_waiting();
    void hear(Running& running);
    void on_ended(std::list<Running>::iterator running);
    void drop(ClientId client);
    void send(ClientId client, const wire::Json& body);

    int listener_;
    IdMaps maps_;
    ClientId last_client_ = 0;
    std::map<ClientId, UniqueFd> clients_;
    std::list<Running> running_;
    std::deque<Waiting> waiting_;
};

} // namespace squish::layers
