// What a list of times comes down to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace squish::bench {

struct Summary {
    std::size_t count = 0;
    double p50 = 0, p99 = 0, mean = 0, least = 0, most = 0; // microseconds
};

// Percentiles by nearest rank: of 50 times the 99th percentile is the longest. Zeros for no times at all.
[[nodiscard]] Summary summarize(std::vector<std::uint64_t> nanoseconds);

} // namespace squish::bench
