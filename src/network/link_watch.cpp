#include "network/link_watch.h"

#include "network/rules.h"

#include <array>
#include <cerrno>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string_view>
#include <sys/socket.h>

namespace squish::network {

namespace {

bool is_lost_bridge(nlmsghdr& header) {
    if (header.nlmsg_type != RTM_DELLINK || header.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg)))
        return false;
    const auto* name = nlmsg_find_attr(&header, sizeof(ifinfomsg), IFLA_IFNAME);
    if (!name)
        return false;
    const std::string_view text(nla_get_string(const_cast<nlattr*>(name)));
    return text == RuleOptions{}.bridge || text.starts_with("sqb");
}

} // namespace

Result<LinkWatch> LinkWatch::open() {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (!socket)
        return fail_errno("netlink socket");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return fail_errno("subscribe to links");
    return LinkWatch(std::move(socket));
}

bool LinkWatch::has_lost_bridge() {
    bool lost = false;
    std::array<char, 32768> buffer;
    for (;;) {
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == ENOBUFS) { // more than the socket holds: look for yourself
            lost = true;
            continue;
        }
        if (got <= 0)
            return lost;
        int left = static_cast<int>(got);
        for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(header, left);
             header = nlmsg_next(header, &left))
            lost = lost || is_lost_bridge(*header);
    }
}

} // namespace squish::network
