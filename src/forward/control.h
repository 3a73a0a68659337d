// The requests of squishd (docs/architecture.md, "Forwarder requests"), over a listening SEQPACKET unix socket.
//
// Clients come and go: nothing depends on their staying. Whatever they send is answered, with an error where it
// makes no sense; a client that does not read its answers is dropped. Only this process's own user is served.
#pragma once

#include "forward/event_loop.h"
#include "forward/forwarder.h"
#include "forward/timer.h"

#include <list>
#include <memory>

namespace squish::forward {

class ControlClient;

class Control final : public Watcher {
public:
    // `listener` is a listening non-blocking SEQPACKET unix socket; loop and forwarder outlive it.
    [[nodiscard]] static Result<std::unique_ptr<Control>> create(EventLoop& loop, Forwarder& forwarder,
                                                                 UniqueFd listener);
    ~Control() override;

    void on_ready(unsigned tag, std::uint32_t events) override;
    void drop(ControlClient& client);

private:
    Control(EventLoop& loop, Forwarder& forwarder, UniqueFd listener);

    EventLoop& loop_;
    Forwarder& forwarder_;
    UniqueFd listener_;
    std::unique_ptr<Timer> retry_;
    std::list<std::unique_ptr<ControlClient>> clients_;
};

} // namespace squish::forward
