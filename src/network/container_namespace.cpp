#include "network/container_namespace.h"

#include "network/requests.h"
#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace squish::network {

namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

// Brings the process home whatever happens in between.
class Visit {
public:
    explicit Visit(int home) : home_(home) {}
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() {
        if (::setns(home_, CLONE_NEWNET) < 0) {
            std::perror("squish: cannot return to the bridge's network namespace");
            std::abort();
        }
    }

private:
    int home_;
};

// The kernel without such a knob has nothing to be configured; any other failure counts.
Result<void> set_where_known(const std::string& path, std::string_view value) {
    auto written = os::write_existing(path, value);
    if (!written && written.error().sys_errno == ENOENT)
        return {};
    return written;
}

// What eth0 and lo do not take by netlink. `default` is what a link starts with: eth0 does not exist yet.
Result<void> write_sysctls(const std::string& ping_groups) {
    const std::string ipv4 = "/proc/sys/net/ipv4/";
    TRY(os::write_existing(ipv4 + "ip_unprivileged_port_start", "0"));
    TRY(set_where_known(ipv4 + "ping_group_range", ping_groups));
    // "all" is or-ed or maximised with the link's own, and inherited from the host.
    TRY(os::write_existing(ipv4 + "conf/all/accept_redirects", "0"));
    TRY(os::write_existing(ipv4 + "conf/all/rp_filter", "0"));
    // base/client_route.h: what an accepted socket says, and what the kernel says where nobody listens.
    TRY(os::write_existing(ipv4 + "tcp_fwmark_accept", "1"));
    TRY(os::write_existing(ipv4 + "fwmark_reflect", "1"));
    TRY(set_where_known("/proc/sys/net/ipv6/fwmark_reflect", "1"));
    // eth0's addresses are given, not found out; a link-local one is usable at once.
    const std::string ipv6 = "/proc/sys/net/ipv6/conf/";
    for (const char* name : {"accept_ra", "autoconf", "accept_redirects", "accept_source_route", "dad_transmits"}) {
        TRY(set_where_known(ipv6 + "default/" + name, "0"));
        TRY(set_where_known(ipv6 + "all/" + name, "0"));
    }
    TRY(set_where_known(ipv6 + "default/disable_ipv6", "0"));
    return {};
}

// IPv6 may be switched off for the whole machine although the kernel has it: then there is none here either.
Result<void> configure_ipv6(Netlink& netlink, const ContainerLinks& links) {
    if (!has_ipv6())
        return {};
    std::vector<Request> requests;
    for (std::uint32_t at = 0; at < links.size(); ++at)
        requests.push_back(add_address6(kContainerLinkIndex + at, links[at].address6, kNetwork6Prefix));
    if (links.front().gateway6)
        requests.push_back(add_default_route6(kContainerLinkIndex, *links.front().gateway6));
    requests.push_back(add_client_route6(links.front().address6));
    requests.push_back(add_mark_rule(AF_INET6));
    requests.push_back(add_siblings_rule(AF_INET6));
    for (const auto& link : links)
        requests.push_back(add_own_source_rule6(link.address6, 128));
    requests.push_back(add_own_source_rule6(kLinkLocal6, kLinkLocal6Prefix));
    for (const bool first_bit : {false, true})
        requests.push_back(add_foreign_source_rule6(first_bit));
    TRY(netlink.send(requests));
    std::vector<Ipv6> own;
    for (const auto& link : links)
        own.push_back(link.address6);
    return wait_until_local6(own, std::chrono::seconds(2));
}

Result<void> configure_ipv4(Netlink& netlink, const ContainerLinks& links) {
    std::vector<Request> requests;
    requests.push_back(bring_up_hardened(kLoopbackIndex));
    for (std::uint32_t at = 0; at < links.size(); ++at) {
        requests.push_back(bring_up_hardened(kContainerLinkIndex + at));
        requests.push_back(add_address(kContainerLinkIndex + at, links[at].address, links[at].prefix));
    }
    requests.push_back(add_default_route(kContainerLinkIndex, links.front().gateway));
    requests.push_back(add_client_route(links.front().address));
    requests.push_back(add_mark_rule(AF_INET));
    requests.push_back(add_siblings_rule(AF_INET));
    return netlink.send(requests);
}

// Rules for UDP ports that a forwarder had no time to take back.
Result<void> remove_udp_rules(Netlink& netlink) {
    for (const int family : {AF_INET, AF_INET6})
        for (;;) {
            const auto removed = netlink.send(remove_udp_rule(family));
            if (!removed && (removed.error().sys_errno == ENOENT || removed.error().sys_errno == EAFNOSUPPORT))
                break;
            TRY(removed);
        }
    return {};
}

Result<SocketCounts> count_sockets() {
    const auto ipv4 = TRY(os::read_file("/proc/thread-self/net/sockstat"));
    auto ipv6 = os::read_file("/proc/thread-self/net/sockstat6");
    if (!ipv6 && ipv6.error().sys_errno != ENOENT)
        return std::unexpected(std::move(ipv6).error());
    return parse_sockstat(ipv4, ipv6 ? std::string_view(*ipv6) : std::string_view());
}

