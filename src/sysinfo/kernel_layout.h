// What sysinfo(2) writes into its caller's memory.
#pragma once

#include "procfs/files.h"

#include <sys/sysinfo.h>

namespace squish::sysinfo {

// Sizes are bytes, unless they are too large for that: then they are pages, as the kernel does it (mem_unit).
[[nodiscard]] struct sysinfo to_kernel(const procfs::SystemInfo& info, std::uint64_t page_size);

} // namespace squish::sysinfo
