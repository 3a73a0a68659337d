#include "stager/rootfs.h"

#include "base/text.h"
#include "os/file.h"
#include "os/mount.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::stager {

namespace {

constexpr std::size_t kMaxEntries = 64;
constexpr std::uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

Result<bool> is_folder(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) < 0)
        return fail_errno("fstat");
    return S_ISDIR(info.st_mode);
}

// True where the root has the point already; an error where it has something of the other kind there.
Result<bool> has(int rootfs, const Point& point) {
    const auto found = os::open_beneath(rootfs, point.path, O_PATH, kInRoot);
    if (!found) {
        if (found.error().sys_errno == ENOENT)
            return false;
        return fail_errno("mount point '" + printable(point.path) + "' in the rootfs", found.error().sys_errno);
    }
    if (TRY(is_folder(found->get())) != point.folder)
        return fail(ErrorKind::invalid,
                    "mount point '" + printable(point.path) + "' is a " + (point.folder ? "file" : "folder") +
                        " in the rootfs, but a " + (point.folder ? "folder" : "file") + " is to be mounted there",
                    "choose another target");
    return !point.generated;
}

// The path of an O_PATH descriptor beneath `root`, links resolved: "/usr/lib".
Result<std::string> path_beneath(int root, int fd) {
    const auto read = [](int link) -> Result<std::string> {
        std::array<char, 4096> buffer{};
        const auto length = ::readlink(os::fd_path(link).c_str(), buffer.data(), buffer.size());
        if (length < 0)
            return fail_errno("readlink");
        return std::string(buffer.data(), static_cast<std::size_t>(length));
    };
    const auto base = TRY(read(root));
    auto path = TRY(read(fd));
    if (base == "/")
        return path;
    if (path != base && !path.starts_with(base + "/"))
        return fail(ErrorKind::conflict, "the rootfs changed while it was looked at");
    return path.substr(base.size());
}

// Splits a target into what the rootfs has (resolved) and the components that it lacks.
struct Located {
    std::string existing;
    std::vector<std::string> missing;
};
Result<Located> locate(int rootfs, const std::string& target) {
    std::vector<std::string> components;
    for (const auto part : split(target, '/'))
        if (!part.empty())
            components.emplace_back(part);
    for (std::size_t have = components.size();; --have) {
        const auto prefix = "/" + join(std::span(components).first(have), "/");
        const auto found = os::open_beneath(rootfs, prefix, O_PATH, kInRoot);
        if (found) {
            if (have < components.size() && !TRY(is_folder(found->get())))
                return fail(ErrorKind::invalid, "mount point '" + printable(target) + "': '" + printable(prefix) +
                                                    "' is a file in the rootfs");
            return Located{TRY(path_beneath(rootfs, found->get())),
                           {components.begin() + static_cast<std::ptrdiff_t>(have), components.end()}};
        }
        if (found.error().sys_errno != ENOENT)
            return fail_errno("mount point '" + printable(target) + "' in the rootfs", found.error().sys_errno);
        if (have == 0)
            return fail_errno("rootfs", ENOENT);
    }
}

// The times of a covered folder: given at the end, since filling it changes them.
struct Times {
    std::string path;
    timespec times[2];
};

// In an overlay a folder that both layers have looks like the upper one: the skeleton's takes after the rootfs's.
Result<void> look_like(int skeleton, const char* name, const struct stat& info) {
    // An id outside our map cannot be given; the folder is root's then, as it would show up anyway.
    (void) !::fchownat(skeleton, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW);
    if (::fchmodat(skeleton, name, info.st_mode & 07777, 0) < 0)
        return fail_errno("chmod skeleton folder");
    return {};
}

// Makes one folder of the skeleton.
Result<void> make_folder(int skeleton, int rootfs, const std::string& path, std::vector<Times>& covered) {
    struct stat info{};
    const auto original = os::open_beneath(rootfs, path, O_PATH, kInRoot);
    const bool covers = original && ::fstat(original->get(), &info) == 0 && S_ISDIR(info.st_mode);
    if (::mkdirat(skeleton, path.c_str() + 1, 0755) < 0) {
        if (errno == EEXIST)
            return {};
        return fail_errno("make skeleton folder '" + printable(path) + "'");
    }
    if (!covers)
        return {};
    covered.push_back({path.substr(1), {info.st_atim, info.st_mtim}});
    return look_like(skeleton, path.c_str() + 1, info);
}

Result<void> make_point(int skeleton, int rootfs, const Point& point, std::vector<Times>& covered) {
    const auto located = TRY(locate(rootfs, point.path));
    std::string at;
    std::vector<std::string> folders;
    for (const auto part : split(located.existing, '/'))
        if (!part.empty())
            folders.emplace_back(part);
    folders.insert(folders.end(), located.missing.begin(), located.missing.end());
    if (folders.empty())
        return {};
    const auto name = folders.back();
    if (!point.folder)
        folders.pop_back();
    for (const auto& folder : folders) {
        at += "/" + folder;
        TRY(make_folder(skeleton, rootfs, at, covered));
    }
    if (point.folder)
        return {};
    const auto file =
        TRY(os::open_at(skeleton, (at + "/" + name).substr(1), O_CREAT | O_WRONLY | O_NOFOLLOW | O_TRUNC, 0644));
    return os::write_all(file.get(), point.content);
}

} // namespace

Result<UniqueFd> open_of_user(const std::string& path, int flags) {
    auto file = os::open_beneath(AT_FDCWD, path, static_cast<std::uint64_t>(flags), RESOLVE_NO_MAGICLINKS);
    if (!file && file.error().sys_errno == ELOOP)
        return fail_errno("open '" + printable(path) + "'", ELOOP,
                          "links must not go in circles, nor through root, cwd, exe or fd of a process in /proc");
    return file;
}

