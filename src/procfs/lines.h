// The texts below /proc, line by line and word by word. Nothing here fails: what is not there is empty.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace squish::procfs {

// Without their newlines; an empty line after the last newline is not one.
[[nodiscard]] std::vector<std::string_view> lines(std::string_view text);

// What stands between blanks and tabs.
[[nodiscard]] std::vector<std::string_view> words(std::string_view line);

// The number in words[index], or nothing.
[[nodiscard]] std::optional<std::uint64_t> number_at(std::span<const std::string_view> words, std::size_t index);

// "   42": `width` wide, or wider where the number is.
[[nodiscard]] std::string right(std::uint64_t number, std::size_t width);

// "7" as "07"; of a number of hundredths, the last two digits.
[[nodiscard]] std::string two_digits(std::uint64_t number);

// "3.07" from 307.
[[nodiscard]] std::string hundredths(std::uint64_t number);

// A line "Key:      123 kB" or "Key:      123", and where in it the number stands, with the blanks before it.
struct KeyLine {
    std::string_view line;
    std::string_view key;
    std::uint64_t number = 0;
    std::size_t column = 0, width = 0;

    // The same line with another number, aligned as the kernel aligns it.
    [[nodiscard]] std::string with(std::uint64_t other) const;
};
[[nodiscard]] std::optional<KeyLine> key_line(std::string_view line);

} // namespace squish::procfs
