// From [resources] to the properties of a systemd unit (systemd.resource-control(5); org.freedesktop.systemd1(5));
// pure.
#pragma once

#include "limits/settings.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace squish::limits {

using DeviceRates = std::vector<std::pair<std::string, std::uint64_t>>; // "/dev/sda", per second

struct Property {
    std::string name;
    // D-Bus types: b, t, s, ay, au, a(st)
    std::variant<bool, std::uint64_t, std::string, std::vector<std::uint8_t>, std::vector<std::uint32_t>, DeviceRates>
        value;
    bool operator==(const Property&) const = default;
};

// "infinity", and "not set"
inline constexpr std::uint64_t kNoLimit = UINT64_MAX;

// What `wanted` asks for; what only `before` asked for is set to its default. A scope holds the anchor, too, which is
// not to be taken off `pids`. For hugetlb and cpu_burst there is no property. `cpus`: possible_cpus(), what a cpuset
// that is lifted becomes: the kernel does not take "" while there are processes, and systemd does not say so.
[[nodiscard]] Result<std::vector<Property>> properties_of(const ResourceSpec& wanted, const ResourceSpec& before,
                                                          const std::vector<Device>& disks, std::string_view cpus);

} // namespace squish::limits
