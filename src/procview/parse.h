// What the kernel's files say, from their text. A text that is cut off or is something else leaves figures at zero.
// Sources: proc(5); Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include "procfs/view.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish::procview {

// /proc/PID/stat
struct ProcessStat {
    pid_t parent = 0;
    char state = 'X';
    std::uint64_t minor_faults = 0, major_faults = 0; // its own and those of children that it waited for
    std::uint64_t user = 0, system = 0;               // clock ticks, likewise
    std::uint64_t threads = 0;
    std::uint64_t started = 0; // clock ticks since the boot
};
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text);
// On a CPU or ready for one; waiting for a disk. The load counts both.
[[nodiscard]] constexpr bool is_running(char state) {
    return state == 'R';
}
[[nodiscard]] constexpr bool is_blocked(char state) {
    return state == 'D';
}

// /proc/PID/statm, in pages. `shared`: of files and of shared memory.
struct Pages {
    std::uint64_t resident = 0, shared = 0;
};
[[nodiscard]] Pages parse_statm(std::string_view text);

// The ids of a process in each of its PID namespaces, ours first (NSpid of /proc/PID/status).
[[nodiscard]] std::vector<pid_t> parse_namespace_ids(std::string_view status);

// The lines of a file of ids (cgroup.threads), at most `limit` of them.
[[nodiscard]] std::vector<pid_t> parse_ids(std::string_view text, std::size_t limit);

// A file of one number; none for "max".
[[nodiscard]] std::optional<std::uint64_t> parse_single(std::string_view text);
// memory.stat and cpu.stat into the figures that they have.
void parse_memory_stat(std::string_view text, procfs::Usage& usage);
void parse_cpu_stat(std::string_view text, procfs::Usage& usage);
// At most 256 devices.
[[nodiscard]] std::vector<procfs::DeviceUse> parse_io_stat(std::string_view text);

// Bytes, from a line "MemTotal:  16384 kB" of /proc/meminfo; 0 where there is none.
[[nodiscard]] std::uint64_t parse_meminfo(std::string_view text, std::string_view key);

} // namespace squish::procview
