// All published ports of one user: what the control requests act on. One thread.
#pragma once

#include "forward/container.h"
#include "forward/event_loop.h"
#include "forward/pipe_pool.h"
#include "forward/shortage.h"
#include "forward/timer.h"
#include "forward/upstream.h"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace squish::forward {

class Forwarder {
public:
    // The loop must outlive it.
    [[nodiscard]] static Result<std::unique_ptr<Forwarder>> create(EventLoop& loop, PipePool::Limits pipes);

    struct Publication {
        std::string container;
        std::string key;
        UniqueFd listener; // of the host's network namespace
        UniqueFd where;    // the container's network namespace
        Container::Target target;
        std::optional<std::size_t> max_connections; // of the whole container; unset: as it was
    };
    // Replaces a port of that key. An error leaves everything as it was.
    [[nodiscard]] Result<void> publish(Publication publication);
    // Ahead of unpublish(): no new clients, but those whose handshake has begun.
    [[nodiscard]] Result<void> drain(const std::string& container, const std::string& key);
    [[nodiscard]] Result<void> unpublish(const std::string& container, const std::string& key);

    // Closes all ports of a container, and resets its connections: at once, or (`linger` above 0) those that have
    // not ended by then, so that what an ended container had sent still arrives. The name is free at once.
    struct Released {
        std::size_t closed = 0;    // connections reset
        std::size_t lingering = 0; // connections left to end by themselves
    };
    [[nodiscard]] Released release(const std::string& container, std::chrono::milliseconds linger);

    struct Port {
        std::string container;
        std::string key;
        PortStats stats;
    };
    // At most `limit` ports, in order, starting with the first beyond (`container`, `key`).
    [[nodiscard]] std::vector<Port> list(const std::string& after_container, const std::string& after_key,
                                         std::size_t limit) const;

private:
    Forwarder(EventLoop& loop, PipePool::Limits pipes, Upstreams upstreams, std::unique_ptr<Shortage> shortage);
    void sweep();

    struct Lingering {
        std::unique_ptr<Container> container;
        std::chrono::steady_clock::time_point until;
    };

    EventLoop& loop_;
    PipePool pool_;
    Upstreams upstreams_;
    std::unique_ptr<Shortage> shortage_;
    std::unique_ptr<Timer> sweep_timer_;
    std::map<std::string, std::unique_ptr<Container>> containers_;
    std::vector<Lingering> lingering_;
};

} // namespace squish::forward
