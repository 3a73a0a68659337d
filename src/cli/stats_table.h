// The table of `squish stats`, made of two readings.
#pragma once

#include "cli/usage.h"

namespace squish::cli {

// `before` and `now`: answers of GET /v1/stats; what has ended is not in `now`, what has just started not in `before`.
[[nodiscard]] std::string stats_table(const Json& before, const Json& now);
// The containers of `now`, each with "cpu_percent", which is null where there is no earlier reading.
[[nodiscard]] Json stats_json(const Json& before, const Json& now);
// What a screen of that size shows of it: the first rows and columns, each line cleared to its end.
[[nodiscard]] std::string stats_screen(const std::string& table, std::size_t rows, std::size_t columns);

} // namespace squish::cli
