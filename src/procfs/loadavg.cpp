// /proc/loadavg, and the same for sysinfo(2).
#include "procfs/loads.h"

#include "procfs/files.h"
#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

std::array<std::uint64_t, 3> shown_loads(std::string_view host, const View& view) {
    std::array<std::uint64_t, 3> loads{};
    if (view.own_usage) {
        std::ranges::copy(view.own.load, loads.begin());
        return loads;
    }
    auto line = host.substr(0, host.find('\n'));
    for (auto& load : loads)
        load = read_hundredths(take_word(line)).value_or(0);
    return loads;
}

std::string loadavg(std::string_view host, const View& view) {
    std::string out;
    for (const auto load : shown_loads(host, view)) {
        append_hundredths(out, load);
        out += ' ';
    }
    append_number(out, running_tasks(view));
    out += '/';
    append_number(out, all_tasks(view));
    out += ' ';
    append_number(out, view.own.last_pid != 0 ? view.own.last_pid : all_tasks(view));
    out += '\n';
    return out;
}

} // namespace squish::procfs
