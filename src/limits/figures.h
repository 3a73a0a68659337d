// What a container uses: from its cgroup where it has one, else added up over its processes.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <sys/types.h>

namespace squish::limits {

// Pressure stall information (Documentation/accounting/psi.rst): percent of the time, and microseconds in all.
struct Pressure {
    struct Share {
        double avg10 = 0, avg60 = 0, avg300 = 0;
        std::uint64_t total_us = 0;
    };
    Share some, full;
};

struct Figures {
    enum class Source { cgroup, proc };
    Source source = Source::cgroup;
    std::uint64_t cpu_us = 0, cpu_user_us = 0, cpu_system_us = 0; // since the start
    std::uint64_t throttled_us = 0, throttled_periods = 0;
    std::uint64_t memory = 0; // bytes, page cache included (proc: resident memory, shared pages counted once a process)
    std::uint64_t memory_cache = 0; // of these, page cache that can be taken back (memory.stat: inactive_file)
    std::optional<std::uint64_t> memory_limit, memory_peak, swap;
    std::uint64_t pids = 0; // processes and threads
    std::optional<std::uint64_t> pids_limit;
    std::uint64_t io_read = 0, io_written = 0; // bytes
    std::uint64_t oom_kills = 0;
    std::optional<Pressure> cpu_pressure, memory_pressure, io_pressure;
};

// Of the cgroup behind this descriptor (cgroup v2). A file that is not there (a controller that is not on) leaves its
// figures at their defaults. ENODEV where the cgroup is gone.
[[nodiscard]] Result<Figures> read_cgroup(int folder);

// How often the kernel has killed in it for lack of memory (memory.events: oom_kill).
[[nodiscard]] Result<std::uint64_t> read_oom_kills(int folder);

// By the pid of each container's init, for containers without a cgroup: the sums over all processes of init's PID
// namespace. One walk through /proc for all. One that has ended is absent.
[[nodiscard]] Result<std::map<pid_t, Figures>> read_processes(std::span<const pid_t> inits);

struct NetworkFigures {
    std::uint64_t received = 0, sent = 0; // bytes, all interfaces but the loopback
    std::uint64_t packets_received = 0, packets_sent = 0;
};
// Of the network namespace of this process (/proc/PID/net/dev).
[[nodiscard]] Result<NetworkFigures> read_network(pid_t pid);

// The parts, from the text of their files.
[[nodiscard]] Pressure parse_pressure(std::string_view text);
[[nodiscard]] NetworkFigures parse_net_dev(std::string_view text);
// "KEY VALUE" lines (cpu.stat, memory.stat, memory.events): the value of `key`; 0 where there is none.
[[nodiscard]] std::uint64_t parse_keyed(std::string_view text, std::string_view key);
struct IoTotals {
    std::uint64_t read = 0, written = 0;
};
[[nodiscard]] IoTotals parse_io_stat(std::string_view text); // over all devices

} // namespace squish::limits
