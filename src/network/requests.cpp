#include "network/requests.h"

#include "base/client_route.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

namespace squish::network {

static_assert(client_route::kSiblings4 == kAllNetworks.value && client_route::kSiblings4Prefix == kAllNetworksPrefix);
static_assert(client_route::kSiblings6Prefix == kAllNetworks6Prefix &&
              client_route::kSiblings6[0] == kAllNetworks6[0] && client_route::kSiblings6[5] == kAllNetworks6[5]);

namespace {

struct Put {
    void operator()(rtnl_link* link) const noexcept { rtnl_link_put(link); }
    void operator()(rtnl_addr* address) const noexcept { rtnl_addr_put(address); }
    void operator()(rtnl_route* route) const noexcept { rtnl_route_put(route); }
    void operator()(nl_addr* address) const noexcept { nl_addr_put(address); }
};
using Link = std::unique_ptr<rtnl_link, Put>;
using Address = std::unique_ptr<nl_addr, Put>;

Address to_libnl(Ipv4 address, unsigned prefix) {
    const std::uint32_t bytes = htonl(address.value);
    Address built(nl_addr_build(AF_INET, &bytes, sizeof bytes));
    nl_addr_set_prefixlen(built.get(), static_cast<int>(prefix));
    return built;
}

Address to_libnl(const Ipv6& address, unsigned prefix) {
    Address built(nl_addr_build(AF_INET6, address.data(), address.size()));
    nl_addr_set_prefixlen(built.get(), static_cast<int>(prefix));
    return built;
}

Address to_libnl(const std::array<std::uint8_t, 6>& mac) {
    return Address(nl_addr_build(AF_LLC, mac.data(), mac.size()));
}

Link link_at(std::uint32_t index) {
    Link link(rtnl_link_alloc());
    rtnl_link_set_ifindex(link.get(), static_cast<int>(index));
    return link;
}

Request change(std::uint32_t index, rtnl_link* changes, std::string purpose) {
    nl_msg* message = nullptr;
    rtnl_link_build_change_request(link_at(index).get(), changes, 0, &message);
    return {std::unique_ptr<nl_msg, FreeMessage>(message), std::move(purpose)};
}

} // namespace

Request add_bridge(const std::string& name, Ipv4 address, std::uint32_t mtu) {
    // By hand: libnl knows no bridge options before 3.8.
    std::unique_ptr<nl_msg, FreeMessage> message(nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL));
    ifinfomsg header{};
    header.ifi_flags = IFF_UP;
    header.ifi_change = IFF_UP;
    nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO);
    nla_put_string(message.get(), IFLA_IFNAME, name.c_str());
    nla_put_u32(message.get(), IFLA_MTU, mtu);
    const auto mac = mac_of(address);
    nla_put(message.get(), IFLA_ADDRESS, static_cast<int>(mac.size()), mac.data());
    auto* info = nla_nest_start(message.get(), IFLA_LINKINFO);
    nla_put_string(message.get(), IFLA_INFO_KIND, "bridge");
    auto* data = nla_nest_start(message.get(), IFLA_INFO_DATA);
    nla_put_u32(message.get(), IFLA_BR_STP_STATE, 0);
    nla_put_u32(message.get(), IFLA_BR_FORWARD_DELAY, 0);
    nla_put_u8(message.get(), IFLA_BR_MCAST_SNOOPING, 0);
    nla_nest_end(message.get(), data);
    nla_nest_end(message.get(), info);
    return {std::move(message), "add bridge '" + name + "'"};
}

Request add_veth(const Veth& veth) {
    const Link host(rtnl_link_veth_alloc());
    rtnl_link_set_name(host.get(), link_name(veth.number).c_str());
    rtnl_link_set_ifindex(host.get(), static_cast<int>(kFirstIndex + veth.number));
    rtnl_link_set_master(host.get(), static_cast<int>(veth.bridge_index));
    rtnl_link_set_flags(host.get(), IFF_UP);

    const Link container(rtnl_link_veth_get_peer(host.get()));
    rtnl_link_set_name(container.get(), ("eth" + std::to_string(veth.position)).c_str());
    // The kernel honours the peer's index only where the host side names its own too (veth_newlink()).
    rtnl_link_set_ifindex(container.get(), static_cast<int>(kContainerLinkIndex + veth.position));
    rtnl_link_set_ns_fd(container.get(), veth.netns);
    rtnl_link_set_addr(container.get(), to_libnl(mac_of(address_of(veth.number))).get());

    for (auto* side : {host.get(), container.get()}) {
        rtnl_link_set_mtu(side, veth.mtu);
        rtnl_link_set_num_tx_queues(side, 1);
        rtnl_link_set_num_rx_queues(side, 1);
    }
    nl_msg* message = nullptr;
    rtnl_link_build_add_request(host.get(), NLM_F_CREATE | NLM_F_EXCL, &message);
    return {std::unique_ptr<nl_msg, FreeMessage>(message), "add veth '" + link_name(veth.number) + "'"};
}

