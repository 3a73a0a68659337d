// What the figures were taken on.
#pragma once

#include <string>

namespace squish::bench {

struct Machine {
    std::string processor;
    unsigned cpus = 0; // that we may run on
    std::string kernel, system;
};

[[nodiscard]] Machine this_machine();
// The load average of the last minute.
[[nodiscard]] double load_average();
// "2025-01-31T12:00:00Z"
[[nodiscard]] std::string now_utc();

// Pure: the value of the first line `KEY : VALUE` (spaces and tabs around the colon or '=' and quotes are dropped).
[[nodiscard]] std::string value_of(const std::string& text, const std::string& key);

} // namespace squish::bench
