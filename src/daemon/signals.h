#pragma once

#include <optional>
#include <string_view>

namespace squish::daemon {

// "TERM", "sigterm", "15", "RTMIN+3" → the number; nothing where it is none.
[[nodiscard]] std::optional<int> signal_number(std::string_view text);

} // namespace squish::daemon
