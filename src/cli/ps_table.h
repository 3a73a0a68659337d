// The table of `squish ps`.
#pragma once

#include "cli/client.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace squish::cli {

// `containers`: the API's list. `now`: seconds since the epoch.
[[nodiscard]] std::string ps_table(const Json& containers, std::int64_t now);
// "127.0.0.1:8080->80/tcp, …"; "-" where there are none. IPv6 addresses are in brackets.
[[nodiscard]] std::string ports_text(const Json& ports);
// "5s ago", "3m ago", "2h ago", "4d ago".
[[nodiscard]] std::string age_text(std::int64_t seconds);
// "2026-01-02T03:04:05.678901Z" → seconds since the epoch; 0 where it is no such text.
[[nodiscard]] std::int64_t seconds_of(std::string_view time);
// "running", "running (healthy)", "running (health: starting)", "paused", "exited (0)", "exited (137, killed)"
[[nodiscard]] std::string state_text(const Json& container);

// What a terminal shows of it: bytes that do not begin a character take no column of their own.
[[nodiscard]] std::size_t width_of(std::string_view text);
// At most `columns` of it.
[[nodiscard]] std::string clipped(std::string_view text, std::size_t columns);
// Rows of equal length, the first the header; columns are as wide as they must be.
[[nodiscard]] std::string align(const std::vector<std::vector<std::string>>& rows);

} // namespace squish::cli
