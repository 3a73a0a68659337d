#include "procfs/vmstat.h"

#include "procfs/lines.h"

#include <algorithm>
#include <array>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kPageKb = 4;

std::uint64_t io_kb(const Usage& usage, std::uint64_t DeviceIo::* bytes) {
    std::uint64_t sum = 0;
    for (const auto& io : usage.io)
        sum += io.*bytes / 1024;
    return sum;
}

struct Row {
    std::string_view name;
    std::uint64_t (*value)(const Memory&, const Usage&);
};

constexpr std::array kRows = {
    Row{"nr_free_pages", [](const Memory& m, const Usage&) { return m.free / kPageKb; }},
    Row{"nr_zone_inactive_anon", [](const Memory& m, const Usage&) { return m.inactive_anon / kPageKb; }},
    Row{"nr_zone_active_anon", [](const Memory& m, const Usage&) { return m.active_anon / kPageKb; }},
    Row{"nr_zone_inactive_file", [](const Memory& m, const Usage&) { return m.inactive_file / kPageKb; }},
    Row{"nr_zone_active_file", [](const Memory& m, const Usage&) { return m.active_file / kPageKb; }},
    Row{"nr_zone_unevictable", [](const Memory& m, const Usage&) { return m.unevictable / kPageKb; }},
    Row{"nr_inactive_anon", [](const Memory& m, const Usage&) { return m.inactive_anon / kPageKb; }},
    Row{"nr_active_anon", [](const Memory& m, const Usage&) { return m.active_anon / kPageKb; }},
    Row{"nr_inactive_file", [](const Memory& m, const Usage&) { return m.inactive_file / kPageKb; }},
    Row{"nr_active_file", [](const Memory& m, const Usage&) { return m.active_file / kPageKb; }},
    Row{"nr_unevictable", [](const Memory& m, const Usage&) { return m.unevictable / kPageKb; }},
    Row{"nr_slab_reclaimable", [](const Memory& m, const Usage&) { return m.slab_reclaimable / kPageKb; }},
    Row{"nr_slab_unreclaimable", [](const Memory& m, const Usage&) { return m.slab_unreclaimable / kPageKb; }},
    Row{"nr_anon_pages", [](const Memory& m, const Usage&) { return m.anon / kPageKb; }},
    Row{"nr_mapped", [](const Memory& m, const Usage&) { return m.mapped / kPageKb; }},
    Row{"nr_file_pages", [](const Memory& m, const Usage&) { return (m.file + m.shmem) / kPageKb; }},
    Row{"nr_dirty", [](const Memory& m, const Usage&) { return m.dirty / kPageKb; }},
    Row{"nr_writeback", [](const Memory& m, const Usage&) { return m.writeback / kPageKb; }},
    Row{"nr_shmem", [](const Memory& m, const Usage&) { return m.shmem / kPageKb; }},
    Row{"nr_kernel_stack", [](const Memory& m, const Usage&) { return m.kernel_stack; }}, // kB, unlike the others
    Row{"nr_page_table_pages", [](const Memory& m, const Usage&) { return m.page_tables / kPageKb; }},
    Row{"pgpgin", [](const Memory&, const Usage& u) { return io_kb(u, &DeviceIo::read_bytes); }}, // kB
    Row{"pgpgout", [](const Memory&, const Usage& u) { return io_kb(u, &DeviceIo::write_bytes); }},
    Row{"pswpin", [](const Memory&, const Usage& u) { return u.events.swapped_in; }},
    Row{"pswpout", [](const Memory&, const Usage& u) { return u.events.swapped_out; }},
    Row{"pgfault", [](const Memory&, const Usage& u) { return u.events.page_faults; }},
    Row{"pgmajfault", [](const Memory&, const Usage& u) { return u.events.major_faults; }},
    Row{"oom_kill", [](const Memory&, const Usage& u) { return u.events.oom_kills; }},
};

} // namespace

std::string vmstat(std::string_view host, const View& view) {
    if (!view.memory)
        return std::string(host);
    std::string out;
    for (const auto line : lines(host)) {
        const auto parts = words(line);
        if (parts.size() != 2 || !number_at(parts, 1))
            continue;
        const auto* const row = std::ranges::find(kRows, parts[0], &Row::name);
        out.append(parts[0]) += ' ';
        out += std::to_string(row == kRows.end() ? 0 : row->value(*view.memory, view.usage)) + "\n";
    }
    return out.empty() ? std::string(host) : out;
}

} // namespace squish::procfs
