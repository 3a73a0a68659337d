#include "procfs/reading.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

} // namespace

std::optional<std::string_view> take_line(std::string_view& rest) {
    if (rest.empty())
        return std::nullopt;
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

std::string_view take_word(std::string_view& line) {
    std::size_t start = 0;
    while (start < line.size() && is_blank(line[start]))
        ++start;
    auto end = start;
    while (end < line.size() && !is_blank(line[end]))
        ++end;
    const auto word = line.substr(start, end - start);
    line.remove_prefix(end);
    return word;
}

std::optional<std::uint64_t> read_number(std::string_view text) {
    if (text.empty() || !std::ranges::all_of(text, is_digit))
        return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} ? value : kLargest;
}

std::optional<std::uint64_t> read_hundredths(std::string_view word) {
    const auto point = word.find('.');
    if (point == std::string_view::npos || word.size() != point + 3)
        return std::nullopt;
    const auto whole = read_number(word.substr(0, point));
    const auto fraction = read_number(word.substr(point + 1));
    if (!whole || !fraction)
        return std::nullopt;
    return add(scale(*whole, 100, 1), *fraction);
}

std::optional<Entry> read_entry(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    Entry entry{.name = line.substr(0, colon)};
    line.remove_prefix(colon + 1);
    const auto value = read_number(take_word(line));
    const auto unit = take_word(line);
    if (entry.name.empty() || std::ranges::any_of(entry.name, is_blank) || !value || (!unit.empty() && unit != "kB") ||
        !take_word(line).empty())
        return std::nullopt;
    entry.value = *value;
    entry.kilobytes = !unit.empty();
    return entry;
}

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    return a > kLargest - b ? kLargest : a + b;
}

std::uint64_t scale(std::uint64_t amount, std::uint64_t times, std::uint64_t per) {
    const auto whole = amount / per;
    if (times != 0 && whole > kLargest / times)
        return kLargest;
    return add(whole * times, amount % per * times / per);
}

void append_number(std::string& out, std::uint64_t value, std::size_t width) {
    std::array<char, 20> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    const auto length = static_cast<std::size_t>(end - digits.data());
    if (length < width)
        out.append(width - length, ' ');
    out.append(digits.data(), length);
}

void append_hundredths(std::string& out, std::uint64_t value) {
    append_number(out, value / 100);
    out += '.';
    out += static_cast<char>('0' + value % 100 / 10);
    out += static_cast<char>('0' + value % 10);
}

CpuSet shown_cpus(const View& view) {
    if (view.own.limits.cpus.any())
        return view.own.limits.cpus;
    return view.host_cpus.any() ? view.host_cpus : CpuSet(1);
}

std::uint64_t running_tasks(const View& view) {
    return std::max<std::uint64_t>(1, view.own.usage.running);
}

std::uint64_t all_tasks(const View& view) {
    return std::max(running_tasks(view), view.own.usage.tasks);
}

} // namespace squish::procfs
