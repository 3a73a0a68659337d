// The read-only root of a container: a layer's folder, with the mount points that it lacks.
//
// How this works
//   A rootfs is never written to. Where a container needs a mount point (or a small generated file) that the layer does
//   not have, a skeleton holding just that is made in a tmpfs of the stager, and an overlay of skeleton over rootfs,
//   with no upper layer, shows both. Such an overlay is made once per rootfs and set of points and attached in the
//   stager's own mount namespace; each container gets a clone of the mount (a system call), so all share its caches.
//   Where the rootfs has every point, the folder itself is cloned.
//   Nothing is looked up by string in the layer: openat2(2) with RESOLVE_IN_ROOT, so a link in it leads nowhere else.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace squish::stager {

// Something that must exist in the root.
struct Point {
    std::string path; // absolute, as seen in the container
    bool folder = true;
    std::string content;    // for a generated file; files without content are empty
    bool generated = false; // the content is to be seen even where the rootfs has a file there
    auto operator<=>(const Point&) const = default;
};

// Opens what the user's path leads to. No magic link of /proc is followed: they lead by whoever looks, and that is us.
[[nodiscard]] Result<UniqueFd> open_of_user(const std::string& path, int flags);

class RootfsCache {
public:
    // `workspace`: a folder on which the cache may mount its tmpfs (in the caller's own mount namespace).
    [[nodiscard]] static Result<RootfsCache> open(const std::string& workspace);
    // A detached read-only mount of `path` with all `points` in it.
    [[nodiscard]] Result<MountFd> mount(const std::string& path, std::vector<Point> points);

private:
    struct Entry {
        std::string key;
        std::string folder; // of this entry in the tmpfs
        MountFd merged;     // attached at FOLDER/merged
    };
    [[nodiscard]] Result<MountFd> make_merged(int rootfs, const std::string& folder, const std::vector<Point>& missing);
    void evict();

    DirFd tmpfs_;
    std::list<Entry> entries_; // most recently used first
    std::uint64_t next_ = 0;
};

} // namespace squish::stager
