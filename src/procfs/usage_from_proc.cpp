#include "procfs/usage_from_proc.h"

#include "base/text.h"
#include "procfs/lines.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kTickUs = 10'000;
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kKb = 1024;

struct Line {
    std::string_view key, value; // of "VmSwap:\t     12 kB"
};

Line split_line(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
        return {};
    return {.key = line.substr(0, colon), .value = trim(line.substr(colon + 1))};
}

std::uint64_t number(std::string_view value) {
    return parse_number(value.substr(0, value.find(' '))).value_or(0);
}

void add_memory(MemoryUsage& sum, const ProcessTexts& texts, const ProcessStat& stat, const ProcessStatus& status) {
    std::uint64_t file = 0;
    std::uint64_t shmem = 0;
    if (const auto smaps = parse_smaps_rollup(texts.smaps_rollup)) {
        sum.anon += smaps->anon;
        sum.swap += smaps->swap;
        file = smaps->file;
        shmem = smaps->shmem;
    } else if (status.anon + status.file + status.shmem != 0) {
        sum.anon += status.anon;
        sum.swap += status.swap;
        file = status.file;
        shmem = status.shmem;
    } else if (const auto statm = parse_statm(texts.statm)) {
        sum.anon += (statm->resident - std::min(statm->shared, statm->resident)) * kPageBytes;
        file = statm->shared * kPageBytes;
    } else {
        sum.anon += stat.rss_pages * kPageBytes;
    }
    sum.shmem += shmem;
    sum.cache += file + shmem;
    sum.mapped += file + shmem;
    sum.page_tables += status.page_tables;
}

} // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
    // The name, in parentheses, may hold anything, more of them and newlines too: the last one closes it.
    const auto open = text.find(" (");
    const auto close = text.rfind(") ");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open)
        return std::nullopt;
    const auto pid = parse_number(text.substr(0, open));
    const auto fields = words(trim(text.substr(close + 2)));
    constexpr std::size_t kFirst = 3; // proc_pid_stat(5) numbers the state so
    const auto field = [&fields](std::size_t number) { return number_at(fields, number - kFirst).value_or(0); };
    if (!pid || fields.size() <= 24 - kFirst || fields[0].size() != 1)
        return std::nullopt;
    ProcessStat out;
    out.pid = *pid;
    out.state = fields[0][0];
    out.faults = field(10);
    out.waited_faults = field(11);
    out.major_faults = field(12);
    out.waited_major_faults = field(13);
    out.user = field(14);
    out.system = field(15);
    out.waited_user = field(16);
    out.waited_system = field(17);
    out.threads = field(20);
    out.started = field(22);
    out.rss_pages = field(24);
    return out;
}

ProcessStatus parse_process_status(std::string_view text) {
    ProcessStatus out;
    for (const auto line : lines(text)) {
        const auto [key, value] = split_line(line);
        if (key == "RssAnon")
            out.anon = number(value) * kKb;
        else if (key == "RssFile")
            out.file = number(value) * kKb;
        else if (key == "RssShmem")
            out.shmem = number(value) * kKb;
        else if (key == "VmSwap")
            out.swap = number(value) * kKb;
        else if (key == "VmPTE")
            out.page_tables = number(value) * kKb;
        else if (key == "Threads")
            out.threads = number(value);
        else if (key == "voluntary_ctxt_switches" || key == "nonvoluntary_ctxt_switches")
            out.switches += number(value);
        else if (key == "NSpid")
            out.inner_pid = parse_number(value.substr(value.find_last_of(" \t") + 1)).value_or(0);
    }
    return out;
}

std::optional<ProcessSmaps> parse_smaps_rollup(std::string_view text) {
    ProcessSmaps out;
    bool by_kind = false;
    for (const auto line : lines(text)) {
        const auto entry = key_line(line);
        if (!entry)
            continue;
        const auto bytes = entry->number * kKb;
        if (entry->key == "Pss_Anon") {
            out.anon = bytes;
            by_kind = true;
        } else if (entry->key == "Pss_File") {
            out.file = bytes;
        } else if (entry->key == "Pss_Shmem") {
            out.shmem = bytes;
        } else if (entry->key == "SwapPss") {
            out.swap = bytes;
        }
    }
    return by_kind ? std::optional(out) : std::nullopt;
}

std::optional<ProcessStatm> parse_statm(std::string_view text) {
    const auto fields = words(trim(text));
    const auto size = number_at(fields, 0);
    const auto resident = number_at(fields, 1);
    const auto shared = number_at(fields, 2);
    if (!size || !resident || !shared)
        return std::nullopt;
    return ProcessStatm{.size = *size, .resident = *resident, .shared = *shared};
}

ProcessSum sum_processes(std::span<const ProcessTexts> processes) {
    ProcessSum sum;
    for (const auto& texts : processes) {
        const auto stat = parse_process_stat(texts.stat);
        if (!stat)
            continue;
        const auto status = parse_process_status(texts.status);
        sum.cpu.user += (stat->user + stat->waited_user) * kTickUs;
        sum.cpu.system += (stat->system + stat->waited_system) * kTickUs;
        sum.events.page_faults += stat->faults + stat->waited_faults;
        sum.events.major_faults += stat->major_faults + stat->waited_major_faults;
        sum.tasks.all += std::max<std::uint64_t>(stat->threads, 1);
        sum.tasks.running += stat->state == 'R' ? 1 : 0;
        sum.tasks.blocked += stat->state == 'D' ? 1 : 0;
        sum.tasks.switches += status.switches;
        sum.tasks.last_pid = std::max(sum.tasks.last_pid, status.inner_pid);
        add_memory(sum.memory, texts, *stat, status);
    }
    sum.memory.current = sum.memory.anon + sum.memory.cache + sum.memory.page_tables;
    return sum;
}

} // namespace squish::procfs
