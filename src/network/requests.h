// The rtnetlink requests that squish makes, each as one message. Building cannot fail but for lack of memory,
// which comes back as a Request without a message: Netlink::send() refuses it.
#pragma once

#include "network/address_plan.h"
#include "network/netlink.h"

#include <cstdint>
#include <string>

namespace squish::network {

inline constexpr std::uint32_t kLoopbackIndex = 1; // in every network namespace
// Interface numbers are ours to choose, so that nothing has to be looked up. "eth0" inside a container is 100, "eth1"
// 101: a fresh namespace may have fallback tunnel devices (tunl0, sit0, …) at 2 and up, where such modules are loaded.
inline constexpr std::uint32_t kContainerLinkIndex = 100;
inline constexpr std::uint32_t kFirstIndex = 10000; // host side of slot N: kFirstIndex + N
inline constexpr std::uint32_t kLeavingGroup = 0x5351;

// A bridge that is up: no spanning tree (its 15 s of learning would be 15 s without network), no multicast snooping.
// Its MAC is fixed: otherwise it follows the ports' and every container's ARP entry for the gateway goes stale.
[[nodiscard]] Request add_bridge(const std::string& name, Ipv4 address, std::uint32_t mtu);

// A veth pair, host side up and on the bridge, container side "eth0", or "eth1" where `position` is 1, … (down: a veth
// can be brought up only when its peer exists) in the namespace `netns`. One queue each: a queue per CPU, the default,
// costs 0.2 ms and up, and a veth takes no lock that a second queue would relieve. EEXIST where the name is taken;
// EXFULL where the bridge has its 1,023 ports.
struct Veth {
    std::uint32_t number;
    std::uint32_t bridge_index;
    int netns;
    std::uint32_t mtu;
    std::uint32_t position = 0;
};
[[nodiscard]] Request add_veth(const Veth& veth);

// Brings a link up; with `hardened`, sets its IPv4 configuration first: no redirects, no source routes, no
// reverse path filter (the forwarder speaks with clients' addresses over lo).
[[nodiscard]] Request bring_up(std::uint32_t index);
[[nodiscard]] Request bring_up_with_mtu(std::uint32_t index, std::uint32_t mtu);
[[nodiscard]] Request bring_up_hardened(std::uint32_t index);

[[nodiscard]] Request add_address(std::uint32_t index, Ipv4 address, unsigned prefix);
[[nodiscard]] Request add_default_route(std::uint32_t index, Ipv4 gateway);

// IPv6, without duplicate address detection: nobody else can have it, and it would not be usable for a second.
[[nodiscard]] Request add_address6(std::uint32_t index, const Ipv6& address, unsigned prefix);
[[nodiscard]] Request add_default_route6(std::uint32_t index, const Ipv6& gateway);

// What base/client_route.h describes, for one family: `own` is the container's address.
[[nodiscard]] Request add_client_route(Ipv4 own);
[[nodiscard]] Request add_client_route6(const Ipv6& own);
[[nodiscard]] Request add_mark_rule(int family);
[[nodiscard]] Request add_siblings_rule(int family);
// What leaves a container by IPv6 with a source of its own goes on to the rules for siblings; with a foreign one it is
// refused. Where the kernel still has to choose the source neither matches: fib6_rule_match() compares what is there.
[[nodiscard]] Request add_own_source_rule6(const Ipv6& own, unsigned prefix);
// Half of all addresses begin with this bit: a rule for ::/0 would match what has no source yet.
[[nodiscard]] Request add_foreign_source_rule6(bool first_bit);
// Removes one UDP rule that a forwarder has left; ENOENT where there is none.
[[nodiscard]] Request remove_udp_rule(int family);

// Puts a link on a bridge.
[[nodiscard]] Request move_to_bridge(std::uint32_t index, std::uint32_t bridge_index);

// Removing one link takes the kernel some 20 ms (it waits for every CPU to forget it), removing a group not much more.
[[nodiscard]] Request move_to_group(std::uint32_t index, std::uint32_t group);
[[nodiscard]] Request delete_group(std::uint32_t group);

} // namespace squish::network
