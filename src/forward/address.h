// A numeric address and a port: where a published port leads, or who is its client.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace squish::forward {

class Address {
public:
    // Numeric IPv4 or IPv6 (no names, no scope); port 1 to 65535.
    [[nodiscard]] static Result<Address> parse(const std::string& address, std::int64_t port);
    // What accept(2) or recvmsg(2) have written; of any other family: 0.0.0.0, port 0.
    [[nodiscard]] static Address from(const sockaddr_storage& storage);

    [[nodiscard]] int family() const { return any_.sa_family; }
    [[nodiscard]] const sockaddr* data() const { return &any_; }
    [[nodiscard]] socklen_t size() const { return family() == AF_INET6 ? sizeof v6_ : sizeof v4_; }
    [[nodiscard]] std::uint16_t port() const { return ntohs(family() == AF_INET6 ? v6_.sin6_port : v4_.sin_port); }
    [[nodiscard]] Address with_port(std::uint16_t port) const;

    // The bytes that make two of them different.
    [[nodiscard]] std::string_view bytes() const;

    // Whether a payload may be shown this as its client's address: not this machine's loopback, nor what means
    // nothing in another network namespace (link-local, unspecified, multicast).
    [[nodiscard]] bool may_be_shown() const;
    // One of the containers' own networks (base/client_route.h).
    [[nodiscard]] bool is_sibling() const;

private:
    Address() : v6_{} {}
    union {
        sockaddr any_;
        sockaddr_in v4_;
        sockaddr_in6 v6_;
    };
};

} // namespace squish::forward
