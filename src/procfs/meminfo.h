// /proc/meminfo and /sys/devices/system/node/node0/meminfo.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// The lines of the host's text, aligned as there, with the container's figures. What describes the machine and not
// its use stays (Hugepagesize, VmallocTotal); a line that we do not know says 0, whatever the kernel means by it.
// Without a limit it is the host's text, but for the swap where that alone is limited.
[[nodiscard]] std::string meminfo(std::string_view host, const View& view);

// The same figures, by the names of a node's file: `node` is the host's text of node 0, `rendered` what meminfo() made
// of the same view. A container sees one node only, so it has all the memory.
[[nodiscard]] std::string node_meminfo(std::string_view node, std::string_view rendered);

} // namespace squish::procfs
