#include "cli/usage.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace squish::cli {

namespace {

std::optional<std::uint64_t> count_of(const Json& object, const char* member) {
    const auto found = object.find(member);
    if (found == object.end() || !found->is_number())
        return std::nullopt;
    if (found->is_number_unsigned())
        return found->get<std::uint64_t>();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(found->get<std::int64_t>(), 0));
}

} // namespace

Usage read_usage(const Json& container) {
    Usage usage;
    if (!container.is_object())
        return usage;
    const auto count = [&](const char* member) { return count_of(container, member).value_or(0); };
    usage.id = printable(text_of(container, "id"));
    usage.name = printable(text_of(container, "name"));
    usage.from_proc = text_of(container, "source") == "proc";
    usage.time_us = number_of(container, "time_us");
    usage.cpu_us = count("cpu_usage_us");
    usage.memory = count("memory");
    usage.memory_cache = count("memory_cache");
    usage.memory_used = count("memory_used");
    usage.memory_limit = count_of(container, "memory_limit");
    usage.pids = count("pids");
    usage.pids_limit = count_of(container, "pids_limit");
    usage.io_read = count("io_read");
    usage.io_written = count("io_written");
    usage.received = count_of(container, "network_received");
    usage.sent = count_of(container, "network_sent");
    return usage;
}

std::map<std::string, Usage> read_usages(const Json& stats) {
    std::map<std::string, Usage> usages;
    if (const auto found = stats.find("containers"); found != stats.end() && found->is_array())
        for (const auto& container : *found) {
            auto usage = read_usage(container);
            usages.insert_or_assign(usage.id, std::move(usage));
        }
    return usages;
}

std::optional<double> rate(const Usage* before, const Usage& now, std::uint64_t Usage::* counter) {
    if (!before || now.time_us <= before->time_us || now.*counter < before->*counter)
        return std::nullopt;
    return static_cast<double>(now.*counter - before->*counter) * 1e6 /
           static_cast<double>(now.time_us - before->time_us);
}

std::optional<double> cpu_percent(const Usage* before, const Usage& now) {
    const auto microseconds = rate(before, now, &Usage::cpu_us); // of each second
    return microseconds ? std::optional(*microseconds / 1e4) : std::nullopt;
}

std::string short_size(std::uint64_t bytes) {
    constexpr std::array kUnits{"B", "K", "M", "G", "T", "P", "E"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < kUnits.size()) { // what would be shown as 1024.0
        value /= 1024;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    std::string out = text;
    if (out.ends_with(".0"))
        out.resize(out.size() - 2);
    return out + kUnits[unit];
}

std::string percent_text(std::optional<double> percent) {
    if (!percent)
        return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.1f%%", *percent);
    return text;
}

} // namespace squish::cli
