// /proc/uptime: since the container's start; and how long its CPUs had nothing to do, together, as stat says it.
#include "procfs/cpu_time.h"
#include "procfs/files.h"
#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kHundredth = 10'000'000; // ns

// The share of the CPUs that are shown. No more than they could have since the container's start: the host's counts
// from its own.
std::uint64_t host_idle(std::string_view host, std::uint64_t uptime, const View& view) {
    const auto shown = shown_cpus(view).count();
    const auto all = std::max(view.host_cpus.count(), shown);
    take_word(host);
    host = host.substr(0, host.find('\n'));
    return std::min(scale(read_hundredths(take_word(host)).value_or(0), shown, all), scale(uptime, shown, 1));
}

} // namespace

std::string uptime(std::string_view host, const View& view) {
    const auto uptime = view.uptime_ns / kHundredth;
    std::string out;
    append_hundredths(out, uptime);
    out += ' ';
    append_hundredths(out, view.own_usage ? scale(sum_of(own_cpu_times(view), kIdleColumn), 100, ticks_per_second(view))
                                          : host_idle(host, uptime, view));
    out += '\n';
    return out;
}

} // namespace squish::procfs