Request bring_up(std::uint32_t index) {
    const Link changes(rtnl_link_alloc());
    rtnl_link_set_flags(changes.get(), IFF_UP);
    return change(index, changes.get(), "bring up link " + std::to_string(index));
}

Request bring_up_with_mtu(std::uint32_t index, std::uint32_t mtu) {
    const Link changes(rtnl_link_alloc());
    rtnl_link_set_flags(changes.get(), IFF_UP);
    rtnl_link_set_mtu(changes.get(), mtu);
    return change(index, changes.get(), "bring up link " + std::to_string(index));
}

Request bring_up_hardened(std::uint32_t index) {
    const Link changes(rtnl_link_alloc());
    rtnl_link_set_flags(changes.get(), IFF_UP);
    rtnl_link_inet_set_conf(changes.get(), IPV4_DEVCONF_ACCEPT_REDIRECTS, 0);
    rtnl_link_inet_set_conf(changes.get(), IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0);
    rtnl_link_inet_set_conf(changes.get(), IPV4_DEVCONF_RP_FILTER, 0);
    return change(index, changes.get(), "bring up link " + std::to_string(index));
}

Request add_address(std::uint32_t index, Ipv4 address, unsigned prefix) {
    const std::unique_ptr<rtnl_addr, Put> wanted(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(wanted.get(), static_cast<int>(index));
    rtnl_addr_set_local(wanted.get(), to_libnl(address, prefix).get());
    nl_msg* message = nullptr;
    rtnl_addr_build_add_request(wanted.get(), NLM_F_CREATE | NLM_F_EXCL, &message);
    return {std::unique_ptr<nl_msg, FreeMessage>(message), "add address '" + to_string(address) + "'"};
}

namespace {

Request default_route(std::uint32_t index, int family, nl_addr* everywhere, nl_addr* gateway, const std::string& name) {
    const std::unique_ptr<rtnl_route, Put> route(rtnl_route_alloc());
    rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(family));
    rtnl_route_set_dst(route.get(), everywhere);
    rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
    auto* hop = rtnl_route_nh_alloc(); // owned by the route from here
    rtnl_route_nh_set_ifindex(hop, static_cast<int>(index));
    rtnl_route_nh_set_gateway(hop, gateway);
    rtnl_route_add_nexthop(route.get(), hop);
    nl_msg* message = nullptr;
    rtnl_route_build_add_request(route.get(), NLM_F_CREATE | NLM_F_EXCL, &message);
    return {std::unique_ptr<nl_msg, FreeMessage>(message), "add default route through '" + name + "'"};
}

} // namespace

Request add_default_route(std::uint32_t index, Ipv4 gateway) {
    return default_route(index, AF_INET, to_libnl(Ipv4{}, 0).get(), to_libnl(gateway, 32).get(), to_string(gateway));
}

Request add_default_route6(std::uint32_t index, const Ipv6& gateway) {
    return default_route(index, AF_INET6, to_libnl(Ipv6{}, 0).get(), to_libnl(gateway, 128).get(), to_string(gateway));
}

