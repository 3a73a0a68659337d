// What a container uses, as its cgroup says: the files of cgroup v2, and those of v1 that mean the same. Pure; what is
// not in the text is 0.
#pragma once

#include "procfs/cpu_times.h"
#include "procfs/view.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace squish::procfs {

// memory.stat (with the "total_" figures of v1, which include what is below), with memory.current of v2 or
// memory.usage_in_bytes of v1, and memory.swap.current (v1 has it in memory.stat).
[[nodiscard]] MemoryUsage parse_memory_stat(std::string_view stat, std::string_view current, std::string_view swap);

// memory.stat and memory.events (v1: memory.oom_control).
[[nodiscard]] MemoryEvents parse_memory_events(std::string_view stat, std::string_view events);

// cpu.stat of v2; without `uptime`.
[[nodiscard]] CpuReading parse_cpu_stat(std::string_view text);
// cpuacct.stat (ticks), cpuacct.usage and cpuacct.usage_percpu (nanoseconds) of v1; without `uptime`.
[[nodiscard]] CpuReading parse_cpuacct(std::string_view stat, std::string_view usage, std::string_view usage_percpu);

// io.stat of v2.
[[nodiscard]] std::vector<DeviceIo> parse_io_stat(std::string_view text);

} // namespace squish::procfs
