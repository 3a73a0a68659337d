// What the server may still do once it has all that it needs: read below /proc and /sys, and use what it has open.
#pragma once

#include "base/result.h"

namespace squish::procfsd {

// Should: drop all capabilities, forbid new privileges, confine files by Landlock (where the kernel has it) and system
// calls by a filter. Must not: open, map as code or start anything afterwards that is not below /proc or /sys.
[[nodiscard]] Result<void> confine();

} // namespace squish::procfsd
