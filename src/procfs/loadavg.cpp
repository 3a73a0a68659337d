#include "procfs/loadavg.h"

#include "procfs/lines.h"
#include "procfs/view.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr unsigned kShift = 11;
static_assert(kLoadOne == 1U << kShift);
// 1/exp(5s/1min), 1/exp(5s/5min), 1/exp(5s/15min) in fixed point: EXP_1, EXP_5 and EXP_15 of the kernel.
constexpr std::array<std::uint64_t, 3> kDecay = {1884, 2014, 2037};
constexpr std::uint64_t kMaxTasks = 1ULL << 22; // PID_MAX_LIMIT; keeps the products far below 64 bits

// base to the power of n, rounded at each step as the kernel rounds.
std::uint64_t power(std::uint64_t base, std::uint64_t n) {
    std::uint64_t result = kLoadOne;
    for (; n != 0; n >>= 1) {
        if (n & 1U)
            result = (result * base + kLoadOne / 2) >> kShift;
        base = (base * base + kLoadOne / 2) >> kShift;
    }
    return result;
}

} // namespace

LoadAverages next_load(const LoadAverages& before, std::uint64_t tasks, std::uint64_t periods) {
    const auto active = std::min(tasks, kMaxTasks) * kLoadOne;
    LoadAverages after;
    for (std::size_t i = 0; i < kDecay.size(); ++i) {
        const auto load = std::min(before.fixed[i], kMaxTasks * kLoadOne);
        const auto decay = power(kDecay[i], std::max<std::uint64_t>(periods, 1));
        auto sum = load * decay + active * (kLoadOne - decay);
        if (active >= load) // what rises is rounded up: an idle machine comes down to 0, a busy one reaches its load
            sum += kLoadOne - 1;
        after.fixed[i] = sum / kLoadOne;
    }
    return after;
}

std::uint64_t load_hundredths(std::uint64_t fixed) {
    fixed = std::min(fixed, kMaxTasks * kLoadOne) + kLoadOne / 200;
    return (fixed >> kShift) * 100 + (((fixed & (kLoadOne - 1)) * 100) >> kShift);
}

std::string loadavg(const View& view) {
    std::string out;
    for (const auto fixed : view.usage.load.fixed)
        out += hundredths(load_hundredths(fixed)) + " ";
    const auto& tasks = view.usage.tasks;
    out += std::to_string(std::min(tasks.running, tasks.all)) + "/" + std::to_string(tasks.all) + " ";
    return out + std::to_string(tasks.last_pid) + "\n";
}

} // namespace squish::procfs
