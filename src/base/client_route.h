// How a payload comes to see its client's own address: the numbers that the one who prepares a container's network
// namespace (network, in the stager) and the one who connects in it (forward) must agree on.
//
// How this works. The forwarder's socket in the container's namespace is bound to the client's address (IP_TRANSPARENT)
// and connected to the container's own, so it goes over lo. The payload's answer is addressed to the client, and would
// leave by eth0; instead a rule leads it to a routing table in which everything is local:
//
//     ip route add local default dev lo src CONTAINER table kClientTable
//     80: from all fwmark kClientMark lookup kClientTable      TCP: an accepted socket has the mark of its SYN
//                                                              (net.ipv4.tcp_fwmark_accept), and so has the RST or
//                                                              ICMP error of a port where nobody listens
//                                                              (fwmark_reflect; Documentation/networking/ip-sysctl.rst)
//     82: from the container's own IPv6 addresses goto 90      IPv6 alone: there no right is needed to send from
//     84: from any other given address unreachable             what is not one's own (IPV6_FREEBIND)
//     90: to the containers' networks lookup main              what follows must not catch siblings
//     95: ipproto udp sport PORT lookup kClientTable           UDP: for each published port, by the forwarder
//
// The `src` makes a wildcard socket answer from the container's address. Clients on loopback are never impersonated.
#pragma once

#include <cstdint>

namespace squish::client_route {

inline constexpr std::uint32_t kMark = 0x5351;
inline constexpr std::uint32_t kTable = 0x5351;
inline constexpr std::uint32_t kMarkPriority = 80;
inline constexpr std::uint32_t kOwnSourcePriority = 82;
inline constexpr std::uint32_t kForeignSourcePriority = 84;
inline constexpr std::uint32_t kSiblingsPriority = 90;
inline constexpr std::uint32_t kUdpPriority = 95;

// The containers' networks: 10.89.0.0/16 and fd73:7175:6973::/48 (network/address_plan.h).
inline constexpr std::uint32_t kSiblings4 = 10U << 24 | 89U << 16;
inline constexpr unsigned kSiblings4Prefix = 16;
inline constexpr std::uint8_t kSiblings6[6] = {0xfd, 0x73, 0x71, 0x75, 0x69, 0x73};
inline constexpr unsigned kSiblings6Prefix = 48;

} // namespace squish::client_route
