#include "procfs/usage_from_cgroup.h"

#include "base/text.h"
#include "procfs/lines.h"

#include <algorithm>
#include <map>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kTickUs = 10'000;
constexpr std::uint64_t kNsPerUs = 1000;
constexpr std::size_t kMaxDevices = 256; // of one container

// Lines "key number".
class Table {
public:
    explicit Table(std::string_view text) {
        for (const auto line : lines(text)) {
            const auto parts = words(line);
            if (const auto number = number_at(parts, 1); number && parts.size() == 2)
                rows_.emplace(parts[0], *number);
        }
    }
    [[nodiscard]] bool has(std::string_view key) const { return rows_.contains(key); }
    [[nodiscard]] std::uint64_t operator[](std::string_view key) const {
        const auto at = rows_.find(key);
        return at == rows_.end() ? 0 : at->second;
    }

private:
    std::map<std::string_view, std::uint64_t> rows_;
};

MemoryUsage of_v1(const Table& rows) {
    MemoryUsage out;
    out.anon = rows["total_rss"];
    out.cache = rows["total_cache"];
    out.shmem = rows["total_shmem"];
    out.mapped = rows["total_mapped_file"];
    out.dirty = rows["total_dirty"];
    out.writeback = rows["total_writeback"];
    out.active_anon = rows["total_active_anon"];
    out.inactive_anon = rows["total_inactive_anon"];
    out.active_file = rows["total_active_file"];
    out.inactive_file = rows["total_inactive_file"];
    out.unevictable = rows["total_unevictable"];
    out.anon_huge = rows["total_rss_huge"];
    out.swap = rows["total_swap"];
    return out;
}

MemoryUsage of_v2(const Table& rows) {
    MemoryUsage out;
    out.anon = rows["anon"];
    out.cache = rows["file"];
    out.shmem = rows["shmem"];
    out.mapped = rows["file_mapped"];
    out.dirty = rows["file_dirty"];
    out.writeback = rows["file_writeback"];
    out.active_anon = rows["active_anon"];
    out.inactive_anon = rows["inactive_anon"];
    out.active_file = rows["active_file"];
    out.inactive_file = rows["inactive_file"];
    out.unevictable = rows["unevictable"];
    out.slab_reclaimable = rows["slab_reclaimable"];
    out.slab_unreclaimable = rows["slab_unreclaimable"];
    out.kernel_stack = rows["kernel_stack"];
    out.page_tables = rows["pagetables"];
    out.percpu = rows["percpu"];
    out.anon_huge = rows["anon_thp"];
    out.shmem_huge = rows["shmem_thp"];
    out.file_huge = rows["file_thp"];
    return out;
}

} // namespace

MemoryUsage parse_memory_stat(std::string_view stat, std::string_view current, std::string_view swap) {
    const Table rows(stat);
    auto out = rows.has("total_rss") ? of_v1(rows) : of_v2(rows);
    out.current = parse_number(trim(current)).value_or(0);
    out.swap = parse_number(trim(swap)).value_or(out.swap);
    return out;
}

MemoryEvents parse_memory_events(std::string_view stat, std::string_view events) {
    const Table rows(stat);
    const bool v1 = rows.has("total_rss");
    MemoryEvents out;
    out.page_faults = rows[v1 ? "total_pgfault" : "pgfault"];
    out.major_faults = rows[v1 ? "total_pgmajfault" : "pgmajfault"];
    out.swapped_in = rows["pswpin"];
    out.swapped_out = rows["pswpout"];
    out.oom_kills = Table(events)["oom_kill"];
    return out;
}

CpuReading parse_cpu_stat(std::string_view text) {
    const Table rows(text);
    CpuReading out;
    out.user = rows["user_usec"];
    out.system = rows["system_usec"];
    return out;
}

CpuReading parse_cpuacct(std::string_view stat, std::string_view usage, std::string_view usage_percpu) {
    const Table rows(stat);
    CpuReading out;
    out.user = rows["user"] * kTickUs;
    out.system = rows["system"] * kTickUs;
    // The sum in nanoseconds is exact; the ticks say how it divides.
    const auto exact = parse_number(trim(usage)).value_or(0) / kNsPerUs;
    if (exact != 0) {
        const auto sampled = out.user + out.system;
        out.system =
            sampled == 0 ? 0 : static_cast<std::uint64_t>(static_cast<unsigned __int128>(exact) * out.system / sampled);
        out.system = std::min(out.system, exact);
        out.user = exact - out.system;
    }
    const auto parts = words(trim(usage_percpu));
    for (std::size_t i = 0; i < parts.size() && i < kMaxCpus; ++i)
        out.per_cpu.push_back(number_at(parts, i).value_or(0) / kNsPerUs);
    return out;
}

std::vector<DeviceIo> parse_io_stat(std::string_view text) {
    std::vector<DeviceIo> out;
    for (const auto line : lines(text)) {
        const auto parts = words(line);
        const auto name = parts.empty() ? std::string_view{} : parts.front();
        const auto colon = name.find(':');
        const auto major = parse_number(name.substr(0, colon));
        if (!major || colon == std::string_view::npos || out.size() == kMaxDevices)
            continue;
        const auto minor = parse_number(name.substr(colon + 1));
        if (!minor)
            continue;
        DeviceIo io;
        io.major = *major;
        io.minor = *minor;
        for (const auto part : parts) {
            const auto equal = part.find('=');
            const auto key = part.substr(0, equal);
            const auto value = equal == std::string_view::npos ? 0 : parse_number(part.substr(equal + 1)).value_or(0);
            if (key == "rbytes")
                io.read_bytes = value;
            else if (key == "wbytes")
                io.write_bytes = value;
            else if (key == "rios")
                io.reads = value;
            else if (key == "wios")
                io.writes = value;
            else if (key == "dbytes")
                io.discard_bytes = value;
            else if (key == "dios")
                io.discards = value;
        }
        out.push_back(io);
    }
    return out;
}

} // namespace squish::procfs
