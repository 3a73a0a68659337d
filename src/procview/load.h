// The kernel's load averages (kernel/sched/loadavg.c) over one container's tasks.
#pragma once

#include <array>
#include <cstdint>

namespace squish::procview {

// Exponential averages over 1, 5 and 15 minutes, sampled every 5 s, in the kernel's own fixed-point numbers.
class LoadAverage {
public:
    static constexpr std::uint64_t kInterval = 5'000'000'000; // nanoseconds

    // `active` tasks, running or waiting for a disk, during the last `intervals` intervals.
    void add(std::uint64_t active, std::uint64_t intervals = 1);
    // Rounded as /proc/loadavg is.
    [[nodiscard]] std::array<std::uint32_t, 3> in_hundredths() const;

private:
    std::array<std::uint64_t, 3> load_{};
};

} // namespace squish::procview
