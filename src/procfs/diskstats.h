// /proc/diskstats.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// The host's lines of those block devices that the container has read from or written to, with its own figures; times
// and merges are not known and are 0. Other devices are not named.
[[nodiscard]] std::string diskstats(std::string_view host, const View& view);

} // namespace squish::procfs
