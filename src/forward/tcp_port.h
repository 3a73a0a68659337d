// A published TCP port: a listener of the host, and where its connections go.
//
// Accepting is level-triggered and bounded per turn, so that no port starves the others. A port whose container has
// all the connections it may have, or for which there are no descriptors, stops accepting: its clients wait in the
// kernel's backlog.
#pragma once

#include "forward/address.h"
#include "forward/event_loop.h"
#include "forward/relay.h"
#include "forward/shortage.h"
#include "forward/upstream.h"

#include <memory>

namespace squish::forward {

class Container;

class TcpPort final : public Watcher {
public:
    struct Route {
        std::shared_ptr<const NetworkNamespace> where;
        Address target;
    };
    // What all ports of the process share.
    struct Services {
        EventLoop& loop;
        Upstreams& upstreams;
        Shortage& shortage;
    };

    // Takes a listening TCP socket; an error where it is none. Its options are set for all accepted from it.
    [[nodiscard]] static Result<std::unique_ptr<TcpPort>>
    open(Services services, Container& container, UniqueFd listener, Route route, std::shared_ptr<PortStats> stats);
    ~TcpPort() override;

    // Stops listening. Those who are in the backlog already can be let in first, since for them the
    // connection exists.
    enum class Backlog { let_in, drop };
    void close(Backlog backlog);

    // Accepts again after a pause.
    void resume();
    void on_ready(unsigned tag, std::uint32_t events) override;

    [[nodiscard]] const std::shared_ptr<PortStats>& stats() const { return stats_; }

private:
    enum class Taken { one, none, paused };
    TcpPort(Services services, Container& container, UniqueFd listener, Route route, std::shared_ptr<PortStats> stats);
    [[nodiscard]] Taken accept_one();
    [[nodiscard]] Taken accept_failed(int error_number);
    void pause();

    Services services_;
    Container& container_;
    UniqueFd listener_;
    Route route_;
    std::shared_ptr<PortStats> stats_;
    bool watched_ = false;
    UniqueFd parked_; // accepted, but there was no descriptor for its way into the container
};

} // namespace squish::forward
