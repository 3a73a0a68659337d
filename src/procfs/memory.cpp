#include "procfs/memory.h"

#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kKilobyte = 1024;
constexpr std::uint64_t kSmallestTotal = 4; // programs divide by it

std::uint64_t rounded_up(std::uint64_t bytes) {
    return bytes / kKilobyte + (bytes % kKilobyte != 0 ? 1 : 0);
}

std::uint64_t total_of(const HostMemory& host, const View& view) {
    const auto& limit = view.own.limits.memory;
    if (limit && host.total != 0)
        return std::min(*limit / kKilobyte, host.total);
    if (limit)
        return *limit / kKilobyte;
    return host.total != 0 ? host.total : rounded_up(view.own.usage.memory);
}

} // namespace

Swap own_swap(std::uint64_t host_total, const View& view) {
    Swap swap;
    swap.total = std::min(view.own.limits.swap.value_or(~std::uint64_t{0}) / kKilobyte, host_total);
    swap.used = std::min(rounded_up(view.own.usage.swap), swap.total);
    return swap;
}

Memory own_memory(const HostMemory& host, const View& view) {
    const auto& usage = view.own.usage;
    Memory memory;
    memory.total = std::max(total_of(host, view), kSmallestTotal);
    memory.used = std::min(rounded_up(usage.memory), memory.total);
    memory.free = memory.total - memory.used;

    // The figures are not read at one instant: no part is larger than the whole.
    const auto part = [&](std::uint64_t bytes) { return std::min(bytes / kKilobyte, memory.used); };
    memory.cached = part(usage.file);
    memory.slab_reclaimable = std::min(part(usage.slab_reclaimable), memory.used - memory.cached);
    memory.shmem = std::min(part(usage.shmem), memory.cached);
    memory.inactive_anon = part(usage.inactive_anon);
    memory.active_anon = part(usage.active_anon);
    memory.inactive_file = part(usage.inactive_file);
    memory.active_file = part(usage.active_file);
    memory.unevictable = part(usage.unevictable);
    memory.anon = part(usage.anon);
    memory.mapped = part(usage.file_mapped);
    memory.dirty = part(usage.file_dirty);
    memory.writeback = part(usage.file_writeback);
    memory.slab_unreclaimable = part(usage.slab_unreclaimable);
    memory.kernel_stack = part(usage.kernel_stack);
    memory.page_tables = part(usage.pagetables);

    const auto reclaimable = add(add(memory.inactive_file, memory.active_file), memory.slab_reclaimable);
    memory.available = memory.free + std::min(reclaimable, memory.used);

    const auto swap = own_swap(host.swap_total, view);
    memory.swap_total = swap.total;
    memory.swap_used = swap.used;
    memory.swap_free = swap.total - swap.used;
    memory.swap_cached = std::min(usage.swap_cached / kKilobyte, swap.used);
    return memory;
}

HostMemory read_host_memory(std::string_view meminfo) {
    HostMemory host;
    while (const auto line = take_line(meminfo)) {
        // Most lines are others: they are not taken apart.
        if (!line->starts_with("MemTotal:") && !line->starts_with("SwapTotal:"))
            continue;
        if (const auto entry = read_entry(*line))
            (entry->name == "MemTotal" ? host.total : host.swap_total) = entry->value;
    }
    return host;
}

} // namespace squish::procfs
