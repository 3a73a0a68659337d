// /sys/devices/system/cpu and the CPU lists of node0: which CPUs there are.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>
#include <vector>

namespace squish::procfs {

// `online`, `possible` and `present`, which are one thing in a container, and node0/cpulist, as it sees one node only;
// the host's text where no CPU is known.
[[nodiscard]] std::string cpu_list(std::string_view host, const View& view);
// The same as a mask, as wide as the host's: node0/cpumap.
[[nodiscard]] std::string cpu_mask(std::string_view host, const View& view);

// Of a list or mask of CPUs in the host's text (topology/thread_siblings_list, cache/index0/shared_cpu_map,
// `offline`), those that are shown. The host's text where it is no list or mask.
[[nodiscard]] std::string cpu_list_within(std::string_view host, const View& view);
[[nodiscard]] std::string cpu_mask_within(std::string_view host, const View& view);

// The names in /sys/devices/system/cpu without the cpuN that are not shown.
[[nodiscard]] std::vector<std::string> cpu_folder(const std::vector<std::string>& host, const View& view);

} // namespace squish::procfs
