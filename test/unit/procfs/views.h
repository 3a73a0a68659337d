// Containers to render files for, and a reader of what was rendered that shares no code with the renderers.
#pragma once

#include "procfs/view.h"

#include <cstdint>
#include <map>
#include <sstream>
#include <string>

namespace squish::procfs::testing {

constexpr std::uint64_t kMb = 1024 * 1024;

// A container that has done a little of everything, for 100.5 s.
inline Usage some_usage() {
    Usage usage;
    usage.memory.current = 96 * kMb;
    usage.memory.anon = 40 * kMb;
    usage.memory.cache = 44 * kMb;
    usage.memory.shmem = 4 * kMb;
    usage.memory.mapped = 12 * kMb;
    usage.memory.dirty = kMb;
    usage.memory.active_anon = 30 * kMb;
    usage.memory.inactive_anon = 14 * kMb;
    usage.memory.active_file = 10 * kMb;
    usage.memory.inactive_file = 28 * kMb;
    usage.memory.unevictable = 2 * kMb;
    usage.memory.slab_reclaimable = 3 * kMb;
    usage.memory.slab_unreclaimable = 2 * kMb;
    usage.memory.kernel_stack = 512 * 1024;
    usage.memory.page_tables = kMb;
    usage.memory.percpu = 64 * 1024;
    usage.memory.anon_huge = 8 * kMb;
    usage.memory.swap = 10 * kMb;
    usage.events = {.page_faults = 12345, .major_faults = 67, .swapped_in = 89, .swapped_out = 2650, .oom_kills = 1};
    usage.cpus = {{.user = 10'005'000, .system = 2'500'000, .idle = 87'995'000},
                  {.user = 1'000'000, .system = 250'000, .idle = 99'250'000}};
    usage.tasks = {.all = 9, .running = 2, .blocked = 1, .forks = 40, .switches = 5000, .last_pid = 41};
    usage.load.fixed = {1024, 512, 100};
    usage.io = {{.major = 259,
                 .minor = 0,
                 .read_bytes = 4 * kMb,
                 .write_bytes = 2 * kMb,
                 .discard_bytes = 4096,
                 .reads = 100,
                 .writes = 50,
                 .discards = 1},
                {.major = 179,
                 .minor = 0,
                 .read_bytes = kMb,
                 .write_bytes = 0,
                 .discard_bytes = 0,
                 .reads = 7,
                 .writes = 0,
                 .discards = 0}};
    usage.memory_pressure.some = {.avg10 = 305, .avg60 = 100, .avg300 = 9, .total = 123456};
    usage.uptime_us = 100'500'000;
    usage.started_at = 1'795'290'000;
    return usage;
}

// What containers of the golden files are called, and their limits.
inline std::map<std::string, Limits> some_limits() {
    std::map<std::string, Limits> out;
    out["one-cpu-256M"] = {.memory = 256 * kMb, .swap = 0, .milli_cpus = 1000, .cpuset = {}};
    out["one-and-a-half-of-1-3"] = {
        .memory = 512 * kMb, .swap = 64 * kMb, .milli_cpus = 1500, .cpuset = CpuSet{1, 2, 3}};
    out["no-limits"] = {};
    return out;
}

// "MemFree" → 123 from "MemFree:   123 kB" and from "Node 0 MemFree: …"
inline std::map<std::string, std::uint64_t> keys_of(const std::string& text) {
    std::map<std::string, std::uint64_t> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line.starts_with("Node ") ? line.substr(line.find(' ', 5) + 1) : line);
        std::string key;
        std::uint64_t number = 0;
        if (words >> key >> number && key.ends_with(':'))
            out[key.substr(0, key.size() - 1)] = number;
    }
    return out;
}

} // namespace squish::procfs::testing
