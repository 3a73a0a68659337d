// One network namespace for one container: how it is made and how it is found clean again.
//
// Both visit the namespace: the calling process, which must be single-threaded, is in it for the length of the call and
// is back in `home` when it returns. A process that cannot come back would configure the wrong namespace from
// then on: it ends itself.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/address_plan.h"
#include "network/kernel_text.h"
#include "network/netlink.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::network {

// Runs `visit` inside the network namespace `netns`, then returns to `home`.
[[nodiscard]] Result<void> inside(int netns, int home, const std::function<Result<void>()>& visit);

struct ContainerNamespace {
    NsFd netns;
    // In that namespace, and kept: the kernel goes on counting a closed netlink socket for some milliseconds (it
    // is freed after an RCU grace period), so one made for each check would be found as a trace by the next.
    Netlink netlink;
    MountFd sysfs;         // /sys of this namespace, read-only, attached nowhere
    SocketCounts baseline; // before anybody else was in it
};

struct ContainerLink {
    Ipv4 address;
    unsigned prefix = 0;
    Ipv4 gateway;
    Ipv6 address6{};
    std::optional<Ipv6> gateway6; // absent: no IPv6 to the outside, and no default route for it
};
using ContainerLinks = std::vector<ContainerLink>; // eth0, eth1, …

// A fresh network namespace, owned by our user namespace. `connect` is called inside, with its descriptor, to give it
// its "eth0" (kContainerLinkIndex), "eth1", …; it says with which addresses, and those are configured. What is for
// none of their networks goes through the first.
// `ping_groups` is the value for net.ipv4.ping_group_range.
//
// Should: leave it so that an unprivileged payload can use every port and ping, so that routes cannot be steered from
// outside (no redirects, no source routes, no router advertisements), and so that the forwarder can show the payload
// its clients' addresses (base/client_route.h). Without IPv6 in the kernel, without IPv6. Must not: leave anything
// writable to a process without capabilities over our user namespace.
[[nodiscard]] Result<ContainerNamespace>
make_container_namespace(int home, const std::string& ping_groups,
                         const std::function<Result<ContainerLinks>(int netns)>& connect);

// Whether the kernel has IPv6.
[[nodiscard]] bool has_ipv6();

// Waits until the network namespace that the caller is in takes what is for these addresses as its own. unavailable
// where the deadline passes.
//
// Of an address without duplicate address detection the kernel says at once that it is usable, but it makes its local
// route later, from a work queue, when the link has a carrier (addrconf_dad_work()). Until then a packet for the
// address goes out to look for a neighbour, and who has sent it waits for three seconds.
[[nodiscard]] Result<void> wait_until_local6(const std::vector<Ipv6>& addresses, std::chrono::milliseconds deadline);

// A new mount of the sysfs of the network namespace that the caller is in.
[[nodiscard]] Result<MountFd> mount_sysfs();

// True where nobody has left a trace: see network.h, "Recycling". Also renews `sysfs`.
[[nodiscard]] Result<bool> check_clean_and_renew(ContainerNamespace& space, int home, const ContainerLink& link);

} // namespace squish::network
