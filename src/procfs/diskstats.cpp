#include "procfs/diskstats.h"

#include "procfs/lines.h"

#include <algorithm>
#include <array>

namespace squish::procfs {

namespace {

constexpr std::uint64_t kSectorBytes = 512; // whatever the device's own are
constexpr std::size_t kNames = 3;           // major minor name
// Documentation/admin-guide/iostats.rst: 11 fields, 15 since Linux 4.18 (discards), 17 since 5.5 (flushes).
constexpr std::size_t kMinFields = 11;
constexpr std::size_t kMaxFields = 17;

} // namespace

std::string diskstats(std::string_view host, const View& view) {
    std::string out;
    for (const auto line : lines(host)) {
        const auto parts = words(line);
        const auto major = number_at(parts, 0);
        const auto minor = number_at(parts, 1);
        if (!major || !minor || parts.size() < kNames + kMinFields)
            continue;
        const auto at = std::ranges::find_if(
            view.usage.io, [&](const DeviceIo& io) { return io.major == *major && io.minor == *minor; });
        if (at == view.usage.io.end())
            continue;
        const std::array<std::uint64_t, kMaxFields> fields = {at->reads,
                                                              0,
                                                              at->read_bytes / kSectorBytes,
                                                              0, // merged, ms
                                                              at->writes,
                                                              0,
                                                              at->write_bytes / kSectorBytes,
                                                              0, //
                                                              0,
                                                              0,
                                                              0, // in flight, ms, weighted ms
                                                              at->discards,
                                                              0,
                                                              at->discard_bytes / kSectorBytes,
                                                              0, //
                                                              0,
                                                              0};
        out += right(*major, 4) + " " + right(*minor, 7) + " " + std::string(parts[2]);
        for (std::size_t i = 0; i < std::min(parts.size() - kNames, kMaxFields); ++i)
            out += " " + std::to_string(fields[i]);
        out += '\n';
    }
    return out;
}

} // namespace squish::procfs