Result<void> enter_new_namespace() {
    if (::unshare(CLONE_NEWNET) == 0)
        return {};
    if (errno == ENOSPC)
        return fail_errno("create network namespace", ENOSPC, "raise the limit with sysctl user.max_net_namespaces");
    return fail_errno("create network namespace");
}

// Whether IPv6 is as configure_ipv6() left it; eth0 also has an address that the kernel has given it, fe80::/10.
Result<bool> is_configured6(const ContainerLink& link) {
    if (!has_ipv6())
        return true;
    const auto addresses = TRY(parse_addresses6(TRY(os::read_file("/proc/thread-self/net/if_inet6"))));
    const auto routes = TRY(parse_default_routes6(TRY(os::read_file("/proc/thread-self/net/ipv6_route"))));
    const auto is_ours = [&](const Address6& one) {
        return one.link == "eth0" && one.address == link.address6 && one.prefix == kNetwork6Prefix;
    };
    const auto is_foreign = [&](const Address6& one) {
        const bool link_local = one.address[0] == 0xfe && (one.address[1] & 0xc0) == 0x80;
        return !is_ours(one) && one.link != "lo" && !(one.link == "eth0" && link_local);
    };
    const auto is_gateway = [&](const DefaultRoute6& one) {
        return one.link == "eth0" && one.gateway == link.gateway6;
    };
    return std::ranges::count_if(addresses, is_ours) == 1 && std::ranges::none_of(addresses, is_foreign) &&
           routes.size() == (link.gateway6 ? 1U : 0U) && std::ranges::all_of(routes, is_gateway);
}

// Whether eth0 is up, and the addresses are ours and no others.
Result<bool> is_configured(Netlink& netlink, const ContainerLink& link) {
    const auto eth0 = TRY(netlink.link("eth0"));
    const auto addresses = TRY(netlink.addresses());
    const auto on_eth0 =
        std::to_string(kContainerLinkIndex) + " " + to_string(link.address) + "/" + std::to_string(link.prefix);
    const auto on_lo = std::to_string(kLoopbackIndex) + " 127.0.0.1/8";
    return eth0.up && addresses.size() == 2 && std::ranges::count(addresses, on_eth0) == 1 &&
           std::ranges::count(addresses, on_lo) == 1 && TRY(is_configured6(link));
}

} // namespace

Result<void> inside(int netns, int home, const std::function<Result<void>()>& visit) {
    const Visit back(home);
    TRY(os::enter_namespace(netns, CLONE_NEWNET));
    return visit();
}

bool has_ipv6() {
    return ::access("/proc/sys/net/ipv6", F_OK) == 0;
}

Result<void> wait_until_local6(const std::vector<Ipv6>& addresses, std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    // Asked again and again: a socket that listens to changes would be counted as a trace, see `ContainerNamespace`.
    for (auto pause = std::chrono::microseconds(50);; pause = std::min(2 * pause, std::chrono::microseconds(5000))) {
        const auto local = TRY(parse_local_addresses6(TRY(os::read_file("/proc/thread-self/net/ipv6_route"))));
        const auto missing = std::ranges::find_if_not(
            addresses, [&](const Ipv6& address) { return std::ranges::find(local, address) != local.end(); });
        if (missing == addresses.end())
            return {};
        if (std::chrono::steady_clock::now() >= end)
            return fail(ErrorKind::unavailable, "address '" + to_string(*missing) + "' has got no local route");
        std::this_thread::sleep_for(pause);
    }
}

Result<MountFd> mount_sysfs() {
    return os::new_filesystem("sysfs", {},
                              MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

Result<ContainerNamespace> make_container_namespace(int home, const std::string& ping_groups,
                                                    const std::function<Result<ContainerLinks>(int netns)>& connect) {
    const Visit back(home);
    TRY(enter_new_namespace());
    auto netns = NsFd(TRY(os::open_file(kOwnNamespace, O_RDONLY)));
    auto netlink = TRY(Netlink::open());
    TRY(write_sysctls(ping_groups));
    const auto links = TRY(connect(netns.get()));
    TRY(configure_ipv4(netlink, links));
    TRY(configure_ipv6(netlink, links));
    auto sysfs = TRY(mount_sysfs());
    const auto baseline = TRY(count_sockets());
    return ContainerNamespace{std::move(netns), std::move(netlink), std::move(sysfs), baseline};
}

Result<bool> check_clean_and_renew(ContainerNamespace& space, int home, const ContainerLink& link) {
    bool clean = false;
    const auto look = [&]() -> Result<void> {
        if (TRY(count_sockets()) != space.baseline || !TRY(is_configured(space.netlink, link)))
            return {};
        TRY(remove_udp_rules(space.netlink));
        space.sysfs = TRY(mount_sysfs());
        clean = true;
        return {};
    };
    TRY(inside(space.netns.get(), home, look));
    return clean;
}

} // namespace squish::network
