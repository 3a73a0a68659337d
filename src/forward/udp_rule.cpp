#include "forward/udp_rule.h"

#include "base/client_route.h"
#include "base/unique_fd.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace squish::forward {

namespace {

// One message, written by hand: the forwarder stays small, and asks nothing else of rtnetlink(7).
class Message {
public:
    Message(std::uint16_t type, std::uint16_t flags, int family) {
        auto& header = this->header();
        header.nlmsg_len = NLMSG_LENGTH(sizeof(fib_rule_hdr));
        header.nlmsg_type = type;
        header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        fib_rule_hdr rule{};
        rule.family = static_cast<std::uint8_t>(family);
        rule.action = FR_ACT_TO_TBL;
        std::memcpy(bytes_.data() + NLMSG_HDRLEN, &rule, sizeof rule);
    }
    template <class T> Message& put(std::uint16_t type, const T& value) {
        auto& header = this->header();
        const rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(sizeof value)), type};
        auto* at = bytes_.data() + NLMSG_ALIGN(header.nlmsg_len);
        std::memcpy(at, &attribute, sizeof attribute);
        std::memcpy(at + RTA_LENGTH(0), &value, sizeof value);
        header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_ALIGN(header.nlmsg_len) + RTA_ALIGN(attribute.rta_len));
        return *this;
    }
    [[nodiscard]] const void* data() const { return bytes_.data(); }
    [[nodiscard]] std::size_t size() { return header().nlmsg_len; }

private:
    nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }
    alignas(nlmsghdr) std::array<char, 256> bytes_{};
};

Result<void> change(std::uint16_t type, std::uint16_t flags, int family, std::uint16_t port) {
    Message message(type, flags, family);
    message.put(FRA_PRIORITY, client_route::kUdpPriority)
        .put(FRA_TABLE, client_route::kTable)
        .put(FRA_IP_PROTO, std::uint8_t{IPPROTO_UDP})
        .put(FRA_SPORT_RANGE, fib_rule_port_range{port, port});
    const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket || ::send(socket.get(), message.data(), message.size(), 0) < 0)
        return fail_errno("rtnetlink");
    // The kernel has answered before send(2) returns.
    alignas(nlmsghdr) std::array<char, 1024> answer{};
    const auto got = ::recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
    if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))))
        return fail_errno("rtnetlink", got < 0 ? errno : EBADMSG);
    nlmsgerr error{};
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    if (error.error != 0)
        return fail_errno("routing rule for UDP port " + std::to_string(port), -error.error);
    return {};
}

} // namespace

Result<void> add_udp_rule(int family, std::uint16_t port) {
    return change(RTM_NEWRULE, NLM_F_CREATE, family, port);
}

Result<void> remove_udp_rule(int family, std::uint16_t port) {
    return change(RTM_DELRULE, 0, family, port);
}

} // namespace squish::forward
