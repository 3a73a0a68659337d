// How long each CPU has worked for the container and how long not: the one source of stat and uptime.
#pragma once

#include "procfs/view.h"

#include <array>
#include <cstdint>
#include <vector>

namespace squish::procfs {

// The columns of stat: user nice system idle iowait irq softirq steal guest guest_nice; in ticks.
inline constexpr std::size_t kColumns = 10;
inline constexpr std::size_t kIdleColumn = 3;

struct CpuTimes {
    std::size_t cpu = 0;
    std::array<std::uint64_t, kColumns> ticks{};
};

// A line for each CPU that is shown: what was used, spread evenly over them, since the kernel does not count a cgroup's
// use of each CPU. They sum up to what was used, tick by tick, and never run backwards.
[[nodiscard]] std::vector<CpuTimes> own_cpu_times(const View& view);

// The sum of a column.
[[nodiscard]] std::uint64_t sum_of(const std::vector<CpuTimes>& times, std::size_t column);

[[nodiscard]] std::uint64_t ticks_per_second(const View& view); // never 0

} // namespace squish::procfs
