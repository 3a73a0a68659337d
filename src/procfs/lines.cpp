#include "procfs/lines.h"

#include "base/text.h"

namespace squish::procfs {

namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::string_view kDigits = "0123456789";

} // namespace

std::vector<std::string_view> lines(std::string_view text) {
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    else if (text.empty())
        return {};
    return split(text, '\n');
}

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> out;
    for (auto at = line.find_first_not_of(kBlank); at != std::string_view::npos;) {
        const auto end = line.find_first_of(kBlank, at);
        out.push_back(line.substr(at, end - at));
        at = line.find_first_not_of(kBlank, end);
    }
    return out;
}

std::optional<std::uint64_t> number_at(std::span<const std::string_view> words, std::size_t index) {
    return index < words.size() ? parse_number(words[index]) : std::nullopt;
}

std::string right(std::uint64_t number, std::size_t width) {
    auto out = std::to_string(number);
    if (out.size() < width)
        out.insert(0, width - out.size(), ' ');
    return out;
}

std::string two_digits(std::uint64_t number) {
    const auto out = std::to_string(number % 100);
    return out.size() == 1 ? "0" + out : out;
}

std::string hundredths(std::uint64_t number) {
    return std::to_string(number / 100) + "." + two_digits(number);
}

std::string KeyLine::with(std::uint64_t other) const {
    std::string out(line.substr(0, column));
    out += ' ';
    out += right(other, width - 1);
    out += line.substr(column + width);
    return out;
}

std::optional<KeyLine> key_line(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
        return std::nullopt;
    const auto digits = line.find_first_not_of(kBlank, colon + 1);
    if (digits == std::string_view::npos || digits == colon + 1)
        return std::nullopt;
    auto end = line.find_first_not_of(kDigits, digits);
    end = end == std::string_view::npos ? line.size() : end;
    const auto number = parse_number(line.substr(digits, end - digits));
    const auto unit = line.substr(end);
    if (!number || (!unit.empty() && unit != " kB"))
        return std::nullopt;
    return KeyLine{
        .line = line, .key = line.substr(0, colon), .number = *number, .column = colon + 1, .width = end - colon - 1};
}

} // namespace squish::procfs
