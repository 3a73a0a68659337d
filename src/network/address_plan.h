// Which address belongs to whom. Pure data: nothing here touches the system.
//
// The plan. A user's containers live in 10.89.0.0/16, inside the user's own network namespace:
//
//   10.89.0.0/20          the default network, bridge "squish0"
//     10.89.0.1             the gateway: the bridge's own address
//     10.89.0.2 …           containers; the slot number N is the offset: 10.89.0.0 + N
//     10.89.15.254          the last one
//   10.89.16.0/24 …       named networks, one /24 each: network K (from 1) is 10.89.(15+K).0/24, bridge "sqbK",
//                         gateway .1; the slot number goes on: 10.89.0.0 + N
//   10.89.255.0/24        the last of 240
//   10.0.2.0/24           the uplink (slirp4netns): .2 its router, .3 its DNS server, .100 our end, "tap0"
//   10.0.3.0/24           the second uplink, for the host's loopback: .2 stands for the host's 127.0.0.1, .100 our end,
//                         "tap1"; made when the first container that may use it starts
//
// A slot's number is in everything that belongs to it, so that nothing has to be remembered across a restart:
// host side of the veth "sqN", ifindex kFirstIfindex + N, address 10.89.0.0 + N, MAC 02:73 + address.
// The same address always has the same MAC, hence a neighbour's ARP entry is right even after an address changed hands.
//
// A container on several networks has a link, a number and an address in each; the first of them is its slot's.
//
// IPv6 is laid out alike: fd73:7175:6973::/48 (a ULA prefix, RFC 4193), the default network is its first /64, named
// network K the /64 with group K; the slot's number is the last group. Nobody outside ever sees these addresses. Where
// there is IPv6 to the outside, ::1 of each is the gateway (no slot's number is 1), and "tap0" has fd00::/64, as
// slirp4netns lays it out: ::2 its router, ::3 its DNS server (not used), ::100 our end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::network {

struct Ipv4 {
    std::uint32_t value = 0; // host byte order

    friend bool operator==(Ipv4, Ipv4) = default;
};
[[nodiscard]] constexpr Ipv4 ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return Ipv4{std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d};
}
[[nodiscard]] std::string to_string(Ipv4 address);

using Ipv6 = std::array<std::uint8_t, 16>; // network byte order
[[nodiscard]] std::string to_string(const Ipv6& address);

inline constexpr Ipv4 kAllNetworks = ipv4(10, 89, 0, 0);
inline constexpr unsigned kAllNetworksPrefix = 16;
inline constexpr Ipv4 kDefaultNetwork = kAllNetworks;
inline constexpr unsigned kDefaultPrefix = 20;
inline constexpr Ipv4 kHostLoopbackOwn = ipv4(10, 0, 3, 100);
inline constexpr unsigned kHostLoopbackPrefix = 24;
inline constexpr Ipv4 kGateway = ipv4(10, 89, 0, 1);

// A network: 0 is the default one, 1 to kNamedNetworks are those with names.
using NetworkId = std::uint32_t;
inline constexpr NetworkId kNamedNetworks = 240;
inline constexpr unsigned kNamedPrefix = 24;

inline constexpr std::uint32_t kFirstNumber = 2;
inline constexpr std::uint32_t kLastNumber = (1U << (32 - kDefaultPrefix)) - 2; // 4094; beyond is the broadcast address

inline constexpr std::uint32_t kLastNamedHost = 254;

// The number of host `host` (from kFirstNumber) of a network; 1 is its gateway.
[[nodiscard]] constexpr std::uint32_t number_in(NetworkId network, std::uint32_t host) {
    return network == 0 ? host : (15 + network) << 8 | host;
}
[[nodiscard]] constexpr NetworkId network_of(std::uint32_t number) {
    return number <= kLastNumber ? 0 : (number >> 8) - 15;
}
[[nodiscard]] constexpr std::uint32_t host_of(std::uint32_t number) {
    return number <= kLastNumber ? number : number & 0xff;
}
[[nodiscard]] constexpr unsigned prefix_of(NetworkId network) {
    return network == 0 ? kDefaultPrefix : kNamedPrefix;
}
[[nodiscard]] constexpr Ipv4 address_of(std::uint32_t number) {
    return Ipv4{kAllNetworks.value + number};
}
[[nodiscard]] constexpr Ipv4 gateway_of(NetworkId network) {
    return address_of(number_in(network, 1));
}
inline constexpr Ipv6 kAllNetworks6 = {0xfd, 0x73, 0x71, 0x75, 0x69, 0x73};
inline constexpr unsigned kAllNetworks6Prefix = 48;
inline constexpr Ipv6 kLinkLocal6 = {0xfe, 0x80}; // RFC 4291, section 2.5.6
inline constexpr unsigned kLinkLocal6Prefix = 10;
inline constexpr unsigned kNetwork6Prefix = 64;
[[nodiscard]] constexpr Ipv6 address6_of(std::uint32_t number) {
    Ipv6 address = kAllNetworks6;
    address[7] = static_cast<std::uint8_t>(network_of(number));
    address[14] = static_cast<std::uint8_t>(number >> 8);
    address[15] = static_cast<std::uint8_t>(number);
    return address;
}
[[nodiscard]] constexpr Ipv6 gateway6_of(NetworkId network) {
    Ipv6 address = kAllNetworks6;
    address[7] = static_cast<std::uint8_t>(network);
    address[15] = 1;
    return address;
}
inline constexpr Ipv6 kUplinkOwn6 = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
inline constexpr Ipv6 kUplinkRouter6 = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
inline constexpr unsigned kUplink6Prefix = 64;
// Locally administered, unicast.
[[nodiscard]] std::array<std::uint8_t, 6> mac_of(Ipv4 address);

// A named network's bridge, "sqb1".
[[nodiscard]] std::string bridge_name(NetworkId network);
// Host side of a slot's veth: "sq2" and the number in it, or nothing where the name is not of that form.
[[nodiscard]] std::string link_name(std::uint32_t number);
[[nodiscard]] std::optional<std::uint32_t> number_of_link(std::string_view name);

// Hands out slot numbers, the one that was free for longest first.
//
// `ours`: in use or spare. `elsewhere`: a link of that name exists that we do not hold: a container that was there
// before this process, or one that the kernel has not finished removing. It is free once the link is gone.
class Numbers {
public:
    explicit Numbers(std::uint32_t last = kLastNumber) : states_(last + 1, State::free) {}

    // Nothing where all are taken.
    [[nodiscard]] std::optional<std::uint32_t> take();
    // To be told of a link that exists although we did not make it, or that we have let go.
    void mark_elsewhere(std::uint32_t number);
    void mark_free(std::uint32_t number);
    // Frees every `elsewhere` number that is not in `existing`; true where that freed any.
    bool keep_elsewhere(const std::vector<std::uint32_t>& existing);

    [[nodiscard]] bool is_ours(std::uint32_t number) const { return state(number) == State::ours; }
    [[nodiscard]] bool is_elsewhere(std::uint32_t number) const { return state(number) == State::elsewhere; }
    // How many there are to hand out in all.
    [[nodiscard]] std::size_t capacity() const { return states_.size() - kFirstNumber; }

private:
    enum class State : std::uint8_t { free, ours, elsewhere };
    [[nodiscard]] State state(std::uint32_t number) const {
        return number < states_.size() ? states_[number] : State::free;
    }

    std::vector<State> states_; // by number; those below kFirstNumber are never handed out
    std::uint32_t next_ = kFirstNumber;
};

} // namespace squish::network
