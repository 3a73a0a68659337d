// /proc/diskstats: the disks that the container has used, with its own use of them; no others.
#include "procfs/files.h"
#include "procfs/reading.h"

#include <algorithm>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kSector = 512; // whatever the disk's is: Documentation/admin-guide/iostats.rst

// Columns of the statistics; those that are not here are 0.
std::uint64_t column(const DeviceUse& use, std::size_t index) {
    switch (index) {
    case 0:
        return use.reads;
    case 2:
        return use.read_bytes / kSector;
    case 4:
        return use.writes;
    case 6:
        return use.written_bytes / kSector;
    default:
        return 0;
    }
}

} // namespace

std::string diskstats(std::string_view host, const View& view) {
    std::string out;
    if (view.own.devices.empty())
        return out;
    while (auto line = take_line(host)) {
        const auto major = read_number(take_word(*line));
        const auto minor = read_number(take_word(*line));
        const auto name = take_word(*line);
        if (!major || !minor || name.empty())
            continue;
        const auto use = std::ranges::find_if(view.own.devices, [&](const DeviceUse& device) {
            return device.major == *major && device.minor == *minor;
        });
        if (use == view.own.devices.end())
            continue;
        append_number(out, *major, 4);
        out += ' ';
        append_number(out, *minor, 7);
        out.append(" ").append(name);
        // As many columns as this kernel has: 11, 15 (4.18), 17 (5.5).
        for (std::size_t index = 0; !take_word(*line).empty(); ++index) {
            out += ' ';
            append_number(out, column(*use, index));
        }
        out += '\n';
    }
    return out;
}

} // namespace squish::procfs
