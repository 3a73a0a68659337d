// What squish-sysinfo gives up before it looks at anything of a container's.
#pragma once

#include "base/result.h"

namespace squish::sysinfo {

// Keeps CAP_SYS_PTRACE (the memory of those who call) and CAP_DAC_OVERRIDE (its file belongs to whom the caller runs
// as); no new privileges; system calls by a list. No Landlock: a process in a Landlock domain may not trace others.
[[nodiscard]] Result<void> confine();

} // namespace squish::sysinfo
