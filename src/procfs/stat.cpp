// /proc/stat: a line for each CPU that is shown, their sum, and the figures of processes, which are never the host's.
// Interrupts and context switches are the host's business: their lines are there, with nothing counted.
#include "procfs/cpu_time.h"
#include "procfs/files.h"
#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

namespace {

// "cpu12"; not "cpu", the sum
std::optional<std::size_t> cpu_of(std::string_view word) {
    if (!word.starts_with("cpu"))
        return std::nullopt;
    const auto number = read_number(word.substr(3));
    if (!number || *number >= kMaxCpus)
        return std::nullopt;
    return number;
}

struct HostStat {
    std::vector<CpuTimes> times; // of the CPUs that are shown, all of them
    std::uint64_t btime = 0;
};

HostStat read_stat(std::string_view host, const CpuSet& cpus) {
    HostStat stat;
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu)
        if (cpus.test(cpu))
            stat.times.push_back({.cpu = cpu});
    while (auto line = take_line(host)) {
        if (line->starts_with("btime ")) {
            take_word(*line);
            stat.btime = number_or_0(take_word(*line));
        }
        if (!line->starts_with("cpu"))
            continue;
        const auto cpu = cpu_of(take_word(*line));
        if (!cpu || !cpus.test(*cpu))
            continue;
        for (auto& ticks : std::ranges::lower_bound(stat.times, *cpu, {}, &CpuTimes::cpu)->ticks)
            ticks = number_or_0(take_word(*line)); // fewer columns: an older kernel
    }
    return stat;
}

void append_line(std::string& out, std::string_view name, std::uint64_t value) {
    out.append(name) += ' ';
    append_number(out, value);
    out += '\n';
}

} // namespace

std::string stat(std::string_view host, const View& view) {
    auto known = read_stat(host, shown_cpus(view));
    if (view.own_usage)
        known.times = own_cpu_times(view);

    std::string out = "cpu "; // and one more blank: fs/proc/stat.c
    out.reserve(128 * (known.times.size() + 3));
    for (std::size_t column = 0; column < kColumns; ++column) {
        out += ' ';
        append_number(out, sum_of(known.times, column));
    }
    out += '\n';
    for (const auto& line : known.times) {
        out += "cpu";
        append_number(out, line.cpu);
        for (const auto ticks : line.ticks) {
            out += ' ';
            append_number(out, ticks);
        }
        out += '\n';
    }
    const auto started = view.started_at > 0 ? static_cast<std::uint64_t>(view.started_at) : known.btime;
    out += "intr 0\nctxt 0\n";
    append_line(out, "btime", started);
    // Forks since the start: its numbers are given one after the other.
    append_line(out, "processes", std::max(view.own.last_pid, all_tasks(view)));
    append_line(out, "procs_running", running_tasks(view));
    append_line(out, "procs_blocked", view.own.usage.blocked);
    out += "softirq 0 0 0 0 0 0 0 0 0 0 0\n";
    return out;
}

} // namespace squish::procfs
