#include "procfs/stat.h"

#include "procfs/lines.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kTickUs = 10'000; // USER_HZ is 100 on every architecture that we build for
constexpr std::size_t kMinFields = 4;     // user nice system idle
constexpr std::size_t kMaxFields = 10;    // … iowait irq softirq steal guest guest_nice
constexpr std::size_t kMaxSoftirqs = 32;

struct Ticks {
    std::uint64_t user = 0, system = 0, idle = 0;
};

Ticks ticks(const CpuTimes& times) {
    return {.user = times.user / kTickUs, .system = times.system / kTickUs, .idle = times.idle / kTickUs};
}

std::string cpu_fields(const Ticks& ticks, std::size_t fields) {
    auto out = std::to_string(ticks.user) + " 0 " + std::to_string(ticks.system) + " " + std::to_string(ticks.idle);
    for (auto i = kMinFields; i < fields; ++i)
        out += " 0";
    return out + "\n";
}

std::string cpu_lines(const View& view, std::size_t fields) {
    Ticks sum;
    std::string each;
    for (std::size_t i = 0; i < view.cpus.size() && i < view.usage.cpus.size(); ++i) {
        const auto one = ticks(view.usage.cpus[i]);
        sum.user += one.user;
        sum.system += one.system;
        sum.idle += one.idle;
        each += "cpu" + std::to_string(view.cpus[i]) + " " + cpu_fields(one, fields);
    }
    return "cpu  " + cpu_fields(sum, fields) + each;
}

std::string zeros(std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i)
        out += " 0";
    return out;
}

} // namespace

std::string stat(std::string_view host, const View& view) {
    if (view.cpus.empty())
        return std::string(host);
    std::string out;
    bool found = false;
    const auto& tasks = view.usage.tasks;
    for (const auto line : lines(host)) {
        const auto parts = words(line);
        const auto name = parts.empty() ? std::string_view{} : parts.front();
        if (name == "cpu" && !found) {
            out += cpu_lines(view, std::clamp(parts.size() - 1, kMinFields, kMaxFields));
            found = true;
        } else if (name == "intr") {
            out += "intr 0\n";
        } else if (name == "ctxt") {
            out += "ctxt " + std::to_string(tasks.switches) + "\n";
        } else if (name == "btime") {
            out += "btime " + std::to_string(view.usage.started_at) + "\n";
        } else if (name == "processes") {
            out += "processes " + std::to_string(tasks.forks) + "\n";
        } else if (name == "procs_running") {
            out += "procs_running " + std::to_string(tasks.running) + "\n";
        } else if (name == "procs_blocked") {
            out += "procs_blocked " + std::to_string(tasks.blocked) + "\n";
        } else if (name == "softirq") {
            out += "softirq" + zeros(std::min(parts.size() - 1, kMaxSoftirqs)) + "\n";
        }
    }
    return found ? out : std::string(host);
}

std::string uptime(const View& view) {
    std::uint64_t idle = 0;
    for (const auto& cpu : view.usage.cpus)
        idle += cpu.idle / kTickUs;
    return hundredths(view.usage.uptime_us / kTickUs) + " " + hundredths(idle) + "\n";
}

} // namespace squish::procfs
