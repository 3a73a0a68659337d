#include "procfs/view.h"

#include "procfs/lines.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kKb = 1024;
constexpr std::uint64_t kMilli = 1000;

// Takes parts off what is left, so that their sum stays within it whatever the counters say: the kernel does not
// read them all at one instant.
class Share {
public:
    explicit Share(std::uint64_t kb) : left_(kb) {}
    std::uint64_t take(std::uint64_t bytes) {
        const auto kb = std::min(bytes / kKb, left_);
        left_ -= kb;
        return kb;
    }
    [[nodiscard]] std::uint64_t left() const { return left_; }

private:
    std::uint64_t left_;
};

Memory divide(const MemoryUsage& usage, std::uint64_t total) {
    Memory out;
    out.total = total;
    const auto used = std::min(usage.current / kKb, total);
    out.free = total - used;

    Share parts(used);
    out.anon = parts.take(usage.anon);
    out.shmem = parts.take(std::min(usage.shmem, usage.cache));
    out.file = parts.take(usage.cache - std::min(usage.shmem, usage.cache));
    out.slab_reclaimable = parts.take(usage.slab_reclaimable);
    out.slab_unreclaimable = parts.take(usage.slab_unreclaimable);
    out.kernel_stack = parts.take(usage.kernel_stack);
    out.page_tables = parts.take(usage.page_tables);
    out.percpu = parts.take(usage.percpu);

    // The lists overlap with the parts above. Where nobody counts them, everything is inactive.
    Share anon(out.anon + out.shmem);
    out.active_anon = anon.take(usage.active_anon);
    out.inactive_anon = usage.active_anon + usage.inactive_anon == 0 ? anon.left() : anon.take(usage.inactive_anon);
    Share file(out.file);
    out.active_file = file.take(usage.active_file);
    out.inactive_file = usage.active_file + usage.inactive_file == 0 ? file.left() : file.take(usage.inactive_file);
    const auto listed = out.active_anon + out.inactive_anon + out.active_file + out.inactive_file;
    out.unevictable = Share(out.anon + out.shmem + out.file - listed).take(usage.unevictable);

    out.mapped = Share(out.shmem + out.file).take(usage.mapped);
    out.dirty = Share(out.file).take(usage.dirty);
    out.writeback = Share(out.file - out.dirty).take(usage.writeback);
    out.anon_huge = Share(out.anon).take(usage.anon_huge);
    out.shmem_huge = Share(out.shmem).take(usage.shmem_huge);
    out.file_huge = Share(out.file).take(usage.file_huge);

    // As si_mem_available() of the kernel, without watermarks: a cgroup has none.
    out.available = out.free + out.active_file + out.inactive_file + out.slab_reclaimable;
    return out;
}

std::uint64_t within(std::uint64_t limit_bytes, std::uint64_t host_kb) {
    const auto kb = limit_bytes / kKb;
    return host_kb == 0 ? kb : std::min(kb, host_kb);
}

} // namespace

Host read_host(std::string_view meminfo, std::string_view online) {
    Host host;
    for (const auto line : lines(meminfo)) {
        const auto entry = key_line(line);
        if (entry && entry->key == "MemTotal")
            host.memory_kb = entry->number;
        else if (entry && entry->key == "SwapTotal")
            host.swap_kb = entry->number;
    }
    host.online = parse_cpu_list(online).value_or(CpuSet{});
    return host;
}

CpuSet shown_cpus(const Limits& limits, const CpuSet& online) {
    auto cpus = online;
    if (limits.cpuset && !limits.cpuset->empty()) {
        cpus = online.empty() ? *limits.cpuset : common_cpus(*limits.cpuset, online);
        if (cpus.empty()) // the set names none that is there: the kernel would not have taken it
            cpus = online;
    }
    if (limits.milli_cpus) {
        const auto whole = *limits.milli_cpus / kMilli + (*limits.milli_cpus % kMilli != 0 ? 1 : 0);
        const auto count = std::max<std::uint64_t>(whole, 1);
        if (count < cpus.size())
            cpus.resize(count);
    }
    return cpus;
}

View make_view(const Limits& limits, Usage usage, const Host& host) {
    View view;
    view.limits = limits;
    view.cpus = shown_cpus(limits, host.online);
    if (limits.memory) // programs divide by it: never 0
        view.memory = divide(usage.memory, std::max<std::uint64_t>(within(*limits.memory, host.memory_kb), 1));
    if (limits.memory || limits.swap) {
        // A limit of swap is worth no more than the swap that the host has.
        const auto total = limits.swap ? std::min(*limits.swap / kKb, host.swap_kb) : host.swap_kb;
        view.swap = Swap{.total = total, .used = std::min(usage.memory.swap / kKb, total)};
    }
    usage.cpus.resize(view.cpus.size(), CpuTimes{.user = 0, .system = 0, .idle = usage.uptime_us});
    view.usage = std::move(usage);
    return view;
}

} // namespace squish::procfs
