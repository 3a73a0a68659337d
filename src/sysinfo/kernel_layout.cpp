#include "sysinfo/kernel_layout.h"

#include <algorithm>
#include <climits>

namespace squish::sysinfo {

struct sysinfo to_kernel(const procfs::SystemInfo& info, std::uint64_t page_size) {
    struct sysinfo out{}; // padding included: it goes to the container
    std::uint64_t sum = 0;
    const bool fits = !__builtin_add_overflow(info.total, info.total_swap, &sum) && sum <= ULONG_MAX;
    const std::uint64_t unit = fits || page_size == 0 || page_size > UINT_MAX ? 1 : page_size;
    out.uptime = static_cast<long>(std::min<std::uint64_t>(info.uptime_s, LONG_MAX));
    for (std::size_t i = 0; i < info.loads.size(); ++i)
        out.loads[i] = info.loads[i];
    out.totalram = info.total / unit;
    out.freeram = info.free / unit;
    out.sharedram = info.shared / unit;
    out.bufferram = info.buffers / unit;
    out.totalswap = info.total_swap / unit;
    out.freeswap = info.free_swap / unit;
    out.procs = static_cast<unsigned short>(std::min<std::uint64_t>(info.processes, USHRT_MAX));
    out.mem_unit = static_cast<unsigned>(unit);
    return out;
}

} // namespace squish::sysinfo
