// /sys/devices/system/node/node0/meminfo: all memory that /proc/meminfo shows, on the only node that is shown.
#include "procfs/node_meminfo.h"

#include "procfs/files.h"
#include "procfs/reading.h"

#include <algorithm>
#include <vector>

namespace squish::procfs {

namespace {

// In the order of node_read_meminfo(), drivers/base/node.c. Those whose line /proc/meminfo has, under the same name,
// but for the two that are made of others.
constexpr std::string_view kNames[] = {
    "MemTotal",       "MemFree",        "MemUsed",       "SwapCached",     "Active",          "Inactive",
    "Active(anon)",   "Inactive(anon)", "Active(file)",  "Inactive(file)", "Unevictable",     "Mlocked",
    "Dirty",          "Writeback",      "FilePages",     "Mapped",         "AnonPages",       "Shmem",
    "KernelStack",    "PageTables",     "SecPageTables", "NFS_Unstable",   "Bounce",          "WritebackTmp",
    "KReclaimable",   "Slab",           "SReclaimable",  "SUnreclaim",     "AnonHugePages",   "ShmemHugePages",
    "ShmemPmdMapped", "FileHugePages",  "FilePmdMapped", "Unaccepted",     "HugePages_Total", "HugePages_Free",
    "HugePages_Surp",
};

struct Entries {
    std::vector<Entry> all;

    [[nodiscard]] const Entry* find(std::string_view name) const {
        const auto found = std::ranges::find(all, name, &Entry::name);
        return found == all.end() ? nullptr : &*found;
    }
    [[nodiscard]] std::uint64_t value(std::string_view name) const {
        const auto* entry = find(name);
        return entry != nullptr ? entry->value : 0;
    }
};

// "Node 0 MemTotal:       11102424 kB", "Node 0 HugePages_Total:     0"
void append_line(std::string& out, const Entry& entry) {
    constexpr std::size_t kNameWidth = 16;
    out.append("Node 0 ").append(entry.name) += ':';
    out.append(less(kNameWidth, entry.name.size() + 1), ' ');
    if (entry.kilobytes)
        append_number(out, entry.value, 8);
    else
        append_number(out += ' ', entry.value, 5);
    out += entry.kilobytes ? " kB\n" : "\n";
}

} // namespace

std::string node_meminfo(std::string_view host_meminfo, const View& view) {
    const auto text = meminfo(host_meminfo, view);
    Entries entries;
    std::string_view lines = text;
    while (const auto line = take_line(lines))
        if (const auto entry = read_entry(*line))
            entries.all.push_back(*entry);

    std::string out;
    out.reserve(text.size() * 2);
    for (const auto name : kNames) {
        if (name == "MemUsed")
            append_line(out, {name, less(entries.value("MemTotal"), entries.value("MemFree")), true});
        else if (name == "FilePages") // the cache of files, of disks and of what is swapped
            append_line(
                out,
                {name, add(add(entries.value("Cached"), entries.value("Buffers")), entries.value("SwapCached")), true});
        else if (const auto* entry = entries.find(name))
            append_line(out, *entry);
    }
    return out;
}

} // namespace squish::procfs
