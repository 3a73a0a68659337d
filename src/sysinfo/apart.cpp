#include "sysinfo/apart.h"

#include "os/process.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace squish::sysinfo {

Apart::Outcome Apart::run(const std::function<bool()>& work) {
    std::erase_if(stuck_, [](const Pidfd& process) {
        const auto ended = os::reap(process.get());
        return !ended || ended->changed;
    });
    if (stuck_.size() >= kMostStuck)
        return Outcome::stuck;
    const pid_t pid = ::fork(); // it has no locks of ours, and no timer
    if (pid == 0)
        ::_exit(work() ? 0 : 1);
    if (pid < 0)
        return Outcome::failed;
    auto process = os::open_pidfd(pid);
    if (!process) { // no descriptor is left: waits as long as the patience with the whole call lasts
        siginfo_t ended{};
        const bool done = ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED) == 0 && ended.si_status == 0;
        return done && ended.si_code == CLD_EXITED ? Outcome::done : Outcome::failed;
    }
    if (!os::wait_ended(process->get(), kMilliseconds)) {
        (void) os::send_signal(process->get(), SIGKILL);
        stuck_.push_back(*std::move(process));
        return Outcome::stuck;
    }
    const auto ended = os::reap(process->get());
    return ended && ended->changed && ended->status == 0 ? Outcome::done : Outcome::failed;
}

} // namespace squish::sysinfo
