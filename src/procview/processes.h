// The processes of containers without a cgroup: those that descend from given roots, by /proc/*/stat, which everybody
// may read. (/proc/PID/ns and /proc/PID/io would need the right to trace them.)
#pragma once

#include "procview/parse.h"

#include <cstdint>
#include <map>
#include <span>
#include <sys/types.h>
#include <vector>

namespace squish::procview {

inline constexpr std::size_t kMaxTasksLookedAt = 1024;

// Tasks (threads) and what they do. Where there are more than kMaxTasksLookedAt, the states are extrapolated.
struct Tasks {
    std::uint64_t count = 0, running = 0, blocked = 0;
    pid_t youngest = 0; // 0: none
};

struct ProcessSums {
    Pages pages;
    std::uint64_t minor_faults = 0, major_faults = 0;
    std::uint64_t user = 0, system = 0; // clock ticks
    Tasks tasks;
};

class Processes {
public:
    // `proc` is borrowed.
    explicit Processes(int proc) : proc_(proc) {}

    // The sums over `roots` and all that descend from them. The table of processes is read at most every 100 ms.
    [[nodiscard]] ProcessSums sum(std::span<const pid_t> roots);
    // The states of these threads.
    [[nodiscard]] Tasks look_at(std::span<const pid_t> threads) const;
    // The ids of a process in its PID namespaces, outermost first; empty where it has ended.
    [[nodiscard]] std::vector<pid_t> namespace_ids(pid_t pid) const;

private:
    void refresh();
    [[nodiscard]] std::vector<pid_t> below(std::span<const pid_t> roots) const;

    int proc_;
    std::uint64_t good_until_ = 0;
    std::map<pid_t, ProcessStat> table_;
    std::multimap<pid_t, pid_t> children_; // by parent
};

} // namespace squish::procview
