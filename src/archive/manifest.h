// The manifest of a tree: one line for each entry, in the order of walk(), as text that says the same for equal trees.
//
//   squish-manifest 1
//   d MODE UID GID 0 MTIME - PATH [@NAME=HEX …]
//   f MODE UID GID SIZE MTIME SHA256 PATH [@NAME=HEX …]
//   l 0777 UID GID SIZE MTIME - PATH TARGET
//   h PATH FIRST                     a hard link: the same file as FIRST, which has an `f` or `l` line before it
//
// MODE is octal without the type, MTIME is seconds.nanoseconds, PATH is "." for the root. In names and targets each
// byte that is not printable ASCII, the blank and the backslash are \xNN. The sha256 of the whole text is the tree
// digest.
#pragma once

#include "archive/sha256.h"
#include "archive/xattrs.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <vector>

namespace squish::archive {

enum class Type : char { folder = 'd', file = 'f', symlink = 'l', hard_link = 'h' };

struct Record {
    Type type = Type::file;
    mode_t mode = 0;
    std::uint64_t uid = 0, gid = 0;
    std::uint64_t size = 0;
    std::int64_t seconds = 0;
    long nanoseconds = 0;
    Digest digest{};    // of a file
    std::string path;   // "" for the root
    std::string target; // of a symlink; of a hard link the first path
    Xattrs xattrs;
};

// A file that not everybody may read, a folder that not everybody may enter and list.
[[nodiscard]] bool is_closed(const Record& record);

// What stat(2) knows of it.
[[nodiscard]] Record record_of(const std::string& path, const struct stat& info);

[[nodiscard]] std::string write_manifest(const std::vector<Record>& records);
// Errors name the line: a manifest that was damaged on disk is told apart from a tree that was.
[[nodiscard]] Result<std::vector<Record>> read_manifest(std::string_view text);

[[nodiscard]] std::string escape_name(std::string_view name);
[[nodiscard]] Result<std::string> unescape_name(std::string_view text);

// How walk() sorts: part by part, by bytes.
[[nodiscard]] bool comes_before(std::string_view path, std::string_view other);

} // namespace squish::archive
