#include "procfs/meminfo.h"

#include "procfs/lines.h"

#include <algorithm>
#include <array>
#include <map>

namespace squish::procfs {

namespace {

struct Row {
    std::string_view key;
    std::uint64_t (*value)(const Memory&, const Swap&);
};

// Documentation/filesystems/proc.rst of the kernel says what each means.
constexpr std::array kRows = {
    Row{"MemTotal", [](const Memory& m, const Swap&) { return m.total; }},
    Row{"MemFree", [](const Memory& m, const Swap&) { return m.free; }},
    Row{"MemAvailable", [](const Memory& m, const Swap&) { return m.available; }},
    Row{"Cached", [](const Memory& m, const Swap&) { return m.file + m.shmem; }},
    Row{"Active", [](const Memory& m, const Swap&) { return m.active_anon + m.active_file; }},
    Row{"Inactive", [](const Memory& m, const Swap&) { return m.inactive_anon + m.inactive_file; }},
    Row{"Active(anon)", [](const Memory& m, const Swap&) { return m.active_anon; }},
    Row{"Inactive(anon)", [](const Memory& m, const Swap&) { return m.inactive_anon; }},
    Row{"Active(file)", [](const Memory& m, const Swap&) { return m.active_file; }},
    Row{"Inactive(file)", [](const Memory& m, const Swap&) { return m.inactive_file; }},
    Row{"Unevictable", [](const Memory& m, const Swap&) { return m.unevictable; }},
    Row{"SwapTotal", [](const Memory&, const Swap& s) { return s.total; }},
    Row{"SwapFree", [](const Memory&, const Swap& s) { return s.total - s.used; }},
    Row{"Dirty", [](const Memory& m, const Swap&) { return m.dirty; }},
    Row{"Writeback", [](const Memory& m, const Swap&) { return m.writeback; }},
    Row{"AnonPages", [](const Memory& m, const Swap&) { return m.anon; }},
    Row{"Mapped", [](const Memory& m, const Swap&) { return m.mapped; }},
    Row{"Shmem", [](const Memory& m, const Swap&) { return m.shmem; }},
    Row{"KReclaimable", [](const Memory& m, const Swap&) { return m.slab_reclaimable; }},
    Row{"Slab", [](const Memory& m, const Swap&) { return m.slab_reclaimable + m.slab_unreclaimable; }},
    Row{"SReclaimable", [](const Memory& m, const Swap&) { return m.slab_reclaimable; }},
    Row{"SUnreclaim", [](const Memory& m, const Swap&) { return m.slab_unreclaimable; }},
    Row{"KernelStack", [](const Memory& m, const Swap&) { return m.kernel_stack; }},
    Row{"PageTables", [](const Memory& m, const Swap&) { return m.page_tables; }},
    // As with vm.overcommit_ratio = 50, the kernel's own default.
    Row{"CommitLimit", [](const Memory& m, const Swap& s) { return m.total / 2 + s.total; }},
    Row{"Committed_AS", [](const Memory& m, const Swap& s) { return m.anon + m.shmem + s.used; }},
    Row{"Percpu", [](const Memory& m, const Swap&) { return m.percpu; }},
    Row{"AnonHugePages", [](const Memory& m, const Swap&) { return m.anon_huge; }},
    Row{"ShmemHugePages", [](const Memory& m, const Swap&) { return m.shmem_huge; }},
    Row{"FileHugePages", [](const Memory& m, const Swap&) { return m.file_huge; }},
};

// About the machine, not about its use.
constexpr std::array<std::string_view, 2> kKept = {"Hugepagesize", "VmallocTotal"};

std::string with_swap(std::string_view host, const Swap& swap) {
    std::string out;
    for (const auto line : lines(host)) {
        const auto entry = key_line(line);
        if (entry && entry->key == "SwapTotal")
            out += entry->with(swap.total);
        else if (entry && entry->key == "SwapFree")
            out += entry->with(swap.total - swap.used);
        else if (entry && entry->key == "SwapCached")
            out += entry->with(0);
        else
            out += line;
        out += '\n';
    }
    return out;
}

bool has_key(std::string_view text, std::string_view key) {
    return std::ranges::any_of(lines(text), [key](std::string_view line) {
        const auto entry = key_line(line);
        return entry && entry->key == key;
    });
}

} // namespace

std::string meminfo(std::string_view host, const View& view) {
    if (!has_key(host, "MemTotal"))
        return std::string(host);
    if (!view.memory)
        return view.swap ? with_swap(host, *view.swap) : std::string(host);
    std::string out;
    for (const auto line : lines(host)) {
        const auto entry = key_line(line);
        if (!entry || std::ranges::find(kKept, entry->key) != kKept.end()) {
            out.append(line) += '\n';
            continue;
        }
        const auto* const row = std::ranges::find(kRows, entry->key, &Row::key);
        out += entry->with(row == kRows.end() ? 0 : row->value(*view.memory, view.swap.value_or(Swap{})));
        out += '\n';
    }
    return out;
}

std::string node_meminfo(std::string_view node, std::string_view rendered) {
    std::map<std::string_view, std::uint64_t> figures;
    for (const auto line : lines(rendered))
        if (const auto entry = key_line(line))
            figures.emplace(entry->key, entry->number);
    if (!figures.contains("MemTotal"))
        return std::string(node);
    const auto figure = [&figures](std::string_view key) {
        const auto at = figures.find(key);
        return at == figures.end() ? std::uint64_t{0} : at->second;
    };
    std::string out;
    for (const auto line : lines(node)) {
        const auto entry = key_line(line); // its key is "Node 0 MemTotal"
        const auto space = entry ? entry->key.rfind(' ') : std::string_view::npos;
        if (space == std::string_view::npos) {
            out.append(line) += '\n';
            continue;
        }
        const auto key = entry->key.substr(space + 1);
        if (key == "MemUsed")
            out += entry->with(figure("MemTotal") - std::min(figure("MemFree"), figure("MemTotal")));
        else if (key == "FilePages")
            out += entry->with(figure("Cached") + figure("Buffers") + figure("SwapCached"));
        else
            out += entry->with(figure(key));
        out += '\n';
    }
    return out;
}

} // namespace squish::procfs