Request add_address6(std::uint32_t index, const Ipv6& address, unsigned prefix) {
    const std::unique_ptr<rtnl_addr, Put> wanted(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(wanted.get(), static_cast<int>(index));
    rtnl_addr_set_local(wanted.get(), to_libnl(address, prefix).get());
    rtnl_addr_set_flags(wanted.get(), IFA_F_NODAD);
    nl_msg* message = nullptr;
    rtnl_addr_build_add_request(wanted.get(), NLM_F_CREATE | NLM_F_EXCL, &message);
    return {std::unique_ptr<nl_msg, FreeMessage>(message), "add address '" + to_string(address) + "'"};
}

namespace {

template <class T> void put(nl_msg* message, int type, const T& value) {
    nla_put(message, type, sizeof value, &value);
}

// ip route add local default dev lo src OWN table kTable
Request client_route(int family, const void* own, int size) {
    std::unique_ptr<nl_msg, FreeMessage> message(nlmsg_alloc_simple(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL));
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(family);
    header.rtm_table = RT_TABLE_UNSPEC;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope = RT_SCOPE_HOST;
    header.rtm_type = RTN_LOCAL;
    nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO);
    put(message.get(), RTA_OIF, kLoopbackIndex);
    put(message.get(), RTA_TABLE, client_route::kTable);
    nla_put(message.get(), RTA_PREFSRC, size, own);
    return {std::move(message), "add the route back to clients"};
}

// `flags` are of the message; what decides, beyond the header, is added by the caller.
std::unique_ptr<nl_msg, FreeMessage> rule(int type, int flags, const fib_rule_hdr& header, std::uint32_t priority) {
    std::unique_ptr<nl_msg, FreeMessage> message(nlmsg_alloc_simple(type, flags));
    nlmsg_append(message.get(), const_cast<fib_rule_hdr*>(&header), sizeof header, NLMSG_ALIGNTO);
    put(message.get(), FRA_PRIORITY, priority);
    return message;
}

std::unique_ptr<nl_msg, FreeMessage> table_rule(int type, int flags, int family, std::uint32_t table,
                                                std::uint32_t priority, unsigned destination_prefix = 0) {
    fib_rule_hdr header{};
    header.family = static_cast<std::uint8_t>(family);
    header.dst_len = static_cast<std::uint8_t>(destination_prefix);
    header.action = FR_ACT_TO_TBL;
    auto message = rule(type, flags, header, priority);
    put(message.get(), FRA_TABLE, table);
    return message;
}

std::unique_ptr<nl_msg, FreeMessage> source_rule6(const Ipv6& source, unsigned prefix, std::uint8_t action,
                                                  std::uint32_t priority) {
    fib_rule_hdr header{};
    header.family = AF_INET6;
    header.src_len = static_cast<std::uint8_t>(prefix);
    header.action = action;
    auto message = rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, header, priority);
    put(message.get(), FRA_SRC, source);
    return message;
}

} // namespace

Request add_client_route(Ipv4 own) {
    const std::uint32_t address = htonl(own.value);
    return client_route(AF_INET, &address, sizeof address);
}

Request add_client_route6(const Ipv6& own) {
    return client_route(AF_INET6, own.data(), static_cast<int>(own.size()));
}

Request add_mark_rule(int family) {
    auto message =
        table_rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, client_route::kTable, client_route::kMarkPriority);
    put(message.get(), FRA_FWMARK, client_route::kMark);
    put(message.get(), FRA_FWMASK, ~std::uint32_t{0});
    return {std::move(message), "add the rule for marked packets"};
}

Request add_siblings_rule(int family) {
    const bool ipv6 = family == AF_INET6;
    auto message = table_rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, RT_TABLE_MAIN,
                              client_route::kSiblingsPriority, ipv6 ? kAllNetworks6Prefix : kAllNetworksPrefix);
    if (ipv6)
        put(message.get(), FRA_DST, kAllNetworks6);
    else
        put(message.get(), FRA_DST, htonl(kAllNetworks.value));
    return {std::move(message), "add the rule for siblings"};
}

Request add_own_source_rule6(const Ipv6& own, unsigned prefix) {
    auto message = source_rule6(own, prefix, FR_ACT_GOTO, client_route::kOwnSourcePriority);
    put(message.get(), FRA_GOTO, client_route::kSiblingsPriority);
    return {std::move(message), "add the rule for the source " + to_string(own)};
}

Request add_foreign_source_rule6(bool first_bit) {
    const Ipv6 half{static_cast<std::uint8_t>(first_bit ? 0x80 : 0)};
    return {source_rule6(half, 1, FR_ACT_UNREACHABLE, client_route::kForeignSourcePriority),
            "add the rule against foreign sources"};
}

Request remove_udp_rule(int family) {
    // Of a rule to be removed the kernel compares what is given (fib_nl_delrule()).
    return {table_rule(RTM_DELRULE, 0, family, client_route::kTable, client_route::kUdpPriority),
            "remove a rule for UDP"};
}

Request move_to_bridge(std::uint32_t index, std::uint32_t bridge_index) {
    const Link changes(rtnl_link_alloc());
    rtnl_link_set_master(changes.get(), static_cast<int>(bridge_index));
    return change(index, changes.get(), "put link " + std::to_string(index) + " on its bridge");
}

Request move_to_group(std::uint32_t index, std::uint32_t group) {
    const Link changes(rtnl_link_alloc());
    rtnl_link_set_group(changes.get(), group);
    return change(index, changes.get(), "set group of link " + std::to_string(index));
}

Request delete_group(std::uint32_t group) {
    std::unique_ptr<nl_msg, FreeMessage> message(nlmsg_alloc_simple(RTM_DELLINK, 0));
    const ifinfomsg header{};
    nlmsg_append(message.get(), const_cast<ifinfomsg*>(&header), sizeof header, NLMSG_ALIGNTO);
    nla_put_u32(message.get(), IFLA_GROUP, group);
    return {std::move(message), "delete links of group " + std::to_string(group)};
}

} // namespace squish::network
