// /proc/meminfo: the host's lines in the host's order, with the container's figures. The lines that a program may not
// miss are there whatever the host's text is.
#include "procfs/files.h"
#include "procfs/memory.h"
#include "procfs/reading.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace squish::procfs {

namespace {

// Where the host's text is none. Not in it: what only some kernels have.
constexpr std::string_view kTemplate =
    "MemTotal: 0 kB\nMemFree: 0 kB\nMemAvailable: 0 kB\nBuffers: 0 kB\nCached: 0 kB\n"
    "SwapCached: 0 kB\nActive: 0 kB\nInactive: 0 kB\nActive(anon): 0 kB\n"
    "Inactive(anon): 0 kB\nActive(file): 0 kB\nInactive(file): 0 kB\n"
    "Unevictable: 0 kB\nMlocked: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    "Dirty: 0 kB\nWriteback: 0 kB\nAnonPages: 0 kB\nMapped: 0 kB\nShmem: 0 kB\n"
    "KReclaimable: 0 kB\nSlab: 0 kB\nSReclaimable: 0 kB\nSUnreclaim: 0 kB\n"
    "KernelStack: 0 kB\nPageTables: 0 kB\nCommitLimit: 0 kB\nCommitted_AS: 0 kB\n";

// What programs refuse to run without (procps: "meminfo: missing value"), or compute nonsense.
constexpr std::array<std::string_view, 7> kEssential = {"MemTotal", "MemFree",   "MemAvailable", "Buffers",
                                                        "Cached",   "SwapTotal", "SwapFree"};

using Value = std::uint64_t (*)(const Memory&, std::uint64_t host);

struct Line {
    std::string_view name;
    Value value;
};

// By name. What is not here is 0.
constexpr Line kLines[] = {
    {"Active", [](const Memory& m, std::uint64_t) { return m.active_anon + m.active_file; }},
    {"Active(anon)", [](const Memory& m, std::uint64_t) { return m.active_anon; }},
    {"Active(file)", [](const Memory& m, std::uint64_t) { return m.active_file; }},
    {"AnonPages", [](const Memory& m, std::uint64_t) { return m.anon; }},
    {"Cached", [](const Memory& m, std::uint64_t) { return m.cached; }},
    // The host's setting, but no more than there is.
    {"CommitLimit", [](const Memory& m, std::uint64_t host) { return std::min(host, add(m.total, m.swap_total)); }},
    {"Committed_AS", [](const Memory& m, std::uint64_t) { return add(m.anon + m.shmem, m.swap_used); }},
    {"Dirty", [](const Memory& m, std::uint64_t) { return m.dirty; }},
    {"Hugepagesize", [](const Memory&, std::uint64_t host) { return host; }}, // a size, of no memory
    {"Inactive", [](const Memory& m, std::uint64_t) { return m.inactive_anon + m.inactive_file; }},
    {"Inactive(anon)", [](const Memory& m, std::uint64_t) { return m.inactive_anon; }},
    {"Inactive(file)", [](const Memory& m, std::uint64_t) { return m.inactive_file; }},
    {"KReclaimable", [](const Memory& m, std::uint64_t) { return m.slab_reclaimable; }},
    {"KernelStack", [](const Memory& m, std::uint64_t) { return m.kernel_stack; }},
    {"Mapped", [](const Memory& m, std::uint64_t) { return m.mapped; }},
    {"MemAvailable", [](const Memory& m, std::uint64_t) { return m.available; }},
    {"MemFree", [](const Memory& m, std::uint64_t) { return m.free; }},
    {"MemTotal", [](const Memory& m, std::uint64_t) { return m.total; }},
    {"PageTables", [](const Memory& m, std::uint64_t) { return m.page_tables; }},
    {"SReclaimable", [](const Memory& m, std::uint64_t) { return m.slab_reclaimable; }},
    {"SUnreclaim", [](const Memory& m, std::uint64_t) { return m.slab_unreclaimable; }},
    {"Shmem", [](const Memory& m, std::uint64_t) { return m.shmem; }},
    {"Slab", [](const Memory& m, std::uint64_t) { return m.slab_reclaimable + m.slab_unreclaimable; }},
    {"SwapCached", [](const Memory& m, std::uint64_t) { return m.swap_cached; }},
    {"SwapFree", [](const Memory& m, std::uint64_t) { return m.swap_free; }},
    {"SwapTotal", [](const Memory& m, std::uint64_t) { return m.swap_total; }},
    {"Unevictable", [](const Memory& m, std::uint64_t) { return m.unevictable; }},
    {"VmallocTotal", [](const Memory&, std::uint64_t host) { return host; }}, // the architecture's addresses
    {"Writeback", [](const Memory& m, std::uint64_t) { return m.writeback; }},
};
static_assert(std::ranges::is_sorted(kLines, {}, &Line::name));

std::uint64_t own_value(const Entry& entry, const Memory& memory) {
    const auto* line = std::ranges::lower_bound(kLines, entry.name, {}, &Line::name);
    return line != std::end(kLines) && line->name == entry.name ? line->value(memory, entry.value) : 0;
}

// "%-16s%8lu kB", as show_val_kb() in fs/proc/meminfo.c; a longer name takes from the number's width.
void append_entry(std::string& out, const Entry& entry, std::uint64_t value) {
    constexpr std::size_t kNameWidth = 16;
    constexpr std::size_t kWidth = 24;
    auto used = entry.name.size() + 1;
    out += entry.name;
    out += ':';
    if (used < kNameWidth) {
        out.append(kNameWidth - used, ' ');
        used = kNameWidth;
    }
    if (used >= kWidth)
        out += ' ';
    append_number(out, value, less(kWidth, used));
    out += entry.kilobytes ? " kB\n" : "\n";
}

bool is_complete(std::string_view meminfo) {
    std::size_t found = 0;
    while (const auto line = take_line(meminfo))
        if (found < kEssential.size() && line->starts_with(kEssential[found]) && read_entry(*line) &&
            read_entry(*line)->name == kEssential[found])
            ++found; // the kernel's order
    return found == kEssential.size();
}

// What a text that is not whole says.
struct Remains {
    std::string_view host;
    [[nodiscard]] std::optional<std::uint64_t> value(std::string_view name) const {
        auto rest = host;
        while (const auto line = take_line(rest))
            if (const auto entry = read_entry(*line); entry && entry->name == name)
                return entry->value;
        return std::nullopt;
    }
};

std::string host_meminfo(std::string_view host) {
    std::string out;
    if (is_complete(host)) {
        out.reserve(host.size());
        while (const auto line = take_line(host))
            if (read_entry(*line))
                out.append(*line) += '\n';
        return out;
    }
    const Remains remains{host};
    const auto total = remains.value("MemTotal").value_or(0);
    const auto free = std::min(remains.value("MemFree").value_or(total), total);
    auto lines = kTemplate;
    while (const auto line = take_line(lines)) {
        const auto entry = *read_entry(*line);
        auto value = remains.value(entry.name).value_or(0);
        if (entry.name == "MemFree")
            value = free;
        else if (entry.name == "MemAvailable")
            value = std::clamp(remains.value(entry.name).value_or(free), free, total);
        append_entry(out, entry, value);
    }
    return out;
}

} // namespace

std::string meminfo(std::string_view host, const View& view) {
    if (!shows_own_memory(view))
        return host_meminfo(host);
    const auto memory = own_memory(read_host_memory(host), view);
    auto lines = is_complete(host) ? host : kTemplate;
    std::string out;
    out.reserve(lines.size() + 64);
    while (const auto line = take_line(lines))
        if (const auto entry = read_entry(*line))
            append_entry(out, *entry, own_value(*entry, memory));
    return out;
}

} // namespace squish::procfs
