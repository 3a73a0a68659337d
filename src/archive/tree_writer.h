// Makes a tree beneath one folder, whatever names it is given: the only code that writes while unpacking.
//
// How this works
//   Parents are resolved by openat2(2) beneath the target with RESOLVE_NO_SYMLINKS, so a link that the archive brought
//   is never followed; an entry below a symlink is refused. The last part of a path is only ever created (O_EXCL,
//   mkdirat, symlinkat, linkat) or removed, never opened through.
//   A name that comes twice: the last entry wins. Folders merge; anything else is removed first, a folder with all that
//   is in it. Folders are 0700 and ours until finish(), which gives them mode, owner and time on its way through the
//   finished tree, and writes the manifest from what stat(2) says, not from what the archive said.
#pragma once

#include "archive/limits.h"
#include "archive/manifest.h"
#include "archive/names.h"
#include "base/result.h"
#include "base/unique_fd.h"

#include <map>
#include <string>
#include <sys/stat.h>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace squish::archive {

// What of an entry is kept: permission bits without setuid and setgid, numeric owners, time, user.* attributes.
struct Metadata {
    mode_t mode = 0755;
    std::int64_t uid = 0, gid = 0;
    struct timespec mtime{};
    Xattrs xattrs;
};

enum class Owners {
    kept, // chown(2): with CAP_CHOWN over the ids of our user namespace; an id that it does not have becomes 0
    ours, // whoever unpacks owns all
};

class TreeWriter {
public:
    // `target` is borrowed: an empty folder that nobody else writes to.
    [[nodiscard]] static Result<TreeWriter> open(int target, const Limits& limits, Owners owners);

    [[nodiscard]] Result<void> folder(const EntryName& name, const Metadata& metadata);
    [[nodiscard]] Result<void> symlink(const EntryName& name, const std::string& target, const Metadata& metadata);
    [[nodiscard]] Result<void> hard_link(const EntryName& name, const EntryName& to);
    // An empty file, open for writing; seal() it when its bytes are there.
    [[nodiscard]] Result<UniqueFd> file(const EntryName& name);
    // The file that a hard link names, emptied: some archivers put the bytes behind the link.
    [[nodiscard]] Result<UniqueFd> reopen(const EntryName& name);
    // Returns its inode, by which finish() is told its digest.
    [[nodiscard]] Result<ino_t> seal(int file, const Metadata& metadata);

    [[nodiscard]] Result<std::vector<Record>> finish(const std::unordered_map<ino_t, Digest>& digests);

    [[nodiscard]] std::uint64_t tamed_owners() const { return tamed_owners_; }
    [[nodiscard]] std::uint64_t tamed_xattrs() const { return tamed_xattrs_; }
    [[nodiscard]] std::uint64_t replaced() const { return replaced_; }

private:
    class Finisher;
    struct OpenFolder {
        std::string path;
        UniqueFd fd;
    };

    TreeWriter(int target, const Limits& limits, Owners owners);
    [[nodiscard]] Result<int> open_parent(const EntryName& name);
    [[nodiscard]] Result<int> open_folder(std::string_view path);
    [[nodiscard]] Result<UniqueFd> make_folders(std::string_view path);
    [[nodiscard]] Result<void> make_way(int parent, const EntryName& name);
    [[nodiscard]] Result<void> own(int fd, const char* name, const Metadata& metadata);
    [[nodiscard]] Result<void> give(int fd, const char* name, const Metadata& metadata);
    [[nodiscard]] Result<void> set_xattrs(int fd, const Metadata& metadata);

    int target_;
    Limits limits_;
    Owners owners_;
    uid_t own_uid_;
    gid_t own_gid_;
    std::vector<OpenFolder> recent_; // parents, the last used last
    std::map<std::string, Metadata, std::less<>> folders_;
    std::unordered_set<ino_t> with_xattrs_; // files that may have some
    std::uint64_t tamed_owners_ = 0, tamed_xattrs_ = 0, replaced_ = 0;
};

} // namespace squish::archive
