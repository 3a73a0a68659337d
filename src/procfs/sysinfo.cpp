#include "procfs/sysinfo.h"

#include <algorithm>
#include <limits>

namespace squish::procfs {

namespace {

constexpr unsigned long kKb = 1024;

unsigned long bytes_of(std::uint64_t kb) {
    return static_cast<unsigned long>(std::min<std::uint64_t>(kb, std::numeric_limits<unsigned long>::max() / kKb)) *
           kKb;
}

} // namespace

struct ::sysinfo sysinfo_of(const struct ::sysinfo& host, const View& view) {
    struct ::sysinfo out = host;
    out.uptime = static_cast<long>(view.usage.uptime_us / 1'000'000);
    for (std::size_t i = 0; i < view.usage.load.fixed.size(); ++i) // another fixed point: 1 << SI_LOAD_SHIFT
        out.loads[i] = static_cast<unsigned long>(view.usage.load.fixed[i] * ((1UL << SI_LOAD_SHIFT) / kLoadOne));
    out.procs = static_cast<unsigned short>(
        std::min<std::uint64_t>(view.usage.tasks.all, std::numeric_limits<unsigned short>::max()));
    // One unit for all: what comes from the host in larger ones is multiplied out.
    const auto unit = std::max<unsigned long>(host.mem_unit, 1);
    out.mem_unit = 1;
    for (auto* const figure : {&out.totalram, &out.freeram, &out.sharedram, &out.bufferram, &out.totalswap,
                               &out.freeswap, &out.totalhigh, &out.freehigh})
        *figure = *figure > std::numeric_limits<unsigned long>::max() / unit ? std::numeric_limits<unsigned long>::max()
                                                                             : *figure * unit;
    if (view.memory) {
        out.totalram = bytes_of(view.memory->total);
        out.freeram = bytes_of(view.memory->free);
        out.sharedram = bytes_of(view.memory->shmem);
        out.bufferram = 0;
        out.totalhigh = 0;
        out.freehigh = 0;
    }
    if (view.swap) {
        out.totalswap = bytes_of(view.swap->total);
        out.freeswap = bytes_of(view.swap->total - view.swap->used);
    }
    return out;
}

} // namespace squish::procfs
