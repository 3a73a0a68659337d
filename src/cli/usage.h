// What one container uses, as GET /v1/stats says it, and what two readings make together.
#pragma once

#include "cli/client.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace squish::cli {

struct Usage {
    std::string id, name;   // printable
    bool from_proc = false; // no cgroup: sums over its processes
    std::int64_t time_us = 0;
    std::uint64_t cpu_us = 0;
    std::uint64_t memory = 0, memory_cache = 0, memory_used = 0; // bytes
    std::optional<std::uint64_t> memory_limit;
    std::uint64_t pids = 0;
    std::optional<std::uint64_t> pids_limit;
    std::uint64_t io_read = 0, io_written = 0;
    std::optional<std::uint64_t> received, sent; // none in the host's network
};

[[nodiscard]] Usage read_usage(const Json& container);
// By id. `stats`: the whole answer.
[[nodiscard]] std::map<std::string, Usage> read_usages(const Json& stats);

// Processor time between two readings, in percent of one processor. Nothing where there is no earlier one, or where the
// counters began anew.
[[nodiscard]] std::optional<double> cpu_percent(const Usage* before, const Usage& now);
// Bytes per second of a counter; likewise.
[[nodiscard]] std::optional<double> rate(const Usage* before, const Usage& now, std::uint64_t Usage::* counter);

// "0B", "1023B", "1.5K", "37.2M", "256M", "1.2G": at most seven characters.
[[nodiscard]] std::string short_size(std::uint64_t bytes);
// "12.3%", "100%", "-" for nothing.
[[nodiscard]] std::string percent_text(std::optional<double> percent);

} // namespace squish::cli
