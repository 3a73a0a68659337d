#include "forward/service.h"

#include "forward/control.h"
#include "forward/forwarder.h"

#include <csignal>
#include <sys/signalfd.h>

namespace squish::forward {

namespace {

class StopOnSignal final : public Watcher {
public:
    explicit StopOnSignal(EventLoop& loop) : loop_(loop) {}
    void on_ready(unsigned /*tag*/, std::uint32_t /*events*/) override { loop_.stop(); }

private:
    EventLoop& loop_;
};

Result<UniqueFd> sigterm_fd() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    if (::sigprocmask(SIG_BLOCK, &signals, nullptr) < 0)
        return fail_errno("sigprocmask");
    UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        return fail_errno("signalfd");
    return fd;
}

} // namespace

Result<void> serve(UniqueFd control_listener, PipePool::Limits pipes) {
    ::signal(SIGPIPE, SIG_IGN); // splice(2) has no MSG_NOSIGNAL
    auto loop = TRY(EventLoop::create());
    const auto signals = TRY(sigterm_fd());
    StopOnSignal stop(loop);
    TRY(loop.watch(signals.get(), EPOLLIN, stop));
    const auto forwarder = TRY(Forwarder::create(loop, pipes));
    const auto control = TRY(Control::create(loop, *forwarder, std::move(control_listener)));
    return loop.run();
}

} // namespace squish::forward
