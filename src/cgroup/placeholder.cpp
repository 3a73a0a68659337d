#include "cgroup/placeholder.h"

#include "os/process.h"

#include <csignal>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::cgroup {

namespace {

constexpr int kPatienceMs = 1000; // a process that was killed and only waits ends in microseconds

// Should: hold nothing of squishd's. Must not: allocate, or return.
[[noreturn]] void wait_for_the_end(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(0);
    ::prctl(PR_SET_NAME, "squish-opening");
    ::syscall(SYS_close_range, 0U, ~0U, 0U); // Linux 5.9
    for (;;)
        ::pause();
}

} // namespace

Result<Placeholder> Placeholder::start() {
    const pid_t self = ::getpid();
    auto child = TRY(os::clone_process(0));
    if (child.pid == 0)
        wait_for_the_end(self);
    return Placeholder(child.pid, std::move(child.pidfd));
}

Placeholder& Placeholder::operator=(Placeholder&& other) noexcept {
    if (this != &other) {
        end();
        pid_ = other.pid_;
        pidfd_ = std::move(other.pidfd_);
    }
    return *this;
}

void Placeholder::end() noexcept {
    if (!pidfd_)
        return;
    (void) os::send_signal(pidfd_.get(), SIGKILL); // it has no signal handlers and nothing to tidy up
    if (os::wait_ended(pidfd_.get(), kPatienceMs))
        (void) os::reap(pidfd_.get());
    pidfd_.reset();
}

} // namespace squish::cgroup
