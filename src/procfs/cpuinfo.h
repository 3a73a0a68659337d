// /proc/cpuinfo.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// The host's blocks of the CPUs that are shown; of all where it names none of them. "siblings" and "cpu cores" (x86)
// count what is shown: psutil and the JVM add them up. What stands in no CPU's block (ARM's "Hardware") stays, but for
// the board's serial number. The host's text where there is no block at all.
[[nodiscard]] std::string cpuinfo(std::string_view host, const View& view);

} // namespace squish::procfs
