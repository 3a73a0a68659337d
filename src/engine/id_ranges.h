// The subordinate ids of a user (subuid(5), subgid(5)).
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace squish {

struct IdRange {
    std::uint64_t start, count;
    bool operator==(const IdRange&) const = default;
};

// The lines of `text` that name the user, by name or number.
[[nodiscard]] std::vector<IdRange> parse_id_ranges(std::string_view text, std::string_view user, std::uint64_t uid);
// The arguments of newuidmap(1) for "own id → 0, ranges → 1, 2, …", joined by ','; "" where there is no range.
[[nodiscard]] std::string map_arguments(std::uint64_t own_id, const std::vector<IdRange>& ranges);

} // namespace squish
