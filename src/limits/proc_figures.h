// The parts of read_processes() (figures.h): what the files of /proc/PID say, from their text.
#pragma once

#include "limits/figures.h"

#include <optional>
#include <string>
#include <string_view>

namespace squish::limits {

struct ProcessTimes {
    std::uint64_t user = 0, system = 0;             // clock ticks
    std::uint64_t ended_user = 0, ended_system = 0; // of children that have ended and were waited for
    std::uint64_t threads = 0;
};
// /proc/PID/stat (proc(5)). The command's name is anything, ") R 1" included.
[[nodiscard]] std::optional<ProcessTimes> parse_stat(std::string_view text);
// Resident pages, from /proc/PID/statm.
[[nodiscard]] std::uint64_t parse_statm(std::string_view text);
// Bytes that went to and came from disks, from /proc/PID/io.
[[nodiscard]] IoTotals parse_proc_io(std::string_view text);

// The same below another folder than /proc.
[[nodiscard]] Result<std::map<pid_t, Figures>> read_processes_below(const std::string& proc,
                                                                    std::span<const pid_t> inits);

} // namespace squish::limits
