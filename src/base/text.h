// Small helpers for text: no allocation surprises, no locale.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace squish {

// "a, b, c"
[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
[[nodiscard]] std::string_view trim(std::string_view text);

// The known word nearest to `word` by edit distance, where it is near enough to be a slip of the pen
// (at most a third of the word, at least one edit); for "did you mean …".
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

// A whole decimal number without sign or blanks; nothing else is accepted.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

// `count` random bytes as lower-case hex, from getrandom(2).
[[nodiscard]] std::string random_hex(std::size_t count);

// For messages and terminals: control characters and invalid UTF-8 shown as \xNN, so that nothing that came
// from outside can steer a terminal or forge a log line.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace squish
