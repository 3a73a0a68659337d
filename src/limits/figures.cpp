#include "limits/figures.h"

#include "base/text.h"
#include "limits/cgroup.h"
#include "os/file.h"

#include <algorithm>
#include <charconv>
#include <sys/types.h>

namespace squish::limits {

namespace {

// The file's text; empty where there is no such file, or the kernel does not count this (EOPNOTSUPP: psi=0).
std::string text_of(int folder, const char* file) {
    auto text = read_value(folder, file);
    return text ? *std::move(text) : std::string();
}

std::optional<std::uint64_t> number_in(int folder, const char* file) { // "max" is none
    return parse_number(text_of(folder, file));
}

std::optional<Pressure> pressure_in(int folder, const char* file) {
    const auto text = text_of(folder, file);
    if (text.empty())
        return std::nullopt;
    return parse_pressure(text);
}

double parse_double(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() ? value : 0;
}

// "rbytes=1" of a line of such words.
std::string_view word_of(std::string_view line, std::string_view key) {
    for (const auto word : split(line, ' '))
        if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=')
            return word.substr(key.size() + 1);
    return {};
}

} // namespace

Pressure parse_pressure(std::string_view text) {
    Pressure pressure;
    for (const auto line : split(text, '\n')) {
        const bool some = line.starts_with("some "), full = line.starts_with("full ");
        if (!some && !full)
            continue;
        auto& share = some ? pressure.some : pressure.full;
        share.avg10 = parse_double(word_of(line, "avg10"));
        share.avg60 = parse_double(word_of(line, "avg60"));
        share.avg300 = parse_double(word_of(line, "avg300"));
        if (const auto total = parse_number(word_of(line, "total")))
            share.total_us = *total;
    }
    return pressure;
}

NetworkFigures parse_net_dev(std::string_view text) {
    NetworkFigures figures;
    for (const auto line : split(text, '\n')) {
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || trim(line.substr(0, colon)) == "lo")
            continue;
        std::vector<std::uint64_t> columns;
        for (const auto word : split(line.substr(colon + 1), ' '))
            if (!word.empty())
                columns.push_back(parse_number(word).value_or(0));
        if (columns.size() < 10)
            continue;
        figures.received += columns[0];
        figures.packets_received += columns[1];
        figures.sent += columns[8];
        figures.packets_sent += columns[9];
    }
    return figures;
}

std::uint64_t parse_keyed(std::string_view text, std::string_view key) {
    for (const auto line : split(text, '\n'))
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ')
            return parse_number(trim(line.substr(key.size()))).value_or(0);
    return 0;
}

IoTotals parse_io_stat(std::string_view text) {
    IoTotals totals;
    for (const auto line : split(text, '\n')) {
        totals.read += parse_number(word_of(line, "rbytes")).value_or(0);
        totals.written += parse_number(word_of(line, "wbytes")).value_or(0);
    }
    return totals;
}

Result<Figures> read_cgroup(int folder) {
    if (const auto there = read_value(folder, "cgroup.procs");
        !there && (there.error().sys_errno == ENOENT || there.error().sys_errno == ENODEV))
        return fail_errno("the cgroup is gone", ENODEV);
    Figures figures;
    const auto cpu = text_of(folder, "cpu.stat");
    figures.cpu_us = parse_keyed(cpu, "usage_usec");
    figures.cpu_user_us = parse_keyed(cpu, "user_usec");
    figures.cpu_system_us = parse_keyed(cpu, "system_usec");
    figures.throttled_us = parse_keyed(cpu, "throttled_usec");
    figures.throttled_periods = parse_keyed(cpu, "nr_throttled");
    figures.memory = number_in(folder, "memory.current").value_or(0);
    figures.memory_cache = std::min(parse_keyed(text_of(folder, "memory.stat"), "inactive_file"), figures.memory);
    figures.memory_limit = number_in(folder, "memory.max");
    figures.memory_peak = number_in(folder, "memory.peak"); // Linux 5.19
    figures.swap = number_in(folder, "memory.swap.current");
    figures.pids = number_in(folder, "pids.current").value_or(0);
    figures.pids_limit = number_in(folder, "pids.max");
    const auto io = parse_io_stat(text_of(folder, "io.stat"));
    figures.io_read = io.read;
    figures.io_written = io.written;
    figures.oom_kills = parse_keyed(text_of(folder, "memory.events"), "oom_kill");
    figures.cpu_pressure = pressure_in(folder, "cpu.pressure");
    figures.memory_pressure = pressure_in(folder, "memory.pressure");
    figures.io_pressure = pressure_in(folder, "io.pressure");
    return figures;
}

Result<std::uint64_t> read_oom_kills(int folder) {
    const auto text = TRY(read_value(folder, "memory.events"));
    return parse_keyed(text, "oom_kill");
}

Result<NetworkFigures> read_network(pid_t pid) {
    const auto text = TRY(os::read_file("/proc/" + std::to_string(pid) + "/net/dev"));
    return parse_net_dev(text);
}

} // namespace squish::limits
