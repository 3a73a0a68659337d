// A published TCP port: a listener of the host, and where its connections go.
//
// Accepting is level-triggered and bounded per turn, so that no port starves the others. A port whose container has
// all the connections it may have, or for which there are no descriptors, stops accepting: its clients wait in the
// kernel's backlog.
#pragma once

#include "forward/port.h"

#include <memory>

namespace squish::forward {

class Container;

class TcpPort final : public Port {
public:
    // Takes a listening TCP socket; an error where it is none. Its options are set for all accepted from it.
    [[nodiscard]] static Result<std::unique_ptr<TcpPort>>
    open(Services services, Container& container, UniqueFd listener, Route route, std::shared_ptr<PortStats> stats);
    ~TcpPort() override;

    // From now on the kernel begins no new handshake; those that have begun are completed and let in. A client's
    // SYN is lost, as it were: it is repeated after a second, and refused then.
    void drain() override;
    void close(Backlog backlog) override;
    void resume() override;
    void on_ready(unsigned tag, std::uint32_t events) override;

private:
    enum class Taken { one, none, paused };
    TcpPort(Services services, Container& container, UniqueFd listener, Route route, std::shared_ptr<PortStats> stats);
    [[nodiscard]] Taken accept_one();
    [[nodiscard]] Taken accept_failed(int error_number);
    void pause();

    Container& container_;
    UniqueFd listener_;
    bool watched_ = false;
    UniqueFd parked_; // accepted, but there was no descriptor for its way into the container
};

} // namespace squish::forward
