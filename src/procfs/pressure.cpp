#include "procfs/pressure.h"

#include "base/text.h"
#include "procfs/lines.h"

namespace squish::procfs {

namespace {

// 100 from "1.00"
std::optional<std::uint64_t> parse_hundredths(std::string_view text) {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos || text.size() - dot != 3)
        return std::nullopt;
    const auto whole = parse_number(text.substr(0, dot));
    const auto part = parse_number(text.substr(dot + 1));
    if (!whole || !part || *whole > 100)
        return std::nullopt;
    return *whole * 100 + *part;
}

// "123" from "total=123"
std::optional<std::string_view> value_of(std::string_view word, std::string_view key) {
    if (!word.starts_with(key) || !word.substr(key.size()).starts_with('='))
        return std::nullopt;
    return word.substr(key.size() + 1);
}

std::optional<PressureLine> parse_line(std::span<const std::string_view> parts) {
    if (parts.size() != 5)
        return std::nullopt;
    const auto average = [&parts](std::size_t index, std::string_view key) {
        const auto value = value_of(parts[index], key);
        return value ? parse_hundredths(*value) : std::nullopt;
    };
    const auto avg10 = average(1, "avg10");
    const auto avg60 = average(2, "avg60");
    const auto avg300 = average(3, "avg300");
    const auto total_text = value_of(parts[4], "total");
    const auto total = total_text ? parse_number(*total_text) : std::nullopt;
    if (!avg10 || !avg60 || !avg300 || !total)
        return std::nullopt;
    return PressureLine{.avg10 = *avg10, .avg60 = *avg60, .avg300 = *avg300, .total = *total};
}

std::string line_text(std::string_view name, const PressureLine& line) {
    return std::string(name) + " avg10=" + hundredths(line.avg10) + " avg60=" + hundredths(line.avg60) +
           " avg300=" + hundredths(line.avg300) + " total=" + std::to_string(line.total) + "\n";
}

} // namespace

std::optional<Pressure> parse_pressure(std::string_view text) {
    Pressure out;
    bool some = false;
    for (const auto line : lines(text)) {
        const auto parts = words(line);
        const auto read = parse_line(parts);
        if (!read)
            return std::nullopt;
        if (parts[0] == "some") {
            out.some = *read;
            some = true;
        } else if (parts[0] == "full") {
            out.full = *read;
        }
    }
    return some ? std::optional(out) : std::nullopt;
}

std::string pressure(std::string_view host, const Pressure& own) {
    std::string out;
    for (const auto line : lines(host)) {
        if (line.starts_with("some "))
            out += line_text("some", own.some);
        else if (line.starts_with("full "))
            out += line_text("full", own.full);
    }
    return out.empty() ? line_text("some", own.some) + line_text("full", own.full) : out;
}

} // namespace squish::procfs
