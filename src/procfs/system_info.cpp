#include "procfs/files.h"
#include "procfs/loads.h"
#include "procfs/reading.h"

namespace squish::procfs {

SystemInfo system_info(std::string_view host_meminfo, std::string_view host_loadavg, const View& view) {
    SystemInfo info;
    info.uptime_s = view.uptime_ns / 1'000'000'000;
    info.processes = all_tasks(view);

    // Rounded up: who prints it in hundredths, cutting off (busybox), prints what loadavg says.
    const auto loads = shown_loads(host_loadavg, view);
    for (std::size_t i = 0; i < loads.size(); ++i)
        info.loads[i] = add(scale(loads[i], 65'536, 100), loads[i] % 100 * 65'536 % 100 != 0 ? 1 : 0);

    // Of the text itself, so that the two cannot differ.
    const auto text = meminfo(host_meminfo, view);
    std::string_view lines = text;
    while (const auto line = take_line(lines)) {
        const auto entry = read_entry(*line);
        if (!entry)
            continue;
        const auto bytes = scale(entry->value, 1024, 1);
        if (entry->name == "MemTotal")
            info.total = bytes;
        else if (entry->name == "MemFree")
            info.free = bytes;
        else if (entry->name == "Shmem")
            info.shared = bytes;
        else if (entry->name == "Buffers")
            info.buffers = bytes;
        else if (entry->name == "SwapTotal")
            info.total_swap = bytes;
        else if (entry->name == "SwapFree")
            info.free_swap = bytes;
    }
    return info;
}

} // namespace squish::procfs
