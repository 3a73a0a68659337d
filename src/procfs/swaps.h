// /proc/swaps.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// One line, "none", for all the swap that the container may use; the sum of the host's where there is no limit. Which
// files and devices the host swaps to is not told. The figures are those of meminfo().
[[nodiscard]] std::string swaps(std::string_view host, const View& view);

} // namespace squish::procfs
