// The memory of a container as the kernel would count it were the container the whole machine: the one source of
// meminfo, node0/meminfo, vmstat, swaps and sysinfo(2).
#pragma once

#include "procfs/view.h"

#include <cstdint>
#include <string_view>

namespace squish::procfs {

// In kB, as meminfo has them. It holds that: used + free = total, free <= available <= total, cached + slab_reclaimable
// <= used, shmem <= cached: procps, htop and psutil subtract these from each other.
struct Memory {
    std::uint64_t total = 0, used = 0, free = 0, available = 0, cached = 0;
    std::uint64_t swap_total = 0, swap_used = 0, swap_free = 0, swap_cached = 0;
    std::uint64_t inactive_anon = 0, active_anon = 0, inactive_file = 0, active_file = 0, unevictable = 0;
    std::uint64_t anon = 0, mapped = 0, shmem = 0, dirty = 0, writeback = 0;
    std::uint64_t slab_reclaimable = 0, slab_unreclaimable = 0, kernel_stack = 0, page_tables = 0;
};

// What is needed of the host's /proc/meminfo; in kB.
struct HostMemory {
    std::uint64_t total = 0, swap_total = 0;
};

// Of a view that shows its own memory. A total of 0: the host's is not known.
[[nodiscard]] Memory own_memory(const HostMemory& host, const View& view);

// The part of it that can be swapped, which needs less; in kB.
struct Swap {
    std::uint64_t total = 0, used = 0;
};
[[nodiscard]] Swap own_swap(std::uint64_t host_total, const View& view);

[[nodiscard]] HostMemory read_host_memory(std::string_view meminfo);

} // namespace squish::procfs
