// The figures of a cgroup: pure readers of the kernel's files. What a file does not say is absent, not 0.
// Formats: Documentation/admin-guide/cgroup-v2.rst, Documentation/accounting/psi.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace squish::cgroup {

// The value of `key` in a "flat keyed" file such as memory.stat, one "KEY VALUE" a line.
[[nodiscard]] std::optional<std::uint64_t> flat_value(std::string_view text, std::string_view key);
// A file of one number; nothing for "max".
[[nodiscard]] std::optional<std::uint64_t> single_value(std::string_view text);

// io.stat, all devices together.
struct IoFigures {
    std::uint64_t read_bytes = 0, written_bytes = 0, reads = 0, writes = 0;
    bool operator==(const IoFigures&) const = default;
};
[[nodiscard]] IoFigures parse_io_stat(std::string_view text);

// cpu.pressure, memory.pressure, io.pressure.
struct PressureLine {
    double avg10 = 0, avg60 = 0, avg300 = 0; // percent
    std::uint64_t total = 0;                 // microseconds
    bool operator==(const PressureLine&) const = default;
};
struct Pressure {
    PressureLine some, full; // `full` of cpu is there since Linux 5.13
    bool operator==(const Pressure&) const = default;
};
[[nodiscard]] std::optional<Pressure> parse_pressure(std::string_view text);

// cgroup.events
struct CgroupEvents {
    bool populated = false, frozen = false;
    bool operator==(const CgroupEvents&) const = default;
};
[[nodiscard]] CgroupEvents parse_cgroup_events(std::string_view text);

struct MemoryFigures {
    std::uint64_t current = 0;              // with the page cache
    std::optional<std::uint64_t> peak;      // Linux 5.19
    std::optional<std::uint64_t> anonymous; // memory.stat: anon
    std::optional<std::uint64_t> file;      // memory.stat: file, the page cache
    std::optional<std::uint64_t> inactive_file;
    std::optional<std::uint64_t> swap;
    std::optional<std::uint64_t> limit;
    // What the container needs: all but the cache that the kernel would drop first, as other tools count it.
    [[nodiscard]] std::uint64_t working_set() const {
        const auto cache = inactive_file.value_or(0);
        return current > cache ? current - cache : 0;
    }
};
struct CpuFigures {
    std::uint64_t usage = 0, user = 0, system = 0; // microseconds
    std::optional<std::uint64_t> throttled;        // microseconds; needs the controller
};
// Each part is there where its controller is (cpu's usage always is).
struct Usage {
    std::optional<MemoryFigures> memory;
    std::optional<CpuFigures> cpu;
    std::optional<std::uint64_t> pids, pids_limit;
    std::optional<IoFigures> io;
    std::optional<Pressure> cpu_pressure, memory_pressure, io_pressure;
};

} // namespace squish::cgroup
