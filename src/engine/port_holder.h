// Who holds a port of the host that we cannot have.
#pragma once

#include "squishfile/squishfile.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace squish {

// A socket in the text of /proc/net/{tcp,tcp6,udp,udp6} (proc_pid_net(5)) that keeps `port` from being bound.
struct HoldingSocket {
    std::uint64_t inode = 0;
    std::uint32_t uid = 0;
    bool operator==(const HoldingSocket&) const = default;
};
// `text`: of the file for the port's protocol; `ipv6_file`: that with IPv6 addresses.
[[nodiscard]] std::optional<HoldingSocket> find_holding_socket(std::string_view text, bool ipv6_file,
                                                               const PortSpec& port);

// "'nginx' (pid 4711)", where the process can be seen by us; "a process of user 'root'" where only its socket can;
// nothing where not even that.
[[nodiscard]] std::optional<std::string> describe_holder(const PortSpec& port);

} // namespace squish
