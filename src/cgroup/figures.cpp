#include "cgroup/figures.h"

#include "base/text.h"

#include <charconv>

namespace squish::cgroup {

namespace {

// "12.34" without locale; nothing else.
std::optional<double> parse_percent(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

// "avg10=0.00 avg60=0.00 avg300=0.00 total=0", without its first word.
std::optional<PressureLine> parse_pressure_line(std::string_view line) {
    PressureLine out;
    int seen = 0;
    for (const auto word : split(line, ' ')) {
        const auto equals = word.find('=');
        if (equals == std::string_view::npos)
            continue;
        const auto key = word.substr(0, equals), value = word.substr(equals + 1);
        if (key == "total") {
            const auto total = parse_number(value);
            if (!total)
                return std::nullopt;
            out.total = *total;
        } else if (key == "avg10" || key == "avg60" || key == "avg300") {
            const auto percent = parse_percent(value);
            if (!percent)
                return std::nullopt;
            (key == "avg10" ? out.avg10 : key == "avg60" ? out.avg60 : out.avg300) = *percent;
        } else {
            continue;
        }
        ++seen;
    }
    return seen == 4 ? std::optional(out) : std::nullopt;
}

} // namespace

std::optional<std::uint64_t> flat_value(std::string_view text, std::string_view key) {
    for (const auto line : split(text, '\n'))
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ')
            return parse_number(trim(line.substr(key.size() + 1)));
    return std::nullopt;
}

std::optional<std::uint64_t> single_value(std::string_view text) {
    return parse_number(trim(text));
}

IoFigures parse_io_stat(std::string_view text) {
    IoFigures sum;
    for (const auto line : split(text, '\n'))
        for (const auto word : split(line, ' ')) {
            const auto equals = word.find('=');
            if (equals == std::string_view::npos)
                continue;
            const auto key = word.substr(0, equals);
            const auto value = parse_number(word.substr(equals + 1)).value_or(0);
            if (key == "rbytes")
                sum.read_bytes += value;
            else if (key == "wbytes")
                sum.written_bytes += value;
            else if (key == "rios")
                sum.reads += value;
            else if (key == "wios")
                sum.writes += value;
        }
    return sum;
}

std::optional<Pressure> parse_pressure(std::string_view text) {
    Pressure out;
    bool some = false;
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with("some ") && !line.starts_with("full "))
            continue;
        const auto parsed = parse_pressure_line(line.substr(5));
        if (!parsed)
            return std::nullopt;
        (line.starts_with("some ") ? out.some : out.full) = *parsed;
        some = some || line.starts_with("some ");
    }
    return some ? std::optional(out) : std::nullopt;
}

CgroupEvents parse_cgroup_events(std::string_view text) {
    return {flat_value(text, "populated") == 1U, flat_value(text, "frozen") == 1U};
}

} // namespace squish::cgroup
