#include "engine/id_ranges.h"

#include "base/text.h"

#include <algorithm>

namespace squish {

namespace {
constexpr std::uint64_t kLastId = 0xFFFFFFFE; // ids are 32 bits, the last value is reserved
}

std::vector<IdRange> parse_id_ranges(std::string_view text, std::string_view user, std::uint64_t uid) {
    std::vector<IdRange> ranges;
    for (const auto line : split(text, '\n')) {
        const auto fields = split(trim(line), ':');
        if (fields.size() != 3 || (fields[0] != user && parse_number(fields[0]) != uid))
            continue;
        const auto start = parse_number(fields[1]);
        const auto count = parse_number(fields[2]);
        if (!start || !count || *count == 0 || *start > kLastId || *count - 1 > kLastId - *start)
            continue;
        // newuidmap refuses extents that overlap, be it the same range by name and by number, or one that holds our own
        // id.
        const IdRange range{*start, *count};
        const auto overlaps = [&](const IdRange& other) {
            return range.start < other.start + other.count && other.start < range.start + range.count;
        };
        if (!overlaps({uid, 1}) && std::ranges::none_of(ranges, overlaps))
            ranges.push_back(range);
    }
    return ranges;
}

std::string map_arguments(std::uint64_t own_id, const std::vector<IdRange>& ranges) {
    if (ranges.empty())
        return {};
    std::string out = "0," + std::to_string(own_id) + ",1";
    std::uint64_t inside = 1;
    for (const auto& range : ranges) {
        if (range.count > kLastId - inside)
            break;
        out += "," + std::to_string(inside) + "," + std::to_string(range.start) + "," + std::to_string(range.count);
        inside += range.count;
    }
    return out;
}

} // namespace squish
