// The system calls that working on an archive takes; all others answer ENOSYS.
#pragma once

#include "base/result.h"

namespace squish::layers {

// For the whole process, for good (seccomp(2), SECCOMP_SET_MODE_FILTER). Needs no_new_privs.
[[nodiscard]] Result<void> filter_system_calls();

} // namespace squish::layers
