// How the CPU time of a container is told as the time of the CPUs that it sees. Pure; the caller keeps the last state.
#pragma once

#include "procfs/view.h"

#include <cstdint>
#include <vector>

namespace squish::procfs {

// What the kernel says at one instant, in microseconds since the container's start.
struct CpuReading {
    std::uint64_t uptime = 0;
    std::uint64_t user = 0, system = 0;
    std::vector<std::uint64_t>
        per_cpu; // where it is known (cgroup v1): by the host's numbers, user and system together
};

// What has been shown so far.
struct CpuLedger {
    CpuReading last;
    std::uint64_t owed_user = 0, owed_system = 0; // used, but not shown yet
    std::vector<CpuTimes> shown;                  // one for each CPU of View::cpus
};

// What is to be shown next. Times never go back, whatever `now` says; in no CPU does more go by than the clock: more
// CPU time than the CPUs shown could have given (only figures of [procfs], no limit) is shown when they are idle again.
// Another number of CPUs begins anew for those that were not there.
[[nodiscard]] CpuLedger advance(const CpuLedger& before, const CpuReading& now, const CpuSet& cpus);

} // namespace squish::procfs
