// Helpers that run as long as the keeper: whenever one ends it is started again, with the same descriptors. squishd
// need not be there.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/listeners.h"
#include "keeper/loop.h"
#include "os/process.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace squish::keeper {

// How often a helper is started again at once; one that ends over and over is not to take the whole machine.
class RestartBucket {
public:
    static constexpr std::uint64_t kMost = 128, kPerSecond = 8;
    // True: now. Times are CLOCK_MONOTONIC in nanoseconds, and never go back.
    [[nodiscard]] bool take(std::uint64_t now_ns);
    // A start that had to wait: what has been filled in meanwhile is spent with it.
    void drain(std::uint64_t now_ns);

private:
    static constexpr std::uint64_t kCost = 1'000'000'000 / kPerSecond; // of one start, in nanoseconds of filling
    std::uint64_t filled_ = kMost * kCost;
    std::uint64_t at_ = 0;
};

class Guards {
public:
    // What is to be done when one was started again.
    using Started = std::function<void(const std::string& name, pid_t pid)>;

    // `host_mounts` is borrowed.
    Guards(Loop& loop, Listeners& listeners, int host_mounts, Started started)
        : loop_(&loop), listeners_(&listeners), host_mounts_(host_mounts), started_(std::move(started)) {}
    Guards(const Guards&) = delete;
    Guards& operator=(const Guards&) = delete;

    // `fds`: program, log, what it gets as 3, 4, … Takes the place of the one of that name, which is killed before;
    // where the new one cannot be started, the old one is, again.
    [[nodiscard]] Result<pid_t> guard(const std::string& name, std::vector<UniqueFd> fds);

private:
    struct Guard {
        std::vector<UniqueFd> fds;
        os::Child child; // no pidfd: it waits for its start
        RestartBucket bucket;
        bool rests = false; // its last start had to wait
    };
    [[nodiscard]] Result<void> start(const std::string& name, Guard& guard);
    void restart(const std::string& name);
    void restart_later(const std::string& name);
    void on_ended(const std::string& name, int fd);
    [[nodiscard]] Result<void> end(Guard& guard);

    Loop* loop_;
    Listeners* listeners_;
    int host_mounts_;
    Started started_;
    std::map<std::string, Guard> guards_;
};

} // namespace squish::keeper
