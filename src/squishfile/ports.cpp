// Published ports in one line: "[ADDR:]HOST:CONTAINER[/PROTO]".
#include "base/text.h"
#include "squishfile/squishfile.h"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>

namespace squish {

namespace {

constexpr std::string_view kRemedy = "write [ADDRESS:]HOST:CONTAINER[/udp], such as \"8080:80\", "
                                     "\"0.0.0.0:8080:80\" or \"[::1]:5353:53/udp\"";

std::unexpected<Error> refuse(std::string_view text, std::string_view why) {
    return fail(ErrorKind::invalid,
                "'" + printable(text.substr(0, 64)) + "' is not a port specification: " + std::string(why),
                std::string(kRemedy));
}

std::optional<std::uint16_t> port_number(std::string_view text) {
    const auto number = parse_number(text);
    if (!number || *number == 0 || *number > 65535)
        return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

bool is_ipv6(std::string_view address) {
    return address.contains(':');
}

bool is_wildcard(std::string_view address) {
    return address == "0.0.0.0" || address == "::";
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

Result<PortSpec> parse_port(std::string_view text) {
    PortSpec port;
    auto rest = text;
    if (const auto slash = rest.rfind('/'); slash != std::string_view::npos) {
        const auto protocol = rest.substr(slash + 1);
        if (protocol == "udp")
            port.protocol = Protocol::udp;
        else if (protocol != "tcp")
            return refuse(text, "the protocol after '/' must be 'tcp' or 'udp'");
        rest = rest.substr(0, slash);
    }

    const auto last = rest.rfind(':');
    if (last == std::string_view::npos)
        return refuse(text, "it must name the port of the host and that of the container");
    const auto container = port_number(rest.substr(last + 1));
    if (!container)
        return refuse(text, "the container's port must be a number from 1 to 65535");
    port.container = *container;
    rest = rest.substr(0, last);

    const auto before_host = rest.rfind(':');
    const auto host = port_number(before_host == std::string_view::npos ? rest : rest.substr(before_host + 1));
    if (!host)
        return refuse(text, "the host's port must be a number from 1 to 65535");
    port.host = *host;
    if (before_host == std::string_view::npos)
        return port;

    auto address = rest.substr(0, before_host);
    if (address.starts_with('[') && address.ends_with(']') && is_ipv6(address))
        address = address.substr(1, address.size() - 2);
    else if (is_ipv6(address))
        return refuse(text, "an IPv6 address must stand in brackets");
    port.address = TRY(parse_address(address));
    return port;
}

std::string to_string(const PortSpec& port) {
    const auto address = is_ipv6(port.address) ? "[" + port.address + "]" : port.address;
    return address + ":" + std::to_string(port.host) + ":" + std::to_string(port.container) +
           (port.protocol == Protocol::udp ? "/udp" : "/tcp");
}

bool ports_collide(const PortSpec& a, const PortSpec& b) {
    if (a.host != b.host || a.protocol != b.protocol || is_ipv6(a.address) != is_ipv6(b.address))
        return false;
    return a.address == b.address || is_wildcard(a.address) || is_wildcard(b.address);
}

} // namespace squish
