// Host-side listeners for published ports. They are bound here, as the user, in the host's network namespace, so that a
// conflict is told before anything is started; the forwarder accepts on them.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "squishfile/squishfile.h"

#include <vector>

namespace squish {

// A bound, listening, non-blocking socket. Errors: conflict where the port is taken, denied (with the sysctl) where it
// is below what the user may bind, invalid where the address is not one of this machine.
[[nodiscard]] Result<UniqueFd> listen_on(const PortSpec& port);
[[nodiscard]] Result<std::vector<UniqueFd>> listen_on_all(const std::vector<PortSpec>& ports);

} // namespace squish
