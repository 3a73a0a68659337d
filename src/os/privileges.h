// Giving up what a helper does not need.
#pragma once

#include "base/result.h"

#include <cstdint>

namespace squish::os {

// Keeps, of the capabilities that the process has, those in `kept` (bits by number, capabilities(7)), and no way to
// more: nothing inheritable or ambient, no_new_privs, and, where it may, an empty bounding set and locked securebits.
// The process can be neither traced nor dumped afterwards, and /proc/PID/ of it belongs to root.
[[nodiscard]] Result<void> give_up_privileges(std::uint64_t kept);

} // namespace squish::os
