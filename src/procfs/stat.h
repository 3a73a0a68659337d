// /proc/stat and /proc/uptime.
#pragma once

#include "procfs/view.h"

#include <string>
#include <string_view>

namespace squish::procfs {

// The lines of the host's text: one "cpuN" for each CPU that is shown, with the container's time; "cpu" is their sum.
// Interrupts are the machine's and are 0. Lines that we do not know are left out. The host's text where it has no "cpu"
// line.
[[nodiscard]] std::string stat(std::string_view host, const View& view);

// Since the container's start; the second figure is the sum of the idle times of stat().
[[nodiscard]] std::string uptime(const View& view);

} // namespace squish::procfs
