#include "procfs/cpu_times.h"

#include <algorithm>

namespace squish::procfs {

namespace {

// Larger figures are no times (this is 9,000 years), and would not fit in products.
constexpr std::uint64_t kMaxUs = 1ULL << 58;

std::uint64_t grown(std::uint64_t before, std::uint64_t now) {
    return now > before ? std::min(now - before, kMaxUs) : 0;
}

std::uint64_t per_cpu_at(const CpuReading& reading, std::uint32_t cpu) {
    return cpu < reading.per_cpu.size() ? reading.per_cpu[cpu] : 0;
}

// part of whole, of `amount`
std::uint64_t share(std::uint64_t amount, std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<std::uint64_t>(static_cast<unsigned __int128>(amount) * part / whole);
}

// How much of `busy` each CPU gets, at most `elapsed` each: what it is known to have worked, else equal parts; then
// what is left over, where there is room.
std::vector<std::uint64_t> spread(std::uint64_t busy, std::uint64_t elapsed, const std::vector<std::uint64_t>& known) {
    const auto count = known.size();
    std::vector<std::uint64_t> out(count, 0);
    const bool any = std::ranges::any_of(known, [](std::uint64_t one) { return one != 0; });
    auto left = busy;
    for (std::size_t i = 0; i < count; ++i) {
        const auto want = any ? known[i] : busy / count;
        out[i] = std::min({want, elapsed, left});
        left -= out[i];
    }
    for (std::size_t i = 0; i < count && left != 0; ++i) {
        const auto more = std::min(elapsed - out[i], left);
        out[i] += more;
        left -= more;
    }
    return out;
}

} // namespace

CpuLedger advance(const CpuLedger& before, const CpuReading& now, const CpuSet& cpus) {
    CpuLedger after;
    after.last = now;
    after.last.uptime = std::max(now.uptime, before.last.uptime);
    after.last.user = std::max(now.user, before.last.user);
    after.last.system = std::max(now.system, before.last.system);
    after.shown = before.shown;
    const auto count = cpus.size();
    after.shown.resize(count, CpuTimes{.user = 0, .system = 0, .idle = before.last.uptime});

    const auto elapsed = grown(before.last.uptime, after.last.uptime);
    const auto user = grown(before.last.user, after.last.user) + std::min(before.owed_user, kMaxUs);
    const auto system = grown(before.last.system, after.last.system) + std::min(before.owed_system, kMaxUs);
    const auto busy = user + system;

    std::vector<std::uint64_t> known;
    known.reserve(count);
    for (const auto cpu : cpus)
        known.push_back(grown(per_cpu_at(before.last, cpu), per_cpu_at(now, cpu)));

    auto user_left = user;
    auto system_left = system;
    const auto parts = spread(busy, elapsed, known);
    for (std::size_t i = 0; i < count; ++i) {
        // Rounded down, so that some of the last CPU's may be left of one kind only: min() on both sides.
        auto in_user = std::min(share(parts[i], user, busy), user_left);
        const auto in_system = std::min(parts[i] - in_user, system_left);
        in_user = std::min(parts[i] - in_system, user_left);
        user_left -= in_user;
        system_left -= in_system;
        after.shown[i].user += in_user;
        after.shown[i].system += in_system;
        after.shown[i].idle += elapsed - in_user - in_system;
    }
    after.owed_user = user_left;
    after.owed_system = system_left;
    return after;
}

} // namespace squish::procfs
