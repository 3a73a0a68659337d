// Kernel text that the network module reads: pure functions of what the kernel wrote.
#pragma once

#include "base/result.h"
#include "network/address_plan.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace squish::network {

// What /proc/net/sockstat and sockstat6 say about one network namespace: everything in them that is counted per
// namespace. `orphan`, `alloc` and `mem` of the TCP line are sums over the whole machine and left out; an orphan of
// this namespace is still in `used` (the kernel counts it until the socket is freed: __sk_free()).
struct SocketCounts {
    std::uint64_t used = 0;      // sockets of any family that belong to user space
    std::uint64_t hashed = 0;    // TCP, UDP, UDP-Lite and raw sockets in the lookup tables, IPv4 and IPv6
    std::uint64_t time_wait = 0; // TCP connections that ended less than a minute ago
    std::uint64_t fragments = 0; // half-received IP datagrams

    friend bool operator==(const SocketCounts&, const SocketCounts&) = default;
};

// `ipv6` is empty where the kernel has no IPv6.
[[nodiscard]] Result<SocketCounts> parse_sockstat(std::string_view ipv4, std::string_view ipv6);

// The value for net.ipv4.ping_group_range that lets every group of a user namespace open ICMP echo sockets:
// "0 65535", from the text of its gid_map. The kernel compares the ids as it sees them itself and switches the
// feature off where the range is empty in its own numbers; then the widest single extent is taken.
[[nodiscard]] Result<std::string> ping_group_range(std::string_view gid_map);

// A line of /proc/net/if_inet6.
struct Address6 {
    Ipv6 address{};
    unsigned prefix = 0;
    std::string link;
};
[[nodiscard]] Result<std::vector<Address6>> parse_addresses6(std::string_view text);

// A default route of /proc/net/ipv6_route, which has those of all tables. Those through lo are left out: the kernel's
// own for what has no route, and the one back to clients (base/client_route.h).
struct DefaultRoute6 {
    Ipv6 gateway{};
    std::string link;
};
[[nodiscard]] Result<std::vector<DefaultRoute6>> parse_default_routes6(std::string_view text);

// The addresses that /proc/net/ipv6_route says are the namespace's own (RTF_LOCAL, linux/ipv6_route.h).
[[nodiscard]] Result<std::vector<Ipv6>> parse_local_addresses6(std::string_view text);

} // namespace squish::network
