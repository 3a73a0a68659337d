// What a container is to see of the machine: its limits and its usage at one instant, made consistent once, so that
// all files rendered from one View agree with each other. Plain values; the times are the caller's.
#pragma once

#include "procfs/cpu_set.h"
#include "procfs/loadavg.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace squish::procfs {

// What the container may use, or is to be shown. What is not set is the host's.
struct Limits {
    std::optional<std::uint64_t> memory;     // bytes
    std::optional<std::uint64_t> swap;       // bytes of swap, memory not included
    std::optional<std::uint64_t> milli_cpus; // 1500: one and a half
    std::optional<CpuSet> cpuset;            // the CPUs that its tasks run on, by the host's numbers
};

// Bytes, of memory that is charged to the container. What is not known is 0.
struct MemoryUsage {
    std::uint64_t current = 0;          // all of it: the parts below and what the kernel needs besides
    std::uint64_t anon = 0;             // without shmem
    std::uint64_t cache = 0;            // pages of files and shmem
    std::uint64_t shmem = 0;            // of cache
    std::uint64_t mapped = 0;           // of cache
    std::uint64_t dirty = 0;            // of cache
    std::uint64_t writeback = 0;        // of cache
    std::uint64_t active_anon = 0;      // anon and shmem, by list
    std::uint64_t inactive_anon = 0;    //
    std::uint64_t active_file = 0;      // cache without shmem, by list
    std::uint64_t inactive_file = 0;    //
    std::uint64_t unevictable = 0;      //
    std::uint64_t slab_reclaimable = 0; //
    std::uint64_t slab_unreclaimable = 0;
    std::uint64_t kernel_stack = 0;
    std::uint64_t page_tables = 0;
    std::uint64_t percpu = 0;
    std::uint64_t anon_huge = 0, shmem_huge = 0, file_huge = 0;
    std::uint64_t swap = 0;
};

// Microseconds since the container's start; they never go back (cpu_times.h).
struct CpuTimes {
    std::uint64_t user = 0, system = 0, idle = 0;
    bool operator==(const CpuTimes&) const = default;
};

struct TaskCounts {
    std::uint64_t all = 0;      // threads
    std::uint64_t running = 0;  // running or ready to run
    std::uint64_t blocked = 0;  // in uninterruptible sleep
    std::uint64_t forks = 0;    // since the start
    std::uint64_t switches = 0; // context switches since the start
    std::uint64_t last_pid = 0; // in the container's PID namespace
};

// Events since the start.
struct MemoryEvents {
    std::uint64_t page_faults = 0, major_faults = 0; // counts
    std::uint64_t swapped_in = 0, swapped_out = 0;   // pages
    std::uint64_t oom_kills = 0;
};

// Since the start, for one block device.
struct DeviceIo {
    std::uint64_t major = 0, minor = 0;
    std::uint64_t read_bytes = 0, write_bytes = 0, discard_bytes = 0;
    std::uint64_t reads = 0, writes = 0, discards = 0;
};

// One line of a pressure file: averages in hundredths of a percent, the total in microseconds.
struct PressureLine {
    std::uint64_t avg10 = 0, avg60 = 0, avg300 = 0, total = 0;
    bool operator==(const PressureLine&) const = default;
};
struct Pressure {
    PressureLine some, full;
    bool operator==(const Pressure&) const = default;
};

struct Usage {
    MemoryUsage memory;
    MemoryEvents events;
    std::vector<CpuTimes> cpus; // one for each CPU that is shown, in their order
    TaskCounts tasks;
    LoadAverages load;
    std::vector<DeviceIo> io;
    Pressure cpu_pressure, io_pressure, memory_pressure;
    std::uint64_t uptime_us = 0;  // since the container's start
    std::uint64_t started_at = 0; // seconds since 1970
};

// What must be known of the machine to say what a limit amounts to. 0 and empty: not known.
struct Host {
    std::uint64_t memory_kb = 0, swap_kb = 0;
    CpuSet online;
};
// From the texts of /proc/meminfo and /sys/devices/system/cpu/online.
[[nodiscard]] Host read_host(std::string_view meminfo, std::string_view online);

// Memory as /proc/meminfo divides it, in kB. Holds: free + what is used = total, and the parts of what is used
// do not overlap; available <= total; active and inactive are within anon + shmem and file; swap_used <= swap_total.
struct Memory {
    std::uint64_t total = 0, free = 0, available = 0;
    std::uint64_t anon = 0, shmem = 0, file = 0;
    std::uint64_t slab_reclaimable = 0, slab_unreclaimable = 0, kernel_stack = 0, page_tables = 0, percpu = 0;
    std::uint64_t active_anon = 0, inactive_anon = 0, active_file = 0, inactive_file = 0, unevictable = 0;
    std::uint64_t mapped = 0, dirty = 0, writeback = 0;
    std::uint64_t anon_huge = 0, shmem_huge = 0, file_huge = 0;
};
struct Swap {
    std::uint64_t total = 0, used = 0; // kB
};

struct View {
    Limits limits;
    Usage usage;
    std::optional<Memory> memory; // nothing: no limit, the host's figures are shown
    std::optional<Swap> swap;     // the same
    CpuSet cpus;                  // the CPUs that are shown, by the host's numbers; empty: the host's
};
[[nodiscard]] View make_view(const Limits& limits, Usage usage, const Host& host);

// CPUs that are shown: of those that the container may run on, as many as its quota comes to, rounded up, the first
// ones. At least one where any is known. Numbers are the host's, as in sched_getaffinity(2) and /proc/PID/stat.
[[nodiscard]] CpuSet shown_cpus(const Limits& limits, const CpuSet& online);

} // namespace squish::procfs
