// Starting squishd in the background: shared by squish, which does so on demand, and squishd itself.
#pragma once

#include "base/paths.h"
#include "base/result.h"

namespace squish {

// Returns once a squishd serves `paths.socket`: one that we started, or somebody else's. Several callers at once
// start one daemon (the others wait on STATE/start.lock). At most ten seconds; the error then names the log.
[[nodiscard]] Result<void> start_in_background(const Paths& paths);

} // namespace squish
