#include "forward/address.h"

#include "base/client_route.h"
#include "base/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>

namespace squish::forward {

Result<Address> Address::parse(const std::string& address, std::int64_t port) {
    if (port < 1 || port > 65535)
        return fail(ErrorKind::invalid, "the target's port is not between 1 and 65535");
    Address out;
    if (::inet_pton(AF_INET, address.c_str(), &out.v4_.sin_addr) == 1) {
        out.v4_.sin_family = AF_INET;
        out.v4_.sin_port = htons(static_cast<std::uint16_t>(port));
    } else if (::inet_pton(AF_INET6, address.c_str(), &out.v6_.sin6_addr) == 1) {
        out.v6_.sin6_family = AF_INET6;
        out.v6_.sin6_port = htons(static_cast<std::uint16_t>(port));
    } else {
        return fail(ErrorKind::invalid, "'" + printable(address) + "' is not a numeric address");
    }
    return out;
}

Address Address::from(const sockaddr_storage& storage) {
    Address out;
    out.v4_.sin_family = AF_INET;
    if (storage.ss_family == AF_INET6)
        std::memcpy(&out.v6_, &storage, sizeof out.v6_);
    else if (storage.ss_family == AF_INET)
        std::memcpy(&out.v4_, &storage, sizeof out.v4_);
    return out;
}

Address Address::with_port(std::uint16_t port) const {
    Address out = *this;
    (family() == AF_INET6 ? out.v6_.sin6_port : out.v4_.sin_port) = htons(port);
    return out;
}

std::string_view Address::bytes() const {
    return {reinterpret_cast<const char*>(&any_), size()};
}

bool Address::may_be_shown() const {
    if (family() == AF_INET6) {
        const auto& address = v6_.sin6_addr;
        return !IN6_IS_ADDR_LOOPBACK(&address) && !IN6_IS_ADDR_UNSPECIFIED(&address) &&
               !IN6_IS_ADDR_LINKLOCAL(&address) && !IN6_IS_ADDR_MULTICAST(&address) && !IN6_IS_ADDR_V4MAPPED(&address);
    }
    const auto address = ntohl(v4_.sin_addr.s_addr);
    const auto first = address >> 24;
    return first != 0 && first != 127 && first < 224 && address >> 16 != (169U << 8 | 254U);
}

bool Address::is_sibling() const {
    using namespace client_route;
    if (family() == AF_INET6)
        return std::equal(std::begin(kSiblings6), std::end(kSiblings6), v6_.sin6_addr.s6_addr);
    return (ntohl(v4_.sin_addr.s_addr) ^ kSiblings4) >> (32 - kSiblings4Prefix) == 0;
}

} // namespace squish::forward
