// What squish itself prints. Text that came from outside is made printable by whoever composes a line.
#pragma once

#include "base/result.h"

#include <string_view>

namespace squish::cli {

// To stdout, whole. False where it cannot be written; a closed pipe is no reason to complain.
[[nodiscard]] bool print(std::string_view text);
// To stderr: "squish: what failed: why (what to do)".
void complain(const Error& error);
void warn(std::string_view line);

// Where standard descriptors are closed, opens /dev/null there, so that none of our own files takes their numbers.
void keep_standard_fds();

// A terminal that understands where its cursor is to go.
[[nodiscard]] bool is_terminal(int fd);
// Colours only on a terminal, and not where NO_COLOR is set (no-color.org).
[[nodiscard]] bool use_colours(int fd);

} // namespace squish::cli
