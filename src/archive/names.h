// Names of entries: what an archive calls a file, and where that is beneath the target.
#pragma once

#include "archive/limits.h"
#include "base/result.h"

#include <string>
#include <string_view>

namespace squish::archive {

struct EntryName {
    std::string path;      // "a/b/c": no leading slash, no ".", "..", "" among its parts; "" is the target itself
    bool absolute = false; // it began with a slash, which was taken off

    [[nodiscard]] std::string_view parent() const;
    [[nodiscard]] std::string_view leaf() const;
};

// A leading "/" is taken off: in an archive of a root, "/etc/x" and "etc/x" are the same file of the container. "."
// and empty parts are dropped. ".." anywhere is refused: no honest archiver writes it. Bytes are kept as they are.
// An error does not name the entry; the caller does.
[[nodiscard]] Result<EntryName> parse_name(std::string_view name, const Limits& limits);

} // namespace squish::archive
