// Host-side listeners for published ports. They are bound here, as the user, in the host's network namespace, so that a
// conflict is told before anything is started; the forwarder accepts on them, or the payload itself (activation).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "squishfile/squishfile.h"

#include <vector>

namespace squish {

// A bound socket, non-blocking but for activation (sd_listen_fds(3) promises a blocking one); a TCP one listens.
// Errors: conflict where the port is taken, denied (with the sysctl) where it is below what the user may bind, invalid
// where the address is not one of this machine.
[[nodiscard]] Result<UniqueFd> listen_on(const PortSpec& port);
// The same although `old`, a listener of ours, is in the way: "127.0.0.1:8080" beside "0.0.0.0:8080".
[[nodiscard]] Result<UniqueFd> listen_beside(const PortSpec& port, int old);
[[nodiscard]] Result<std::vector<UniqueFd>> listen_on_all(const std::vector<PortSpec>& ports);
// The port that a socket is bound to: what the kernel chose for host port 0.
[[nodiscard]] Result<std::uint16_t> bound_port(int socket);

// Makes the port free for us at once, although other processes hold copies of the listener for a moment longer.
void stop_listening(int socket);

} // namespace squish
