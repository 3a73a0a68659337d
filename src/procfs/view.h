// What a container is shown of the machine: plain data, collected at one instant (procview/collect.h), from which every
// file is made by one pure function (procfs/files.h). Sizes are bytes, times nanoseconds or microseconds as named.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::procfs {

inline constexpr std::size_t kMaxCpus = 1024;
using CpuSet = std::bitset<kMaxCpus>; // by the host's numbers, which sched_getaffinity(2) gives as well

// What the container may use. Absent: no limit and no figure to show, so the host's.
struct Limits {
    std::optional<std::uint64_t> memory; // at most the host's
    std::optional<std::uint64_t> swap;   // what may be swapped out, besides memory
    CpuSet cpus;                         // those it sees: never empty
    bool own_cpus = false;               // fewer than the host's, or its own use of them is known (a cgroup)
};

// What it uses, from its cgroup or summed up over its processes.
struct Usage {
    std::uint64_t memory = 0; // all that counts against the limit
    std::uint64_t anon = 0, file = 0, file_mapped = 0, file_dirty = 0, file_writeback = 0, shmem = 0;
    std::uint64_t inactive_anon = 0, active_anon = 0, inactive_file = 0, active_file = 0, unevictable = 0;
    std::uint64_t slab_reclaimable = 0, slab_unreclaimable = 0, kernel_stack = 0, pagetables = 0;
    std::uint64_t swap = 0, swap_cached = 0;
    std::uint64_t cpu_user_us = 0, cpu_system_us = 0; // since the start
    std::uint64_t page_faults = 0, major_faults = 0;
    std::uint64_t tasks = 0;   // processes and threads
    std::uint64_t running = 0; // of these, on a CPU or ready (at least one: the reader)
    std::uint64_t blocked = 0; // waiting for a disk
};

// io.stat, one line a device.
struct DeviceUse {
    std::uint32_t major = 0, minor = 0;
    std::uint64_t read_bytes = 0, written_bytes = 0, reads = 0, writes = 0;
};

// The container's own figures. None of its members come from the host.
struct Own {
    Limits limits;
    Usage usage;
    std::vector<DeviceUse> devices;
    std::array<std::uint32_t, 3> load{};                                   // over 1, 5, 15 minutes, in hundredths
    std::optional<std::string> pressure_cpu, pressure_memory, pressure_io; // text of its cgroup's files
    std::uint64_t last_pid = 0;                                            // of its own numbers; 0: not known
};

struct View {
    std::uint64_t uptime_ns = 0;          // since the container's start
    std::int64_t started_at = 0;          // seconds since 1970
    std::uint32_t ticks_per_second = 100; // USER_HZ
    std::uint64_t page_size = 4096;
    std::uint64_t host_memory = 0; // of the machine, for the texts that do not say it; 0: not known
    CpuSet host_cpus;              // those of the host that are online
    // Memory, use and load are the container's own where it has a cgroup or figures; absent: the host's are shown, but
    // for what tells of others (processes, interrupts, names of disks).
    bool own_memory = false;
    bool own_usage = false;
    Own own;
};

} // namespace squish::procfs
