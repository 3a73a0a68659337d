// Limits as properties of a systemd unit. Names and types: org.freedesktop.systemd1(5), "Scope Unit Objects".
#pragma once

#include "cgroup/limits.h"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace squish::cgroup {

struct Property {
    using Devices = std::vector<std::pair<std::string, std::uint64_t>>;                     // a(st)
    using Value = std::variant<bool, std::uint64_t, std::string, std::vector<std::uint8_t>, // b, t, s, ay
                               std::vector<std::uint32_t>, Devices>;                        // au
    std::string name;
    Value value;
    bool operator==(const Property&) const = default;
};

// What systemd calls "infinity".
inline constexpr std::uint64_t kInfinity = ~std::uint64_t{0};

// The properties that lead from `from` to `to`. Left out is what systemd 252 has no property for: the burst of a quota.
// The unit's TasksMax is one above the limit, since the process with which the unit was opened counts there too; the
// payload's own cgroup has the exact figure, and all that is left out here.
[[nodiscard]] std::vector<Property> to_properties(const Limits& to, const Limits& from = {});

// Limits that need a controller which systemd does not manage (hugetlb): the driver cannot have them.
[[nodiscard]] std::vector<Need> unknown_to_systemd(const Limits& limits);

} // namespace squish::cgroup
