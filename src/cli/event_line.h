// One line of `squish events`.
#pragma once

#include "cli/client.h"

#include <string>

namespace squish::cli {

// "2026-11-22T19:30:00.123Z exit web (0123456789abcdef) code=137 reason=oom"; values with blanks are in quotes.
[[nodiscard]] std::string event_line(const Json& event);

} // namespace squish::cli
