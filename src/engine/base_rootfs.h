// The user's own copy of the built-in rootfs: DATA/rootfs/base-VERSION. A copy, because files of root must belong to
// the root of the user's namespace, which is the user.
#pragma once

#include "base/paths.h"
#include "base/result.h"

#include <string>

namespace squish {

struct BaseRootfs {
    std::string path, version;
};
// Copies it on first use (a temporary folder, one rename: never half a copy). Leftovers of a copy that was interrupted
// are removed.
[[nodiscard]] Result<BaseRootfs> provide_base_rootfs(const Paths& paths);

} // namespace squish
