// Which block device the files of a container lie on, for io limits.
#pragma once

#include "base/result.h"
#include "cgroup/limits.h"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace squish::cgroup {

// The whole disk behind a device number (st_dev of stat(2)), a partition's being that of its disk: io.max takes no
// partitions. None for file systems without a device of their own (tmpfs, overlayfs, btrfs, network). `sys` is where
// sysfs is mounted.
[[nodiscard]] Result<std::optional<BlockDevice>> disk_of(dev_t device, const std::string& sys = "/sys");

// The disks that these files and folders lie on, each once. What is not there is an error.
[[nodiscard]] Result<std::vector<BlockDevice>> disks_of(const std::vector<std::string>& paths);

} // namespace squish::cgroup
