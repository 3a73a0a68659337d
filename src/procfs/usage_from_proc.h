// What a container uses, where it has no cgroup: the sum over its processes. Pure: the texts are read by the caller, as
// they are below /proc/PID of the host. A text that cannot be parsed belongs to a process that has gone: it counts as
// nothing.
#pragma once

#include "procfs/cpu_times.h"
#include "procfs/view.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace squish::procfs {

// /proc/PID/stat, or /proc/PID/task/TID/stat: proc_pid_stat(5). Times in ticks of 10 ms.
struct ProcessStat {
    std::uint64_t pid = 0;
    char state = '?';
    std::uint64_t user = 0, system = 0, waited_user = 0,
                  waited_system = 0; // waited_: of children that it has waited for
    std::uint64_t faults = 0, waited_faults = 0, major_faults = 0, waited_major_faults = 0;
    std::uint64_t threads = 0;
    std::uint64_t started = 0; // ticks since the machine's start
    std::uint64_t rss_pages = 0;
};
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text);

// /proc/PID/status: proc_pid_status(5). Bytes.
struct ProcessStatus {
    std::uint64_t anon = 0, file = 0, shmem = 0, swap = 0, page_tables = 0;
    std::uint64_t threads = 0;
    std::uint64_t switches = 0;  // of the main thread
    std::uint64_t inner_pid = 0; // in the innermost PID namespace
};
[[nodiscard]] ProcessStatus parse_process_status(std::string_view text);

// /proc/PID/smaps_rollup (Linux 4.14; by kind of page since 5.4): shared pages are counted in parts, so that they can
// be added up. Bytes.
struct ProcessSmaps {
    std::uint64_t anon = 0, file = 0, shmem = 0, swap = 0;
};
[[nodiscard]] std::optional<ProcessSmaps> parse_smaps_rollup(std::string_view text);

// /proc/PID/statm: what there is where `status` cannot be read. Pages.
struct ProcessStatm {
    std::uint64_t size = 0, resident = 0, shared = 0;
};
[[nodiscard]] std::optional<ProcessStatm> parse_statm(std::string_view text);

// The texts of one process. Only `stat` is needed; memory is taken from the first of smaps_rollup, status, statm that
// serves.
struct ProcessTexts {
    std::string_view stat, status, smaps_rollup, statm;
};

struct ProcessSum {
    MemoryUsage memory; // shared pages counted once where smaps_rollup is there, else once for each process
    MemoryEvents events;
    TaskCounts tasks; // running and blocked: of main threads; `forks` is not known
    CpuReading cpu;   // `uptime` and `per_cpu` are not known
};
// The processes of a container, all of them, with its init: the time of those that have ended is in what their parents
// have waited for. It may go back (children of one that ignores SIGCHLD are waited for by nobody): advance() is
// prepared for that.
[[nodiscard]] ProcessSum sum_processes(std::span<const ProcessTexts> processes);

} // namespace squish::procfs
