// A published port of either protocol, as its container sees it.
#pragma once

#include "forward/address.h"
#include "forward/event_loop.h"
#include "forward/relay.h"
#include "forward/shortage.h"
#include "forward/upstream.h"

#include <memory>
#include <optional>

namespace squish::forward {

class Port : public Watcher {
public:
    // Where its clients are led, seen from inside the container.
    struct Route {
        std::shared_ptr<const NetworkNamespace> where;
        Address target;
        std::optional<Address> other_family; // the container's address of the other family, where it has one
        bool show_client = false;            // the payload sees the client's own address
    };
    // What all ports of the process share.
    struct Services {
        EventLoop& loop;
        Upstreams& upstreams;
        Shortage& shortage;
    };

    // No new clients, ahead of close(); those whose handshake has begun are let in.
    virtual void drain() {}
    // Stops listening. Those who are in the backlog already can be let in first, since for them the
    // connection exists.
    enum class Backlog { let_in, drop };
    virtual void close(Backlog backlog) = 0;
    // Takes clients again after a pause.
    virtual void resume() = 0;
    // What its container's limit counts besides relays.
    [[nodiscard]] virtual std::size_t flows() const { return 0; }

    [[nodiscard]] const std::shared_ptr<PortStats>& stats() const { return stats_; }

protected:
    Port(Services services, Route route, std::shared_ptr<PortStats> stats)
        : services_(services), route_(std::move(route)), stats_(std::move(stats)) {}

    Services services_;
    Route route_;
    std::shared_ptr<PortStats> stats_;
};

} // namespace squish::forward
