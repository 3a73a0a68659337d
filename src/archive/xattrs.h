// Extended attributes (xattr(7)) that a layer keeps: user.* of files and folders. Capabilities, ACLs and labels are
// not content: the first two are rights that an archive must not give, the last belong to the host.
#pragma once

#include "base/result.h"

#include <map>
#include <string>
#include <string_view>

namespace squish::archive {

using Xattrs = std::map<std::string, std::string>;

[[nodiscard]] bool is_kept_xattr(std::string_view name); // user.*
// Those that are kept, and those that must not be there (security.capability, POSIX ACLs), which verify reports.
[[nodiscard]] Result<Xattrs> read_xattrs(int fd);

} // namespace squish::archive
