// Anchors: processes that only sleep, so that a cgroup which is gone with its last process (a scope of systemd) stays
// until its last figures were read. They hold nothing of ours.

#include "keeper/server.h"

#include "os/process.h"

#include <cerrno>
#include <csignal>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

// Should: end with the keeper, and by SIGKILL. Must not: hold any descriptor of the keeper's.
[[noreturn]] void sleep_for_ever(pid_t keeper) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper)
        ::_exit(0);
    ::prctl(PR_SET_NAME, "squish-anchor");
    ::syscall(SYS_close_range, 0, ~0U, 0);
    ::setsid();
    for (;;)
        ::pause();
}

} // namespace

Result<void> Server::make_anchor(int client, const std::string& id) {
    const auto process = processes_.find(id);
    if (id.empty() || (process != processes_.end() && process->second.phase != wire::ContainerPhase::exited))
        return fail_errno("anchor '" + id + "'", EEXIST);
    if (const auto old = anchors_.find(id); old != anchors_.end()) { // of a container that is started again
        const int fd = old->second.child.pidfd.get();
        end_anchor(id);
        (void) os::wait_ended(fd, 1000);
        on_anchor_ended(id, fd);
    }
    if (anchors_.size() >= wire::kMaxContainers)
        return fail_errno("more than 4096 anchors", ENOSPC);
    const auto keeper = ::getpid();
    auto child = TRY(os::clone_process(0));
    if (child.pid == 0)
        sleep_for_ever(keeper);
    const int fd = child.pidfd.get();
    anchors_[id] = Anchor{std::move(child), client};
    if (auto added = loop_.add(fd, [this, id, fd](std::uint32_t) { on_anchor_ended(id, fd); }); !added) {
        end_anchor(id);
        (void) os::wait_ended(fd, 1000);
        on_anchor_ended(id, fd);
        return added;
    }
    return {};
}

void Server::end_anchor(const std::string& id) {
    if (const auto found = anchors_.find(id); found != anchors_.end())
        (void) os::send_signal(found->second.child.pidfd.get(), SIGKILL); // on_anchor_ended() reaps it
}

void Server::on_anchor_ended(const std::string& id, int fd) {
    const auto found = anchors_.find(id);
    if (found == anchors_.end() || found->second.child.pidfd.get() != fd)
        return;
    if (const auto result = os::reap(fd); result && !result->changed)
        return;
    loop_.remove(fd);
    anchors_.erase(found);
}

} // namespace squish::keeper
