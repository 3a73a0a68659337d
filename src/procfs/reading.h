// Reading the kernel's texts without trusting them: a number may be of any length, a line of any shape, a file cut off.
// Sums that do not fit are the largest number; differences below nothing are 0.
#pragma once

#include "procfs/view.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace squish::procfs {

// The next line of `rest`, without its end, which is taken off; none at the end. The last one needs no '\n'.
[[nodiscard]] std::optional<std::string_view> take_line(std::string_view& rest);
// The next word of a line; empty at its end.
std::string_view take_word(std::string_view& line);
// A whole decimal number; the largest one where it is larger.
[[nodiscard]] std::optional<std::uint64_t> read_number(std::string_view text);
[[nodiscard]] inline std::uint64_t number_or_0(std::string_view text) {
    return read_number(text).value_or(0);
}

// "MemTotal:       11102424 kB", "HugePages_Total:       0"
struct Entry {
    std::string_view name;
    std::uint64_t value = 0;
    bool kilobytes = false;
};
[[nodiscard]] std::optional<Entry> read_entry(std::string_view line);

[[nodiscard]] std::uint64_t add(std::uint64_t a, std::uint64_t b);
[[nodiscard]] inline std::uint64_t less(std::uint64_t a, std::uint64_t b) {
    return a > b ? a - b : 0;
}
// amount * times / per, where times and per are at most 10^9 and per is not 0.
[[nodiscard]] std::uint64_t scale(std::uint64_t amount, std::uint64_t times, std::uint64_t per);

// At least `width` wide, blanks before it.
void append_number(std::string& out, std::uint64_t value, std::size_t width = 0);
// "12.34" and its hundredths.
[[nodiscard]] std::optional<std::uint64_t> read_hundredths(std::string_view word);
void append_hundredths(std::string& out, std::uint64_t value);

// Its memory figures are known, so that those are shown.
[[nodiscard]] inline bool shows_own_memory(const View& view) {
    return view.own_memory || view.own_usage;
}
// At least one.
[[nodiscard]] CpuSet shown_cpus(const View& view);
// Threads that run (the reader is one) and all, as loadavg, stat and sysinfo(2) count them.
[[nodiscard]] std::uint64_t running_tasks(const View& view);
[[nodiscard]] std::uint64_t all_tasks(const View& view);

} // namespace squish::procfs
