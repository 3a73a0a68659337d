// Where a published port leads: a numeric address and a port.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace squish::forward {

class Address {
public:
    // Numeric IPv4 or IPv6 (no names, no scope); port 1 to 65535.
    [[nodiscard]] static Result<Address> parse(const std::string& address, std::int64_t port);

    [[nodiscard]] int family() const { return any_.sa_family; }
    [[nodiscard]] const sockaddr* data() const { return &any_; }
    [[nodiscard]] socklen_t size() const { return family() == AF_INET6 ? sizeof v6_ : sizeof v4_; }

private:
    Address() : v6_{} {}
    union {
        sockaddr any_;
        sockaddr_in v4_;
        sockaddr_in6 v6_;
    };
};

} // namespace squish::forward
