// /proc/pressure/{cpu,io,memory}: PSI, Documentation/accounting/psi.rst of the kernel.
#pragma once

#include "procfs/view.h"

#include <optional>
#include <string>
#include <string_view>

namespace squish::procfs {

// A pressure file of a cgroup; nothing where it is none. Kernels before 5.13 have no "full" line for the CPU.
[[nodiscard]] std::optional<Pressure> parse_pressure(std::string_view text);

// The lines that the host's text has ("some", "full") with the container's figures, which are 0 where there is no
// cgroup.
[[nodiscard]] std::string pressure(std::string_view host, const Pressure& own);

} // namespace squish::procfs
