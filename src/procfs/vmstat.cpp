// /proc/vmstat: the host's lines, in pages; what is known of the container, and 0.
#include "procfs/files.h"
#include "procfs/memory.h"
#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

namespace {

// What programs look for (procps, sysstat), where the host's text is none.
constexpr std::string_view kTemplate =
    "nr_free_pages 0\nnr_inactive_anon 0\nnr_active_anon 0\nnr_inactive_file 0\nnr_active_file 0\nnr_unevictable 0\n"
    "nr_slab_reclaimable 0\nnr_slab_unreclaimable 0\nnr_anon_pages 0\nnr_mapped 0\nnr_file_pages 0\nnr_dirty 0\n"
    "nr_writeback 0\nnr_shmem 0\nnr_kernel_stack 0\nnr_page_table_pages 0\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"
    "pgfault 0\npgmajfault 0\n";

struct Line {
    std::string_view name;
    std::uint64_t Memory::* memory;
};

// By name; in pages. nr_kernel_stack is the kernel's exception: kB.
constexpr Line kLines[] = {
    {"nr_active_anon", &Memory::active_anon},
    {"nr_active_file", &Memory::active_file},
    {"nr_anon_pages", &Memory::anon},
    {"nr_dirty", &Memory::dirty},
    {"nr_file_pages", &Memory::cached},
    {"nr_free_pages", &Memory::free},
    {"nr_inactive_anon", &Memory::inactive_anon},
    {"nr_inactive_file", &Memory::inactive_file},
    {"nr_mapped", &Memory::mapped},
    {"nr_page_table_pages", &Memory::page_tables},
    {"nr_shmem", &Memory::shmem},
    {"nr_slab_reclaimable", &Memory::slab_reclaimable},
    {"nr_slab_unreclaimable", &Memory::slab_unreclaimable},
    {"nr_swapcached", &Memory::swap_cached},
    {"nr_unevictable", &Memory::unevictable},
    {"nr_writeback", &Memory::writeback},
    {"nr_zone_active_anon", &Memory::active_anon},
    {"nr_zone_active_file", &Memory::active_file},
    {"nr_zone_inactive_anon", &Memory::inactive_anon},
    {"nr_zone_inactive_file", &Memory::inactive_file},
    {"nr_zone_unevictable", &Memory::unevictable},
};
static_assert(std::ranges::is_sorted(kLines, {}, &Line::name));

std::uint64_t own_value(std::string_view name, const Memory& memory, const View& view) {
    if (name == "pgfault")
        return view.own.usage.page_faults;
    if (name == "pgmajfault")
        return view.own.usage.major_faults;
    if (name == "nr_kernel_stack")
        return memory.kernel_stack;
    const auto* line = std::ranges::lower_bound(kLines, name, {}, &Line::name);
    if (line == std::end(kLines) || line->name != name)
        return 0;
    return scale(memory.*line->memory, 1024, std::clamp<std::uint64_t>(view.page_size, 1024, 1U << 24U));
}

} // namespace

std::string vmstat(std::string_view host, const View& view) {
    std::string out;
    out.reserve(host.size());
    const auto is_own = shows_own_memory(view);
    // vmstat does not say how much there is in all.
    const HostMemory machine{.total = view.host_memory / 1024, .swap_total = ~std::uint64_t{0}};
    const auto memory = is_own ? own_memory(machine, view) : Memory{};
    const auto free_is_known = view.own.limits.memory || machine.total != 0;
    const auto append_lines = [&](std::string_view lines) {
        while (auto line = take_line(lines)) {
            const auto name = take_word(*line);
            const auto value = read_number(take_word(*line));
            if (name.empty() || !value || !take_word(*line).empty())
                continue;
            out.append(name) += ' ';
            const auto is_hosts = !is_own || (name == "nr_free_pages" && !free_is_known);
            append_number(out, is_hosts ? *value : own_value(name, memory, view));
            out += '\n';
        }
    };
    append_lines(host);
    if (out.empty())
        append_lines(kTemplate);
    return out;
}

} // namespace squish::procfs
