// Mounts by descriptor: open_tree(2), move_mount(2), mount_setattr(2), fsopen(2) (Linux 5.2; mount_setattr 5.12).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <string>
#include <sys/mount.h> // MOUNT_ATTR_*, AT_RECURSIVE
#include <utility>
#include <vector>

namespace squish::os {

// A private copy of what is mounted at `path` (relative to `dir`), attached nowhere.
[[nodiscard]] Result<MountFd> clone_mount(int dir, const std::string& path, bool recursive);
// Sets MOUNT_ATTR_* bits on a detached mount (and, if recursive, on all beneath it); propagation becomes private.
[[nodiscard]] Result<void> set_mount_attributes(int mount, std::uint64_t set, bool recursive);
// Attaches a detached mount to what `target` (an O_PATH fd) refers to.
[[nodiscard]] Result<void> attach_mount(int mount, int target);
// A new filesystem, attached nowhere. Options are (key, value); a key without value is a flag.
[[nodiscard]] Result<MountFd> new_filesystem(const char* type,
                                             const std::vector<std::pair<std::string, std::string>>& options,
                                             std::uint64_t attributes);

} // namespace squish::os
