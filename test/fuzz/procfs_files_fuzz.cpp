// Feeds arbitrary texts to the files of a view, as if the host's kernel had written them, and arbitrary paths to its
// folders, as a container can ask for them.
//
// The input: a line "FLAGS CPUS NUMBER…" (1 own memory, 2 own usage, 4 a limit, 8 a limit of swap; a list of CPUs; the
// figures in the order of Usage, the same over and over), a line with a path, then the host's text.
//
// What must hold: every text is whole lines; memory adds up; there are as many CPUs as are shown, in every file; what
// is listed is there, and nothing else is.
#include "procfs/tree.h"
#include "require.h"

#include "base/text.h"

#include <algorithm>
#include <cstdint>

namespace {

using squish::test::require;
using namespace squish::procfs;

std::string_view take_line(std::string_view& rest) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

View view_of(std::string_view line) {
    const auto words = squish::split(line, ' ');
    std::size_t next = 2;
    const auto figure = [&]() -> std::uint64_t {
        if (words.size() < 3)
            return 0;
        const auto value = squish::parse_number(words[next++]);
        if (next == words.size())
            next = 2;
        return value.value_or(~std::uint64_t{0});
    };
    const auto flags = squish::parse_number(words[0]).value_or(3);
    View view;
    view.own_memory = (flags & 1) != 0;
    view.own_usage = (flags & 2) != 0;
    view.host_cpus = CpuSet(0xFF);
    view.own.limits.cpus = words.size() > 1 ? parse_cpu_list(words[1]) : CpuSet();
    view.uptime_ns = figure();
    view.ticks_per_second = static_cast<std::uint32_t>(figure());
    view.page_size = figure();
    view.host_memory = figure();
    if ((flags & 4) != 0)
        view.own.limits.memory = figure();
    if ((flags & 8) != 0)
        view.own.limits.swap = figure();
    auto& usage = view.own.usage;
    for (auto* const field : {&usage.memory,
                              &usage.anon,
                              &usage.file,
                              &usage.file_mapped,
                              &usage.file_dirty,
                              &usage.file_writeback,
                              &usage.shmem,
                              &usage.inactive_anon,
                              &usage.active_anon,
                              &usage.inactive_file,
                              &usage.active_file,
                              &usage.unevictable,
                              &usage.slab_reclaimable,
                              &usage.slab_unreclaimable,
                              &usage.kernel_stack,
                              &usage.pagetables,
                              &usage.swap,
                              &usage.swap_cached,
                              &usage.cpu_user_us,
                              &usage.cpu_system_us,
                              &usage.tasks,
                              &usage.running})
        *field = figure();
    for (auto& load : view.own.load)
        load = static_cast<std::uint32_t>(figure());
    view.own.devices = {{8, 0, figure(), figure(), figure(), figure()}};
    return view;
}

bool is_lines(std::string_view text) {
    return text.empty() || text.ends_with('\n');
}

std::size_t count_lines(std::string_view text, std::string_view start) {
    std::size_t count = 0;
    while (!text.empty())
        count += take_line(text).starts_with(start) ? 1 : 0;
    return count;
}

void check_memory(std::string_view host, const View& view) {
    const auto text = meminfo(host, view);
    for (const auto* const line : {"MemTotal:", "MemFree:", "MemAvailable:", "Cached:", "SwapTotal:", "SwapFree:"})
        require(count_lines(text, line) > 0, "meminfo is complete", text);
    const auto info = system_info(host, "", view);
    if (view.own_memory || view.own_usage) {
        require(info.total > 0, "there is memory", text);
        require(info.free <= info.total && info.free_swap <= info.total_swap, "no more is free than there is", text);
    }
    require(count_lines(render("node/node0/meminfo", host, view), "Node 0 MemTotal:") > 0, "the node has memory", text);
}

void check_cpus(std::string_view host, const View& view) {
    const auto cpus = parse_cpu_list(render("cpu/online", "", view));
    require(cpus.any(), "there is a CPU");
    const auto text = stat(host, view);
    require(count_lines(text, "cpu") == cpus.count() + 1, "every CPU has its line", text);
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) {
        const auto folder = "cpu/cpu" + std::to_string(cpu);
        require(find(folder, view).has_value() == cpus.test(cpu), "a CPU that is shown has its folder");
        if (!cpus.test(cpu))
            continue;
        const auto neighbours = parse_cpu_list(render(folder + "/topology/core_cpus_list", host, view));
        require(neighbours.test(cpu) && (neighbours & ~cpus).none(), "neighbours are shown");
        require(is_lines(render(folder + "/topology/core_cpus", host, view)), "a mask is a line");
        break; // the others are the same
    }
}

void check_path(std::string_view path, std::string_view host, const View& view) {
    const auto node = find(path, view);
    const auto text = render(path, host, view);
    const auto names = list(path, view);
    if (!node) {
        require(text.empty() && names.empty(), "there is nothing where nothing is", path);
        return;
    }
    require(!path.contains("..") && !path.contains("//") && !path.contains('\0'), "only exact names are there", path);
    if (node->kind == Node::Kind::file) {
        require(is_lines(text) && names.empty(), "a file is lines", path);
        return;
    }
    require(text.empty(), "a folder has no text", path);
    for (const auto& name : names)
        require(find(std::string(path) + "/" + name, view).has_value(), "what is listed is there", name);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto view = view_of(take_line(input));
    const auto path = take_line(input);
    for (const auto& file : files())
        require(is_lines(file.render(input, view)), "a file is lines", file.path);
    check_memory(input, view);
    check_cpus(input, view);
    check_path(path, input, view);
    require(cpu_list(parse_cpu_list(cpu_list(parse_cpu_list(path)))) == cpu_list(parse_cpu_list(path)),
            "a list that is written is read");
    return 0;
}
