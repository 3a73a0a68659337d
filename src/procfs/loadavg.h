// Load averages as the kernel computes them (kernel/sched/loadavg.c), over the tasks of one container.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace squish::procfs {

struct View;

// Averages over 1, 5 and 15 minutes, in fixed point: kLoadOne is a load of 1.
inline constexpr std::uint64_t kLoadOne = 2048;
struct LoadAverages {
    std::array<std::uint64_t, 3> fixed = {};
    bool operator==(const LoadAverages&) const = default;
};

// A sample is due each time this has gone by. (The kernel takes one tick more, for reasons of its own.)
inline constexpr std::uint64_t kLoadPeriodUs = 5'000'000;

// The averages after `periods` (at least one) more of these, in each of which `tasks` tasks were running, ready to run
// or in uninterruptible sleep. As the averages themselves decay by steps, missed samples are made up for in one call.
[[nodiscard]] LoadAverages next_load(const LoadAverages& before, std::uint64_t tasks, std::uint64_t periods);

// In hundredths, rounded as /proc/loadavg rounds.
[[nodiscard]] std::uint64_t load_hundredths(std::uint64_t fixed);

// /proc/loadavg: averages, running tasks / all tasks, the last PID, all of them the container's.
[[nodiscard]] std::string loadavg(const View& view);

} // namespace squish::procfs
