// Texts as a kernel, or a process in a container, might have them: read as every file that squish-procfs renders or
// takes figures from. The first byte chooses the container's limits, the rest is the text.
#include "procfs/cpu_folder.h"
#include "procfs/cpu_times.h"
#include "procfs/cpuinfo.h"
#include "procfs/diskstats.h"
#include "procfs/lines.h"
#include "procfs/meminfo.h"
#include "procfs/pressure.h"
#include "procfs/stat.h"
#include "procfs/swaps.h"
#include "procfs/sysinfo.h"
#include "procfs/usage_from_cgroup.h"
#include "procfs/usage_from_proc.h"
#include "procfs/version.h"
#include "procfs/vmstat.h"

#include <cstdlib>

namespace {

using namespace squish::procfs;

void require(bool holds) {
    if (!holds)
        std::abort();
}

Limits limits_of(unsigned char choice) {
    Limits limits;
    if (choice & 1U)
        limits.memory = 256ULL << 20U;
    if (choice & 2U)
        limits.swap = 64ULL << 20U;
    if (choice & 4U)
        limits.milli_cpus = 1500;
    if (choice & 8U)
        limits.cpuset = CpuSet{1, 2, 3};
    return limits;
}

Usage usage_of(std::string_view text) {
    const ProcessTexts texts{.stat = text, .status = text, .smaps_rollup = text, .statm = text};
    const auto sum = sum_processes({&texts, 1});
    Usage usage;
    usage.memory = parse_memory_stat(text, text, text);
    if (usage.memory.current == 0)
        usage.memory = sum.memory;
    usage.events = parse_memory_events(text, text);
    usage.tasks = sum.tasks;
    usage.io = parse_io_stat(text);
    usage.uptime_us = sum.cpu.user;
    usage.load = next_load({}, sum.tasks.running, sum.cpu.user);
    return usage;
}

void require_rising(const CpuLedger& before, const CpuLedger& after) {
    for (std::size_t i = 0; i < before.shown.size() && i < after.shown.size(); ++i)
        require(after.shown[i].user >= before.shown[i].user && after.shown[i].system >= before.shown[i].system);
}

void require_consistent(const View& view) {
    if (view.memory) {
        const auto& memory = *view.memory;
        require(memory.available <= memory.total && memory.free <= memory.available);
        require(memory.free + memory.anon + memory.shmem + memory.file + memory.slab_reclaimable +
                    memory.slab_unreclaimable + memory.kernel_stack + memory.page_tables + memory.percpu <=
                memory.total);
    }
    require(!view.swap || view.swap->used <= view.swap->total);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    auto usage = usage_of(text);
    const auto first = advance({}, parse_cpu_stat(text), {0, 1});
    const auto second = advance(first, parse_cpuacct(text, text, text), {0, 1});
    require_rising(first, second);
    usage.cpus = second.shown;
    if (const auto own = parse_pressure(text))
        usage.memory_pressure = *own;

    for (const auto* const online : {"0-7\n", ""}) {
        const auto view = make_view(limits_of(data[0]), usage, read_host(text, online));
        require_consistent(view);
        const auto memory = meminfo(text, view);
        require(lines(memory).size() == lines(text).size());
        require(lines(node_meminfo(text, memory)).size() == lines(text).size());
        const auto folder = cpu_folder({std::string(text), "cpu0"}, view);
        require(folder.size() <= 2);
        const std::string all[] = {cpuinfo(text, view),
                                   stat(text, view),
                                   uptime(view),
                                   loadavg(view),
                                   swaps(text, view),
                                   diskstats(text, view),
                                   vmstat(text, view),
                                   pressure(text, usage.memory_pressure),
                                   version(text),
                                   cpu_list(text, view),
                                   cpu_list_within(text, view),
                                   cpu_mask(text, view),
                                   cpu_mask_within(text, view)};
        for (const auto& one : all) // grows by no more than what stands in for a short line
            require(one.size() <= 64 * size + 64UL * kMaxCpus);
        (void) sysinfo_of({}, view);
    }
    return 0;
}
