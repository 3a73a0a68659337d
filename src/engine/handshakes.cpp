#include "engine/handshakes.h"

#include "base/unique_fd.h"

#include <array>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace squish {

bool has_open_handshakes(const PortSpec& port) {
    if (port.protocol != Protocol::tcp)
        return false;
    struct {
        nlmsghdr header;
        inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = port.address.contains(':') ? AF_INET6 : AF_INET;
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = 1U << TCP_SYN_RECV;
    message.request.id.idiag_sport = htons(port.host);
    const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!socket || ::send(socket.get(), &message, sizeof message, 0) < 0)
        return false;
    // The first message of the answer is an entry, or the end of the list.
    alignas(nlmsghdr) std::array<char, 8192> answer{};
    const auto got = ::recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
    nlmsghdr first{};
    if (got < static_cast<ssize_t>(sizeof first))
        return false;
    std::memcpy(&first, answer.data(), sizeof first);
    return first.nlmsg_type == SOCK_DIAG_BY_FAMILY;
}

} // namespace squish
