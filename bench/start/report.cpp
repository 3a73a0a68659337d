#include "report.h"

#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace squish::bench {

namespace {

using Json = nlohmann::ordered_json;

__attribute__((format(printf, 1, 2))) std::string formatted(const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

// The p50 of a contestant in microseconds; 0 where it did not take part.
double p50_of(const Report& report, const std::string& name) {
    for (const auto& one : report.figures)
        if (one.name == name)
            return one.times.p50;
    return 0;
}

std::string ratio(double value, double reference) {
    return value > 0 && reference > 0 ? formatted("%.2f", value / reference) : "-";
}

Json ratio_json(double value, double reference) {
    return value > 0 && reference > 0 ? Json(value / reference) : Json(nullptr);
}

} // namespace

std::string to_table(const Report& report) {
    const double floor = p50_of(report, kFloor);
    const double squish = p50_of(report, kSquish);
    auto out =
        formatted("%s, %u cpus, Linux %s, %s\n%s, load %.2f before and %.2f after, %u rounds after %u to warm up, "
                  "%u ms of rest after each start\n\n",
                  report.machine.processor.c_str(), report.machine.cpus, report.machine.kernel.c_str(),
                  report.machine.system.c_str(), report.date.c_str(), report.load_before, report.load_after,
                  report.rounds, report.warm_up, report.pause_ms);
    out += formatted("%-24s %8s %8s %8s %8s %8s  %s\n", "milliseconds", "p50", "p99", "mean", "/floor", "/squish", "");
    for (const auto& one : report.figures) {
        const auto& times = one.times;
        out += formatted("%-24s %8.2f %8.2f %8.2f %8s %8s  %s", one.name.c_str(), times.p50 / 1000, times.p99 / 1000,
                         times.mean / 1000, ratio(times.p50, floor).c_str(), ratio(times.p50, squish).c_str(),
                         one.what.c_str());
        if (one.failures)
            out += formatted(" [%zu failed: %s]", one.failures, one.failure.c_str());
        out += "\n";
    }
    for (const auto& [name, reason] : report.skipped)
        out += formatted("%-24s skipped: %s\n", name.c_str(), reason.c_str());
    for (const auto& [name, steps] : report.steps) {
        out += formatted("\n%-24s", (name + ", ms").c_str());
        for (const auto& [step, times] : steps)
            out += formatted(" %9s", step.c_str());
        out += formatted("\n%-24s", "p50");
        for (const auto& [step, times] : steps)
            out += formatted(" %9.3f", times.p50 / 1000);
        out += "\n";
    }
    return out;
}

std::string to_json(const Report& report) {
    const double floor = p50_of(report, kFloor);
    const double squish = p50_of(report, kSquish);
    Json out = {{"date", report.date},
                {"machine",
                 {{"processor", report.machine.processor},
                  {"cpus", report.machine.cpus},
                  {"kernel", report.machine.kernel},
                  {"system", report.machine.system}}},
                {"load_before", report.load_before},
                {"load_after", report.load_after},
                {"rounds", report.rounds},
                {"warm_up", report.warm_up},
                {"pause_ms", report.pause_ms},
                {"contestants", Json::array()},
                {"skipped", Json::array()}};
    for (const auto& one : report.figures)
        out["contestants"].push_back({{"name", one.name},
                                      {"what", one.what},
                                      {"version", one.version},
                                      {"count", one.times.count},
                                      {"failures", one.failures},
                                      {"p50_us", one.times.p50},
                                      {"p99_us", one.times.p99},
                                      {"mean_us", one.times.mean},
                                      {"min_us", one.times.least},
                                      {"max_us", one.times.most},
                                      {"to_floor", ratio_json(one.times.p50, floor)},
                                      {"to_squish", ratio_json(one.times.p50, squish)}});
    for (const auto& [name, steps] : report.steps)
        for (const auto& [step, times] : steps)
            out["steps"][name][step] = {{"count", times.count}, {"p50_us", times.p50}, {"p99_us", times.p99}};
    for (const auto& [name, reason] : report.skipped)
        out["skipped"].push_back({{"name", name}, {"reason", reason}});
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace squish::bench
