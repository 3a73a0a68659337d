#include "network/kernel_text.h"

#include "base/text.h"

#include <algorithm>
#include <vector>

namespace squish::network {

namespace {

// "TCP: inuse 0 orphan 0 tw 0": adds the wanted figures of one such text to `counts`.
Result<void> add_sockstat(SocketCounts& counts, std::string_view text) {
    for (const auto line : split(text, '\n')) {
        const auto colon = line.find(':');
        if (colon == std::string_view::npos)
            continue;
        const auto section = line.substr(0, colon);
        const auto words = split(trim(line.substr(colon + 1)), ' ');
        for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
            const auto value = parse_number(words[i + 1]);
            if (!value)
                return fail(ErrorKind::system, "cannot read sockstat line '" + printable(line) + "'");
            if (section == "sockets" && words[i] == "used")
                counts.used += *value;
            else if (words[i] == "tw")
                counts.time_wait += *value;
            else if (words[i] == "inuse")
                (section.starts_with("FRAG") ? counts.fragments : counts.hashed) += *value;
        }
    }
    return {};
}

} // namespace

Result<SocketCounts> parse_sockstat(std::string_view ipv4, std::string_view ipv6) {
    if (!ipv4.starts_with("sockets: used ") || !ipv4.contains("\nTCP: "))
        return fail(ErrorKind::system, "/proc/net/sockstat does not look as expected");
    SocketCounts counts;
    TRY(add_sockstat(counts, ipv4));
    TRY(add_sockstat(counts, ipv6));
    return counts;
}

Result<std::string> ping_group_range(std::string_view gid_map) {
    struct Extent {
        std::uint64_t inside, outside, count;
    };
    std::vector<Extent> extents;
    for (const auto line : split(gid_map, '\n')) {
        std::vector<std::uint64_t> numbers;
        for (const auto word : split(line, ' '))
            if (const auto number = parse_number(word))
                numbers.push_back(*number);
        if (numbers.size() == 3 && numbers[2] > 0)
            extents.push_back({numbers[0], numbers[1], numbers[2]});
    }
    if (extents.empty())
        return fail(ErrorKind::system, "the user namespace has no group ids");
    const auto by_inside = [](const Extent& a, const Extent& b) { return a.inside < b.inside; };
    const auto by_outside = [](const Extent& a, const Extent& b) { return a.outside < b.outside; };
    const auto by_count = [](const Extent& a, const Extent& b) { return a.count < b.count; };
    const auto first = std::ranges::min_element(extents, by_inside);
    const auto last = std::ranges::max_element(extents, by_inside);
    const auto text = [](std::uint64_t low, std::uint64_t high) {
        return std::to_string(low) + " " + std::to_string(high);
    };
    // The range covers every extent only where the lowest and the highest id are so outside as well.
    if (first == std::ranges::min_element(extents, by_outside) && last == std::ranges::max_element(extents, by_outside))
        return text(first->inside, last->inside + last->count - 1);
    const auto widest = std::ranges::max_element(extents, by_count);
    return text(widest->inside, widest->inside + widest->count - 1);
}

} // namespace squish::network
