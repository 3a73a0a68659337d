// sysinfo(2), as a process of the container is to see it.
#pragma once

#include "procfs/view.h"

#include <sys/sysinfo.h>

namespace squish::procfs {

// The figures of meminfo(), uptime(), loadavg() and the number of tasks; memory and swap of `host` where they are not
// limited.
[[nodiscard]] struct ::sysinfo sysinfo_of(const struct ::sysinfo& host, const View& view);

} // namespace squish::procfs
