// /proc/cpuinfo.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// The host's blocks of the CPUs that are shown. "siblings" and "cpu cores" (x86) count what is shown: psutil and the
// JVM add them up. What stands in no CPU's block (ARM's "Hardware") stays. The host's text where it names no CPU that
// is shown.
[[nodiscard]] std::string cpuinfo(std::string_view host, const View& view);

} // namespace squish::procfs
