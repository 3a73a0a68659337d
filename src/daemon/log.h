// The daemon's own log: lines about itself, never a payload's output. Text from outside is made printable here.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace squish::daemon {

// Before this, lines are dropped. `file`: rotated at 1 MiB, one old one is kept.
[[nodiscard]] Result<void> log_to_file(const std::string& file);
void log_to_stderr();
void log_flush();

void log_info(std::string_view line);
void log_error(std::string_view line);

} // namespace squish::daemon
