// The load, as loadavg and sysinfo(2) both show it.
#pragma once

#include "procfs/view.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace squish::procfs {

// Over 1, 5, 15 minutes, in hundredths.
[[nodiscard]] std::array<std::uint64_t, 3> shown_loads(std::string_view host_loadavg, const View& view);

} // namespace squish::procfs
