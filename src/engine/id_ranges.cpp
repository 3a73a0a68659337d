#include "engine/id_ranges.h"

#include "base/text.h"

namespace squish {

std::vector<IdRange> parse_id_ranges(std::string_view text, std::string_view user, std::uint64_t uid) {
    std::vector<IdRange> ranges;
    for (const auto line : split(text, '\n')) {
        const auto fields = split(trim(line), ':');
        if (fields.size() != 3 || (fields[0] != user && parse_number(fields[0]) != uid))
            continue;
        const auto start = parse_number(fields[1]);
        const auto count = parse_number(fields[2]);
        if (start && count && *count > 0)
            ranges.push_back({*start, *count});
    }
    return ranges;
}

std::string map_arguments(std::uint64_t own_id, const std::vector<IdRange>& ranges) {
    if (ranges.empty())
        return {};
    std::string out = "0," + std::to_string(own_id) + ",1";
    std::uint64_t inside = 1;
    for (const auto& range : ranges) {
        if (inside + range.count > 0xFFFFFFFEU) // ids are 32 bits, the last one is reserved
            break;
        out += "," + std::to_string(inside) + "," + std::to_string(range.start) + "," + std::to_string(range.count);
        inside += range.count;
    }
    return out;
}

} // namespace squish
