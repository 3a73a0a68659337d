// On which CPUs what runs already may run from now on.
#pragma once

#include "base/result.h"
#include "launch/format.h"

namespace squish::keeper {

// Of every task in the cgroup (an open folder) and beneath it, also of those that are made meanwhile
// (sched_setaffinity(2)). EINVAL: its cpuset has none of these CPUs. Tasks that end meanwhile are none.
[[nodiscard]] Result<void> set_affinity(int cgroup, const launch::CpuMask& cpus);

} // namespace squish::keeper
