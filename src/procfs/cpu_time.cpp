#include "procfs/cpu_time.h"

#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::size_t kUserColumn = 0;
constexpr std::size_t kSystemColumn = 2;

} // namespace

std::uint64_t ticks_per_second(const View& view) {
    return std::clamp<std::uint64_t>(view.ticks_per_second, 1, 10'000);
}

std::vector<CpuTimes> own_cpu_times(const View& view) {
    const auto cpus = shown_cpus(view);
    const auto count = cpus.count();
    const auto hertz = ticks_per_second(view);
    const auto user = scale(view.own.usage.cpu_user_us, hertz, 1'000'000);
    const auto system = scale(view.own.usage.cpu_system_us, hertz, 1'000'000);
    const auto uptime = scale(view.uptime_ns, hertz, 1'000'000'000);
    // The first CPUs have what does not divide.
    const auto share = [count](std::uint64_t all, std::size_t index) {
        return all / count + (index < all % count ? 1 : 0);
    };
    std::vector<CpuTimes> times;
    times.reserve(count);
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) {
        if (!cpus.test(cpu))
            continue;
        CpuTimes line{.cpu = cpu};
        line.ticks[kUserColumn] = share(user, times.size());
        line.ticks[kSystemColumn] = share(system, times.size());
        line.ticks[kIdleColumn] = less(uptime, add(line.ticks[kUserColumn], line.ticks[kSystemColumn]));
        times.push_back(line);
    }
    return times;
}

std::uint64_t sum_of(const std::vector<CpuTimes>& times, std::size_t column) {
    std::uint64_t sum = 0;
    for (const auto& line : times)
        sum = add(sum, line.ticks[column]);
    return sum;
}

} // namespace squish::procfs
