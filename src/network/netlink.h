// rtnetlink, by libnl: requests as owned messages, several of them in one system call.
#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct nl_msg;
struct nl_sock;

namespace squish::network {

struct FreeMessage {
    void operator()(nl_msg* message) const noexcept;
};
struct FreeSocket {
    void operator()(nl_sock* socket) const noexcept;
};

// One request, and what it is for: "add address 10.89.0.2".
struct Request {
    std::unique_ptr<nl_msg, FreeMessage> message;
    std::string purpose;
};

// What the kernel says about a link.
struct LinkState {
    std::uint32_t index = 0;
    std::string name;
    bool up = false;          // administratively
    bool operational = false; // RFC 2863: up, with a carrier that the kernel has acted on
};

// A netlink socket; it belongs for ever to the network namespace that its maker was in.
class Netlink {
public:
    [[nodiscard]] static Result<Netlink> open();

    // Sends all requests in one message to the kernel, which serves them in order, and waits for every answer.
    // The first error is returned, with the kernel's errno in sys_errno; the requests after it were served all the
    // same.
    [[nodiscard]] Result<void> send(std::span<Request> requests);
    [[nodiscard]] Result<void> send(Request request) { return send(std::span(&request, 1)); }

    [[nodiscard]] Result<std::vector<LinkState>> links();
    // ENODEV in sys_errno where there is none of that name.
    [[nodiscard]] Result<LinkState> link(const std::string& name);
    // IPv4 addresses in the form "IFINDEX 10.89.0.2/20".
    [[nodiscard]] Result<std::vector<std::string>> addresses();

private:
    explicit Netlink(std::unique_ptr<nl_sock, FreeSocket> socket) : socket_(std::move(socket)) {}
    std::unique_ptr<nl_sock, FreeSocket> socket_;
};

// Waits until the link is operational (RFC 2863: its carrier is there and the kernel has acted on it).
//
// When the second end of a veth comes up, the kernel tells the first end's bridge port and queue so from a work queue,
// milliseconds or more later; what is sent until then is lost, and a lost ARP request is repeated after a whole second.
// Since Linux 6.8 asking for the link's state does that work at once (rtnl_getlink() calls linkwatch_sync_dev());
// before, the kernel's notification is waited for. unavailable where the deadline passes.
[[nodiscard]] Result<void> wait_until_operational(Netlink& netlink, const std::string& link,
                                                  std::chrono::milliseconds deadline);

} // namespace squish::network
