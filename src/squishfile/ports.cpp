// Published ports in one line: "[ADDR:]HOST:CONTAINER[/PROTO]".
#include "base/text.h"
#include "squishfile/squishfile.h"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>

namespace squish {

namespace {

constexpr std::string_view kRemedy = "write [ADDRESS:]HOST:CONTAINER[/udp], such as \"8080:80\", "
                                     "\"0.0.0.0:8080:80\", \"8000-8010:8000-8010\" or \"[::1]:5353:53/udp\"";

std::unexpected<Error> refuse(std::string_view text, std::string_view why) {
    return fail(ErrorKind::invalid,
                "'" + printable(text.substr(0, 64)) + "' is not a port specification: " + std::string(why),
                std::string(kRemedy));
}

// "80", "80-90".
struct Range {
    std::uint16_t first, last;
    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(last - first) + 1; }
};

std::optional<std::uint16_t> port_number(std::string_view text, std::uint64_t least) {
    const auto number = parse_number(text);
    if (!number || *number < least || *number > 65535)
        return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

std::optional<Range> port_range(std::string_view text, std::uint64_t least) {
    const auto dash = text.find('-');
    const bool is_range = dash != std::string_view::npos;
    const auto first = port_number(text.substr(0, dash), is_range ? 1 : least);
    const auto last = is_range ? port_number(text.substr(dash + 1), 1) : first;
    if (!first || !last || *first > *last)
        return std::nullopt;
    return Range{*first, *last};
}

bool is_ipv6(std::string_view address) {
    return address.contains(':');
}

bool is_wildcard(std::string_view address) {
    return address == "0.0.0.0" || address == "::";
}

// "[ADDRESS:]A[:B][/PROTOCOL]", taken apart.
struct Parts {
    std::optional<std::string> address;
    std::string_view first;
    std::optional<std::string_view> second;
    std::optional<Protocol> protocol;
};

// "[::1]" or "::1" or "127.0.0.1"; the caller knows that nothing else is in `address`.
Result<std::string> read_address(std::string_view text, std::string_view address) {
    if (address.starts_with('[') && address.ends_with(']') && is_ipv6(address))
        return parse_address(address.substr(1, address.size() - 2));
    if (is_ipv6(address))
        return refuse(text, "an IPv6 address must stand in brackets");
    return parse_address(address);
}

Result<Parts> take_apart(std::string_view text) {
    Parts parts;
    auto rest = text;
    if (const auto slash = rest.rfind('/'); slash != std::string_view::npos) {
        const auto protocol = rest.substr(slash + 1);
        if (protocol != "udp" && protocol != "tcp")
            return refuse(text, "the protocol after '/' must be 'tcp' or 'udp'");
        parts.protocol = protocol == "udp" ? Protocol::udp : Protocol::tcp;
        rest = rest.substr(0, slash);
    }
    const auto last = rest.rfind(':');
    if (last == std::string_view::npos) {
        parts.first = rest;
        return parts;
    }
    const auto head = rest.substr(0, last);
    const auto tail = rest.substr(last + 1);
    const auto before_host = head.rfind(':');
    if (head.ends_with(']') || (before_host == std::string_view::npos && head.contains('.'))) {
        parts.address = TRY(read_address(text, head));
        parts.first = tail;
        return parts;
    }
    parts.first = before_host == std::string_view::npos ? head : head.substr(before_host + 1);
    parts.second = tail;
    if (before_host != std::string_view::npos)
        parts.address = TRY(read_address(text, head.substr(0, before_host)));
    return parts;
}

} // namespace

Result<std::string> parse_address(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> canonical{};
    std::array<unsigned char, sizeof(in6_addr)> binary{};
    const int family = is_ipv6(text) ? AF_INET6 : AF_INET;
    const std::string terminated(text);
    if (text.size() >= canonical.size() || text.contains('\0') ||
        ::inet_pton(family, terminated.c_str(), binary.data()) != 1 ||
        ::inet_ntop(family, binary.data(), canonical.data(), canonical.size()) == nullptr)
        return fail(ErrorKind::invalid, "'" + printable(text.substr(0, 64)) + "' is not a literal IPv4 or IPv6 address",
                    "use \"127.0.0.1\" for this machine only, \"0.0.0.0\" or \"::\" for the world");
    return std::string(canonical.data());
}

Result<std::vector<PortSpec>> parse_ports(std::string_view text) {
    const auto parts = TRY(take_apart(text));
    if (!parts.second)
        return refuse(text, "it must name the port of the host and that of the container");
    const auto container = port_range(*parts.second, 1);
    if (!container)
        return refuse(text, "the container's port must be a number from 1 to 65535, or a range of them");
    const auto host = port_range(parts.first, 0);
    if (!host)
        return refuse(text, "the host's port must be a number from 0 to 65535, or a range of them");
    if (host->first != 0 && host->size() != container->size())
        return refuse(text, "the two ranges differ in length");
    if (container->size() > kMaxPorts)
        return refuse(text, "it is more than " + std::to_string(kMaxPorts) + " ports");
    std::vector<PortSpec> ports;
    for (std::size_t i = 0; i < container->size(); ++i) {
        PortSpec port;
        port.container = static_cast<std::uint16_t>(container->first + i);
        port.host = static_cast<std::uint16_t>(host->first == 0 ? 0 : host->first + i);
        port.protocol = parts.protocol.value_or(port.protocol);
        port.address = parts.address.value_or(port.address);
        ports.push_back(std::move(port));
    }
    return ports;
}

Result<PortSpec> parse_port(std::string_view text) {
    auto ports = TRY(parse_ports(text));
    if (ports.size() != 1)
        return refuse(text, "one port is wanted, not a range");
    return std::move(ports.front());
}

// Host port 0 matches nothing; where a new port is described, the kernel chooses.
Result<PortSelector> parse_port_selector(std::string_view text) {
    const auto parts = TRY(take_apart(text));
    PortSelector selector;
    const auto host = port_number(parts.first, 0);
    if (!host)
        return refuse(text, "the host's port must be a number from 0 to 65535");
    selector.host = *host;
    if (parts.second) {
        selector.container = port_number(*parts.second, 1);
        if (!selector.container)
            return refuse(text, "the container's port must be a number from 1 to 65535");
    }
    selector.protocol = parts.protocol;
    selector.address = parts.address;
    return selector;
}

bool matches(const PortSelector& selector, const PortSpec& port) {
    return selector.host == port.host && selector.container.value_or(port.container) == port.container &&
           selector.protocol.value_or(port.protocol) == port.protocol &&
           selector.address.value_or(port.address) == port.address;
}

std::string to_string(const PortSpec& port) {
    const auto address = is_ipv6(port.address) ? "[" + port.address + "]" : port.address;
    return address + ":" + std::to_string(port.host) + ":" + std::to_string(port.container) +
           (port.protocol == Protocol::udp ? "/udp" : "/tcp");
}

bool ports_collide(const PortSpec& a, const PortSpec& b) {
    if (a.host == 0 || a.host != b.host || a.protocol != b.protocol || is_ipv6(a.address) != is_ipv6(b.address))
        return false;
    return a.address == b.address || is_wildcard(a.address) || is_wildcard(b.address);
}

} // namespace squish
