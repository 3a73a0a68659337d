// What the forwarder gives up before it serves anybody.
#pragma once

#include "base/result.h"

namespace squish::forward {

// Should: leave no capability but CAP_SYS_ADMIN (setns(2) into the containers' network namespaces) and CAP_NET_ADMIN
// (to speak there with a client's address), no way to gain one (no_new_privs, empty bounding and ambient sets), and no
// way for a payload that runs as the same uid to read or trace the process (not dumpable; the user, who owns the user
// namespace, still can). Must not: fail where there were no capabilities to begin with.
[[nodiscard]] Result<void> harden();

} // namespace squish::forward
