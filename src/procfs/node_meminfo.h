#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// Of the host's /proc/meminfo, not of its node's: a host with several nodes has on each but a part.
[[nodiscard]] std::string node_meminfo(std::string_view host_meminfo, const View& view);

} // namespace squish::procfs
