#include "network/kernel_text.h"

#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <linux/ipv6_route.h>
#include <optional>
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

std::vector<std::string_view> words_of(std::string_view line) {
    auto words = split(line, ' ');
    std::erase_if(words, [](std::string_view word) { return word.empty(); });
    return words;
}

// 32 hexadecimal digits.
std::optional<Ipv6> parse_address(std::string_view digits) {
    Ipv6 address{};
    if (digits.size() != 2 * address.size())
        return std::nullopt;
    for (std::size_t at = 0; at < address.size(); ++at) {
        const auto* const begin = digits.data() + 2 * at;
        if (const auto [end, error] = std::from_chars(begin, begin + 2, address[at], 16);
            error != std::errc() || end != begin + 2)
            return std::nullopt;
    }
    return address;
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

Result<std::vector<Address6>> parse_addresses6(std::string_view text) {
    std::vector<Address6> found;
    for (const auto line : split(text, '\n')) {
        const auto words = words_of(line); // address, interface number, prefix, scope, flags, name
        if (words.empty())
            continue;
        const auto address = parse_address(words[0]);
        unsigned prefix = 0;
        if (!address || words.size() != 6 ||
            std::from_chars(words[2].data(), words[2].data() + words[2].size(), prefix, 16).ec != std::errc())
            return fail(ErrorKind::system, "cannot read if_inet6 line '" + printable(line) + "'");
        found.push_back({*address, prefix, std::string(words[5])});
    }
    return found;
}

namespace {

// A line of ipv6_route.
struct Route6 {
    Ipv6 destination{};
    std::string_view prefix; // in hexadecimal
    Ipv6 gateway{};
    std::uint32_t flags = 0;
    std::string_view link;
};

Result<std::vector<Route6>> parse_routes6(std::string_view text) {
    std::vector<Route6> found;
    for (const auto line : split(text, '\n')) {
        // destination, its prefix, source, its prefix, gateway, metric, references, uses, flags, name
        const auto words = words_of(line);
        if (words.empty())
            continue;
        const bool complete = words.size() == 10;
        const auto destination = complete ? parse_address(words[0]) : std::nullopt;
        const auto gateway = complete ? parse_address(words[4]) : std::nullopt;
        std::uint32_t flags = 0;
        if (!destination || !gateway ||
            std::from_chars(words[8].data(), words[8].data() + words[8].size(), flags, 16).ec != std::errc())
            return fail(ErrorKind::system, "cannot read ipv6_route line '" + printable(line) + "'");
        found.push_back({*destination, words[1], *gateway, flags, words[9]});
    }
    return found;
}

} // namespace

Result<std::vector<DefaultRoute6>> parse_default_routes6(std::string_view text) {
    std::vector<DefaultRoute6> found;
    for (const auto& route : TRY(parse_routes6(text)))
        if (route.prefix == "00" && route.link != "lo")
            found.push_back({route.gateway, std::string(route.link)});
    return found;
}

Result<std::vector<Ipv6>> parse_local_addresses6(std::string_view text) {
    std::vector<Ipv6> found;
    for (const auto& route : TRY(parse_routes6(text)))
        if (route.prefix == "80" && (route.flags & RTF_LOCAL) != 0)
            found.push_back(route.destination);
    return found;
}

} // namespace squish::network
