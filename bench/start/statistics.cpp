#include "statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace squish::bench {

Summary summarize(std::vector<std::uint64_t> nanoseconds) {
    if (nanoseconds.empty())
        return {};
    std::ranges::sort(nanoseconds);
    const auto count = static_cast<double>(nanoseconds.size());
    const auto rank = [&](double part) {
        const auto at = static_cast<std::size_t>(std::ceil(part * count)) - 1;
        return static_cast<double>(nanoseconds[at]) / 1000;
    };
    const auto sum = std::accumulate(nanoseconds.begin(), nanoseconds.end(), std::uint64_t{0});
    return {nanoseconds.size(),
            rank(0.5),
            rank(0.99),
            static_cast<double>(sum) / count / 1000,
            static_cast<double>(nanoseconds.front()) / 1000,
            static_cast<double>(nanoseconds.back()) / 1000};
}

} // namespace squish::bench
