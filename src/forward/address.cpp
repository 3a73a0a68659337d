#include "forward/address.h"

#include "base/text.h"

#include <arpa/inet.h>

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

} // namespace squish::forward
