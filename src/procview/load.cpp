#include "procview/load.h"

#include <algorithm>

namespace squish::procview {

namespace {

// include/linux/sched/loadavg.h
constexpr unsigned kShift = 11;
constexpr std::uint64_t kOne = 1U << kShift;
constexpr std::array<std::uint64_t, 3> kDecay = {1884, 2014, 2037}; // 1/exp(5s/1min), 5 min, 15 min
constexpr std::uint64_t kMaxActive = 1U << 22;                      // PID_MAX_LIMIT

// decay to the power of n, in fixed point: fixed_power_int()
std::uint64_t power(std::uint64_t decay, std::uint64_t n) {
    std::uint64_t result = kOne;
    for (; n > 0; n >>= 1) {
        if (n & 1)
            result = (result * decay + (kOne >> 1)) >> kShift;
        decay = (decay * decay + (kOne >> 1)) >> kShift;
    }
    return result;
}

} // namespace

void LoadAverage::add(std::uint64_t active, std::uint64_t intervals) {
    if (intervals == 0)
        return;
    const auto now = std::min(active, kMaxActive) * kOne;
    for (std::size_t i = 0; i < load_.size(); ++i) {
        const auto decay = power(kDecay[i], intervals);
        auto sum = load_[i] * decay + now * (kOne - decay);
        if (now >= load_[i])
            sum += kOne - 1; // so that it can reach a whole number
        load_[i] = sum / kOne;
    }
}

std::array<std::uint32_t, 3> LoadAverage::in_hundredths() const {
    std::array<std::uint32_t, 3> out{};
    for (std::size_t i = 0; i < load_.size(); ++i)
        out[i] = static_cast<std::uint32_t>((load_[i] + kOne / 200) * 100 >> kShift);
    return out;
}

} // namespace squish::procview
