// What squish-fetch gives up before it talks to anybody.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace squish::fetcher {

// Should: leave no way to gain privileges (no_new_privs, no capability in any set), to be traced or dumped, or to hold
// more memory, descriptors and disk than a job needs. Must not: fail where there was nothing to give up.
[[nodiscard]] Result<void> harden(std::uint64_t max_file_bytes);

// Should: leave the file system readable only where names are resolved and certificates lie (/etc, libraries), and
// writable only below `writable` (Landlock, Linux 5.13). Where the kernel has none, nothing happens: what remains is an
// unprivileged process of the user's. Must not: be called after a thread was started, since it holds for the caller
// only.
[[nodiscard]] Result<void> confine(const std::vector<std::string>& writable);

} // namespace squish::fetcher
