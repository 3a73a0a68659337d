// /proc/vmstat.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// The names of the host's text with the container's figures, in pages of 4 kB; those that nobody counts per container
// are 0. Without a limit of memory it is the host's text, as with meminfo().
[[nodiscard]] std::string vmstat(std::string_view host, const View& view);

} // namespace squish::procfs
