#include "keeper/guards.h"

#include "keeper/helpers.h"
#include "os/socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <time.h>

namespace squish::keeper {

namespace {

constexpr auto kPause = std::chrono::seconds(1); // of one that ended too often
constexpr int kKillMilliseconds = 1000;
constexpr std::size_t kMostFds = 16; // become_helper() needs a number above 1000 for each

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace

bool RestartBucket::take(std::uint64_t now_ns) {
    filled_ = std::min(kMost * kCost, filled_ + (now_ns - at_));
    at_ = now_ns;
    if (filled_ < kCost)
        return false;
    filled_ -= kCost;
    return true;
}

void RestartBucket::drain(std::uint64_t now_ns) {
    filled_ = 0;
    at_ = now_ns;
}

Result<pid_t> Guards::guard(const std::string& name, std::vector<UniqueFd> fds) {
    if (name.empty() || fds.size() < 2 || fds.size() > kMostFds)
        return fail_errno("guard '" + name + "'", EINVAL);
    const auto old = guards_.find(name);
    if (old == guards_.end()) {
        if (guards_.size() >= wire::kMaxGuards)
            return fail_errno("guard '" + name + "'", ENOSPC);
        Guard fresh;
        fresh.fds = std::move(fds);
        TRY(start(name, fresh));
        const auto pid = fresh.child.pid;
        guards_.emplace(name, std::move(fresh));
        return pid;
    }
    auto& guard = old->second;
    TRY(end(guard));
    std::swap(guard.fds, fds);
    if (auto started = start(name, guard); !started) {
        std::swap(guard.fds, fds);
        restart(name);
        return std::unexpected(std::move(started).error());
    }
    guard.bucket = {};
    return guard.child.pid;
}

Result<void> Guards::start(const std::string& name, Guard& guard) {
    UniqueFd ours, theirs;
    std::vector<int> fds;
    if (name == wire::kSysinfoServer) {
        std::tie(ours, theirs) = TRY(os::socket_pair());
        if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) < 0)
            return fail_errno("fcntl");
        fds.push_back(theirs.get());
    }
    for (std::size_t i = 2; i < guard.fds.size(); ++i)
        fds.push_back(guard.fds[i].get());
    auto child = TRY(start_helper({.name = name,
                                   .host_mounts = host_mounts_,
                                   .program = guard.fds[0].get(),
                                   .log = guard.fds[1].get(),
                                   .fds = fds}));
    const int fd = child.pidfd.get();
    guard.child = std::move(child);
    if (auto added = loop_->add(fd, [this, name, fd](std::uint32_t) { on_ended(name, fd); }); !added) {
        (void) end(guard);
        return added;
    }
    if (ours)
        listeners_->serve_through(std::move(ours));
    return {};
}

// Should: leave none of it running, since the next one has the same descriptors. A process that was killed and does not
// end hangs in the kernel.
Result<void> Guards::end(Guard& guard) {
    const int fd = guard.child.pidfd.get();
    if (fd < 0)
        return {};
    (void) os::send_signal(fd, SIGKILL);
    if (!os::wait_ended(fd, kKillMilliseconds))
        return fail_errno("end the helper that is to be replaced", EBUSY);
    loop_->remove(fd);
    (void) os::reap(fd);
    guard.child = {};
    return {};
}

void Guards::on_ended(const std::string& name, int fd) {
    const auto found = guards_.find(name);
    if (found == guards_.end() || found->second.child.pidfd.get() != fd)
        return;
    const auto result = os::reap(fd);
    if (result && !result->changed)
        return; // an event of an older descriptor with the same number
    loop_->remove(fd);
    auto& guard = found->second;
    guard.child = {};
    const bool now = guard.bucket.take(monotonic_ns());
    if (now || !guard.rests) // else the log would grow for ever
        std::fprintf(stderr, "%s ended (wait status %d)%s\n", name.c_str(), result ? result->status : 0,
                     now ? "" : ", again and again: it is started once a second from now on");
    guard.rests = !now;
    if (now)
        return restart(name);
    restart_later(name);
}

void Guards::restart(const std::string& name) {
    auto& guard = guards_.at(name);
    if (const auto started = start(name, guard); !started) {
        std::fprintf(stderr, "cannot start %s again: %s\n", name.c_str(), started.error().message.c_str());
        return restart_later(name);
    }
    started_(name, guard.child.pid);
}

void Guards::restart_later(const std::string& name) {
    loop_->after(kPause, [this, name] {
        auto& guard = guards_.at(name);
        if (guard.child.pidfd)
            return; // it was replaced meanwhile
        guard.bucket.drain(monotonic_ns());
        restart(name);
    });
}

} // namespace squish::keeper
