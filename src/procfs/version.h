// /proc/version.
#pragma once

#include <string>
#include <string_view>

namespace squish::procfs {

// The host's text without who built the kernel and where: on a machine that built its own, that is its name.
[[nodiscard]] std::string version(std::string_view host);

} // namespace squish::procfs