Result<RootfsCache> RootfsCache::open(const std::string& workspace) {
    RootfsCache cache;
    const auto tmpfs =
        TRY(os::new_filesystem("tmpfs", {{"mode", "0700"}, {"size", "16m"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    const auto anchor = TRY(os::open_file(workspace, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    TRY(os::attach_mount(tmpfs.get(), anchor.get()));
    cache.tmpfs_ = DirFd(TRY(os::open_file(os::fd_path(tmpfs.get()), O_RDONLY | O_DIRECTORY)));
    return cache;
}

Result<MountFd> RootfsCache::make_merged(int rootfs, const std::string& folder, const std::vector<Point>& missing) {
    for (const auto* part : {"", "/skeleton", "/merged"})
        if (::mkdirat(tmpfs_.get(), (folder + part).c_str(), 0700) < 0)
            return fail_errno("make skeleton");
    // A filesystem of its own: containers that were given the overlay keep it, whenever the entry is evicted.
    const auto skeleton_mount =
        TRY(os::new_filesystem("tmpfs", {{"mode", "0755"}, {"size", "4m"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    const auto skeleton_point = TRY(os::open_at(tmpfs_.get(), folder + "/skeleton", O_PATH | O_DIRECTORY));
    TRY(os::attach_mount(skeleton_mount.get(), skeleton_point.get()));
    const auto skeleton = TRY(os::open_at(tmpfs_.get(), folder + "/skeleton", O_PATH | O_DIRECTORY));
    struct stat top{};
    if (::fstat(rootfs, &top) < 0)
        return fail_errno("look at the rootfs");
    std::vector<Times> covered{{".", {top.st_atim, top.st_mtim}}};
    TRY(look_like(skeleton.get(), ".", top));
    for (const auto& point : missing)
        TRY(make_point(skeleton.get(), rootfs, point, covered));
    for (auto folder_times = covered.rbegin(); folder_times != covered.rend(); ++folder_times) // the inner ones first
        ::utimensat(skeleton.get(), folder_times->path.c_str(), folder_times->times, AT_SYMLINK_NOFOLLOW);
    // By number, so that no path can hold the ':' or ',' that separates layers and options.
    auto merged = TRY(os::new_filesystem(
        "overlay", {{"source", "squish"}, {"lowerdir", os::fd_path(skeleton.get()) + ":" + os::fd_path(rootfs)}},
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    const auto point = TRY(os::open_at(tmpfs_.get(), folder + "/merged", O_PATH | O_DIRECTORY));
    TRY(os::attach_mount(merged.get(), point.get())); // a detached mount can be cloned only since Linux 6.15
    return merged;
}

Result<MountFd> RootfsCache::mount(const std::string& path, std::vector<Point> points) {
    std::ranges::sort(points);
    const auto rootfs = TRY(open_of_user(path, O_PATH | O_DIRECTORY));
    struct stat info{};
    if (::fstat(rootfs.get(), &info) < 0)
        return fail_errno("look at rootfs '" + printable(path) + "'");
    constexpr std::uint64_t kAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

    std::string key = path + '\0' + std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino) + ':' +
                      std::to_string(info.st_ctim.tv_sec) + '.' + std::to_string(info.st_ctim.tv_nsec);
    for (const auto& point : points)
        key += '\0' + point.path + (point.folder ? "/" : "") + '\0' + point.content + (point.generated ? "!" : "");
    auto entry = std::ranges::find(entries_, key, &Entry::key);
    // A rootfs of the user's own may have changed below its top: what it had of the points is looked at each time.
    if (entry != entries_.end() && !entry->merged) {
        for (const auto& point : points)
            if (!TRY(has(rootfs.get(), point))) {
                entries_.erase(entry);
                entry = entries_.end();
                break;
            }
    }
    if (entry == entries_.end()) {
        std::vector<Point> missing;
        for (const auto& point : points)
            if (!TRY(has(rootfs.get(), point)))
                missing.push_back(point);
        const auto folder = std::to_string(next_++);
        MountFd merged;
        if (!missing.empty()) {
            auto made = make_merged(rootfs.get(), folder, missing);
            if (!made) {
                entries_.push_front(Entry{"", folder, {}}); // evicted as a whole, with what was made of it
                entries_.splice(entries_.end(), entries_, entries_.begin());
                evict();
                return made;
            }
            merged = std::move(*made);
        }
        entries_.push_front(Entry{key, missing.empty() ? std::string() : folder, std::move(merged)});
        while (entries_.size() > kMaxEntries)
            evict();
        entry = entries_.begin();
    } else {
        entries_.splice(entries_.begin(), entries_, entry); // the iterator stays valid
    }
    auto clone = entry->merged ? TRY(os::clone_mount(entry->merged.get(), "", false))
                               : TRY(os::clone_mount(rootfs.get(), "", true));
    TRY(os::set_mount_attributes(clone.get(), kAttributes, true));
    return clone;
}

void RootfsCache::evict() {
    auto& last = entries_.back();
    if (!last.folder.empty()) {
        const auto base = os::fd_path(tmpfs_.get()) + "/" + last.folder;
        for (const auto* part : {"/merged", "/skeleton"})
            ::umount2((base + part).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
        (void) os::remove_tree(base); // empty folders: what was mounted there lives with those who use it
    }
    entries_.pop_back();
}

} // namespace squish::stager
