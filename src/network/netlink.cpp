#include "network/netlink.h"

#include "base/text.h"
#include "base/unique_fd.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>

namespace squish::network {

void FreeMessage::operator()(nl_msg* message) const noexcept {
    nlmsg_free(message);
}

void FreeSocket::operator()(nl_sock* socket) const noexcept {
    nl_socket_free(socket);
}

namespace {

struct FreeCache {
    void operator()(nl_cache* cache) const noexcept { nl_cache_free(cache); }
};
using Cache = std::unique_ptr<nl_cache, FreeCache>;

// libnl has error numbers of its own; those that a caller may act on are turned back into errno.
std::unexpected<Error> fail_libnl(std::string what, int code) {
    const int number = std::abs(code);
    const int sys_errno = number == NLE_OBJ_NOTFOUND || number == NLE_NODEV ? ENODEV : 0;
    return std::unexpected(Error{ErrorKind::system, std::move(what) + ": " + nl_geterror(code), {}, sys_errno});
}

// The kernel's own sentence about an error (NLMSGERR_ATTR_MSG, Linux 4.12), or nothing.
std::string_view extended_message(const nlmsghdr& header, const nlmsgerr& answer) {
    if (!(header.nlmsg_flags & NLM_F_ACK_TLVS))
        return {};
    // With NETLINK_CAP_ACK the request is not echoed: attributes follow the fixed part.
    const auto* bytes = reinterpret_cast<const char*>(&answer) + sizeof(nlmsgerr);
    const auto length = static_cast<int>(header.nlmsg_len - NLMSG_LENGTH(sizeof(nlmsgerr)));
    const auto* attribute =
        nla_find(const_cast<nlattr*>(reinterpret_cast<const nlattr*>(bytes)), length, NLMSGERR_ATTR_MSG);
    return attribute ? std::string_view(nla_get_string(const_cast<nlattr*>(attribute))) : std::string_view();
}

LinkState link_state(rtnl_link* link) {
    const char* name = rtnl_link_get_name(link);
    return {static_cast<std::uint32_t>(rtnl_link_get_ifindex(link)), name ? name : "",
            (rtnl_link_get_flags(link) & IFF_UP) != 0, rtnl_link_get_operstate(link) == IF_OPER_UP};
}

} // namespace

Result<Netlink> Netlink::open() {
    std::unique_ptr<nl_sock, FreeSocket> socket(nl_socket_alloc());
    if (!socket)
        return fail_errno("netlink socket", ENOMEM);
    if (const int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0)
        return fail_libnl("netlink socket", code);
    nl_socket_disable_seq_check(socket.get()); // send() reads answers past libnl, which would miss them
    const int fd = nl_socket_get_fd(socket.get());
    const int on = 1;
    if (::setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ||
        ::setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0)
        return fail_errno("netlink socket options");
    return Netlink(std::move(socket));
}

Result<void> Netlink::send(std::span<Request> requests) {
    std::vector<iovec> parts;
    for (const auto& request : requests) {
        if (!request.message)
            return fail_errno(request.purpose, ENOMEM);
        nl_complete_msg(socket_.get(), request.message.get()); // sequence number, port, NLM_F_ACK
        auto* header = nlmsg_hdr(request.message.get());
        parts.push_back({header, NLMSG_ALIGN(header->nlmsg_len)}); // messages are allocated in whole pages
    }
    const int fd = nl_socket_get_fd(socket_.get());
    msghdr out{};
    out.msg_iov = parts.data();
    out.msg_iovlen = parts.size();
    while (::sendmsg(fd, &out, 0) < 0)
        if (errno != EINTR)
            return fail_errno("netlink: send");

    std::optional<Error> first_error;
    std::array<char, 16384> buffer;
    for (std::size_t answered = 0; answered < requests.size();) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return fail_errno("netlink: receive");
        }
        int left = static_cast<int>(got);
        for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(header, left);
             header = nlmsg_next(header, &left)) {
            if (header->nlmsg_type != NLMSG_ERROR)
                continue;
            for (auto& request : requests) {
                if (nlmsg_hdr(request.message.get())->nlmsg_seq != header->nlmsg_seq)
                    continue;
                ++answered;
                const auto& answer = *static_cast<const nlmsgerr*>(nlmsg_data(header));
                if (answer.error == 0 || first_error)
                    break;
                auto why = errno_text(-answer.error);
                if (const auto more = extended_message(*header, answer); !more.empty())
                    why += ": " + printable(more);
                first_error = Error{ErrorKind::system, request.purpose + ": " + why, {}, -answer.error};
            }
        }
    }
    if (first_error)
        return std::unexpected(std::move(*first_error));
    return {};
}

Result<std::vector<LinkState>> Netlink::links() {
    nl_cache* raw = nullptr;
    if (const int code = rtnl_link_alloc_cache(socket_.get(), AF_UNSPEC, &raw); code < 0)
        return fail_libnl("list links", code);
    const Cache cache(raw);
    std::vector<LinkState> found;
    for (auto* object = nl_cache_get_first(raw); object; object = nl_cache_get_next(object))
        found.push_back(link_state(reinterpret_cast<rtnl_link*>(object)));
    return found;
}

Result<LinkState> Netlink::link(const std::string& name) {
    rtnl_link* raw = nullptr;
    if (const int code = rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &raw); code < 0)
        return fail_libnl("look up link '" + printable(name) + "'", code);
    auto state = link_state(raw);
    rtnl_link_put(raw);
    return state;
}

Result<std::vector<std::string>> Netlink::addresses() {
    nl_cache* raw = nullptr;
    if (const int code = rtnl_addr_alloc_cache(socket_.get(), &raw); code < 0)
        return fail_libnl("list addresses", code);
    const Cache cache(raw);
    std::vector<std::string> found;
    for (auto* object = nl_cache_get_first(raw); object; object = nl_cache_get_next(object)) {
        auto* address = reinterpret_cast<rtnl_addr*>(object);
        auto* local = rtnl_addr_get_local(address);
        if (!local || nl_addr_get_family(local) != AF_INET)
            continue;
        std::array<char, 64> text{};
        nl_addr2str(local, text.data(), text.size());
        found.push_back(std::to_string(rtnl_addr_get_ifindex(address)) + " " + text.data());
    }
    return found;
}

Result<void> wait_until_operational(Netlink& netlink, const std::string& link, std::chrono::milliseconds deadline) {
    auto state = TRY(netlink.link(link));
    if (state.operational)
        return {};
    const auto end = std::chrono::steady_clock::now() + deadline;
    // Listening first, then asking again: nothing is missed in between.
    const UniqueFd changes(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl group{};
    group.nl_family = AF_NETLINK;
    group.nl_groups = RTMGRP_LINK;
    if (!changes || ::bind(changes.get(), reinterpret_cast<const sockaddr*>(&group), sizeof group) < 0)
        return fail_errno("listen to link changes");
    for (;;) {
        state = TRY(netlink.link(link));
        if (state.operational)
            return {};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        if (left <= 0)
            return fail(ErrorKind::unavailable, "link '" + printable(link) + "' has no carrier");
        pollfd waiting{changes.get(), POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(left)) < 0 && errno != EINTR)
            return fail_errno("poll");
        std::array<char, 16384> ignored; // what changed is asked for anew; what did not fit either
        while (::recv(changes.get(), ignored.data(), ignored.size(), 0) > 0) {
        }
    }
}

} // namespace squish::network
