#include "archive/tree_writer.h"

#include "archive/describe.h"
#include "archive/remove.h"
#include "archive/walk.h"
#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace squish::archive {

namespace {

constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
constexpr std::size_t kRecent = 32;

Error plain_reason(Error error, std::string_view path) {
    if (error.sys_errno == ELOOP || error.sys_errno == ENOTDIR)
        return Error{ErrorKind::invalid,
                     "it lies below '" + printable(path) +
                         "', which is a link or a file: links are not followed while unpacking",
                     "pack the folder that the link leads to under its own name", 0};
    return error;
}

} // namespace

TreeWriter::TreeWriter(int target, const Limits& limits, Owners owners)
    : target_(target), limits_(limits), owners_(owners), own_uid_(::geteuid()), own_gid_(::getegid()) {
    // What no entry speaks of looks the same each time.
    folders_[""] = Metadata{};
}

Result<TreeWriter> TreeWriter::open(int target, const Limits& limits, Owners owners) {
    const auto names = TRY(list_names(target));
    if (!names.empty())
        return fail(ErrorKind::conflict, "the folder to unpack into is not empty");
    // Neither a group nor rights for others are to be inherited from where the store happens to lie.
    if (::fchmod(target, 0700) < 0)
        return fail_errno("prepare the folder to unpack into");
    (void) ::fremovexattr(target, "system.posix_acl_default");
    return TreeWriter(target, limits, owners);
}

Result<int> TreeWriter::open_parent(const EntryName& name) {
    return open_folder(name.parent());
}

Result<int> TreeWriter::open_folder(std::string_view path) {
    if (path.empty())
        return target_;
    for (auto at = recent_.rbegin(); at != recent_.rend(); ++at)
        if (at->path == path) {
            if (at != recent_.rbegin())
                std::rotate(recent_.rbegin(), at, std::next(at));
            return recent_.back().fd.get();
        }
    auto fd = os::open_beneath(target_, std::string(path), O_PATH | O_DIRECTORY, kBeneath);
    if (!fd && fd.error().sys_errno == ENOENT)
        fd = make_folders(path);
    if (!fd)
        return std::unexpected(plain_reason(std::move(fd).error(), path));
    if (recent_.size() == kRecent)
        recent_.erase(recent_.begin());
    recent_.push_back({std::string(path), std::move(*fd)});
    return recent_.back().fd.get();
}

// Folders that no entry announced, one by one.
Result<UniqueFd> TreeWriter::make_folders(std::string_view path) {
    UniqueFd at;
    for (std::size_t end = 0; end != std::string_view::npos;) {
        const auto start = end == 0 ? 0 : end + 1;
        end = path.find('/', start);
        const std::string part(path.substr(start, end - start));
        const int parent = at ? at.get() : target_;
        auto next = os::open_beneath(parent, part, O_PATH | O_DIRECTORY, kBeneath);
        if (!next && next.error().sys_errno == ENOENT) {
            if (::mkdirat(parent, part.c_str(), 0700) < 0)
                return fail_errno("make its folder");
            folders_[std::string(path.substr(0, end))] = Metadata{};
            next = os::open_beneath(parent, part, O_PATH | O_DIRECTORY, kBeneath);
        }
        at = TRY(std::move(next));
    }
    return at;
}

// Takes away what is there already.
Result<void> TreeWriter::make_way(int parent, const EntryName& name) {
    const std::string leaf(name.leaf());
    ++replaced_;
    if (::unlinkat(parent, leaf.c_str(), 0) == 0)
        return {};
    if (errno != EISDIR && errno != EPERM)
        return fail_errno("replace what was there");
    recent_.clear(); // some may lie in it; and `parent` is gone with them
    const int again = TRY(open_parent(name));
    TRY(remove_tree(again, leaf));
    folders_.erase(name.path);
    const auto below = name.path + "/";
    const auto first = folders_.lower_bound(below);
    folders_.erase(first, std::find_if(first, folders_.end(),
                                       [&](const auto& folder) { return !folder.first.starts_with(below); }));
    return {};
}

Result<void> TreeWriter::folder(const EntryName& name, const Metadata& metadata) {
    if (!name.path.empty()) {
        const std::string leaf(name.leaf());
        int parent = TRY(open_parent(name));
        if (::mkdirat(parent, leaf.c_str(), 0700) < 0) {
            if (errno != EEXIST)
                return fail_errno("make the folder");
            struct stat info{};
            if (::fstatat(parent, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0)
                return fail_errno("look at what was there");
            if (!S_ISDIR(info.st_mode)) {
                TRY(make_way(parent, name));
                parent = TRY(open_parent(name));
                if (::mkdirat(parent, leaf.c_str(), 0700) < 0)
                    return fail_errno("make the folder");
            }
        }
    }
    folders_[name.path] = metadata;
    return {};
}

Result<void> TreeWriter::symlink(const EntryName& name, const std::string& target, const Metadata& metadata) {
    const std::string leaf(name.leaf());
    int parent = TRY(open_parent(name));
    if (::symlinkat(target.c_str(), parent, leaf.c_str()) < 0) {
        if (errno != EEXIST)
            return fail_errno("make the link");
        TRY(make_way(parent, name));
        parent = TRY(open_parent(name));
        if (::symlinkat(target.c_str(), parent, leaf.c_str()) < 0)
            return fail_errno("make the link");
    }
    return give(parent, leaf.c_str(), metadata);
}

Result<void> TreeWriter::hard_link(const EntryName& name, const EntryName& to) {
    if (name.path == to.path)
        return {};
    const std::string leaf(name.leaf()), to_leaf(to.leaf());
    // Not one of our cached folders: resolving must not make what is missing.
    UniqueFd other;
    if (!to.parent().empty()) {
        auto opened = os::open_beneath(target_, std::string(to.parent()), O_PATH | O_DIRECTORY, kBeneath);
        if (!opened)
            return fail_errno("find '" + printable(to.path) + "', which it is a link to", opened.error().sys_errno);
        other = std::move(*opened);
    }
    const int from = other ? other.get() : target_;
    struct stat info{};
    if (::fstatat(from, to_leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_errno("find '" + printable(to.path) + "', which it is a link to");
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode))
        return fail(ErrorKind::invalid, "it is a hard link to '" + printable(to.path) + "', which is no file");
    int parent = TRY(open_parent(name));
    if (::linkat(from, to_leaf.c_str(), parent, leaf.c_str(), 0) == 0) // flag 0: a symlink is linked, not followed
        return {};
    if (errno != EEXIST)
        return fail_errno("link it to '" + printable(to.path) + "'");
    struct stat there{};
    if (::fstatat(parent, leaf.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == info.st_ino)
        return {};
    TRY(make_way(parent, name));
    parent = TRY(open_parent(name));
    if (::linkat(from, to_leaf.c_str(), parent, leaf.c_str(), 0) < 0)
        return fail_errno("link it to '" + printable(to.path) + "'");
    return {};
}

Result<UniqueFd> TreeWriter::file(const EntryName& name) {
    constexpr int kCreate = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const std::string leaf(name.leaf());
    int parent = TRY(open_parent(name));
    auto made = os::open_at(parent, leaf, kCreate, 0600);
    if (!made && made.error().sys_errno == EEXIST) {
        TRY(make_way(parent, name));
        parent = TRY(open_parent(name));
        made = os::open_at(parent, leaf, kCreate, 0600);
    }
    return made;
}

Result<UniqueFd> TreeWriter::reopen(const EntryName& name) {
    const int parent = TRY(open_parent(name));
    return os::open_beneath(parent, std::string(name.leaf()), O_WRONLY | O_TRUNC | O_NOFOLLOW, kBeneath);
}

Result<ino_t> TreeWriter::seal(int file, const Metadata& metadata) {
    struct stat info{};
    if (::fstat(file, &info) < 0)
        return fail_errno("look at what was written");
    if (!metadata.xattrs.empty())
        with_xattrs_.insert(info.st_ino);
    TRY(give(file, nullptr, metadata));
    return info.st_ino;
}

Result<void> TreeWriter::set_xattrs(int fd, const Metadata& metadata) {
    for (const auto& [name, value] : metadata.xattrs) {
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0)
            continue;
        if (errno != ENOTSUP && errno != ENOSPC && errno != E2BIG && errno != ERANGE)
            return fail_errno("set its attribute '" + printable(name) + "'");
        ++tamed_xattrs_; // this filesystem has no place for it
    }
    return {};
}

// `name` is null for the file behind `fd`; else a symlink in the folder `fd`.
Result<void> TreeWriter::own(int fd, const char* name, const Metadata& metadata) {
    if (owners_ == Owners::ours)
        return {};
    constexpr auto kSame = static_cast<std::uint32_t>(-1);
    const auto known = [](std::int64_t id) { return id >= 0 && id < kSame; };
    const auto change = [&](uid_t uid, gid_t gid) {
        return name ? ::fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) : ::fchown(fd, uid, gid);
    };
    bool tamed = !known(metadata.uid) || !known(metadata.gid);
    const auto uid = known(metadata.uid) ? static_cast<uid_t>(metadata.uid) : 0;
    const auto gid = known(metadata.gid) ? static_cast<gid_t>(metadata.gid) : 0;
    if ((uid != own_uid_ || gid != own_gid_) && change(uid, gid) < 0) {
        if (errno != EINVAL && errno != EOVERFLOW)
            return fail_errno("give it its owner " + std::to_string(uid) + ":" + std::to_string(gid));
        tamed = true; // one of the two is not in our user namespace
        if ((change(uid, kSame) < 0 && change(0, kSame) < 0) || (change(kSame, gid) < 0 && change(kSame, 0) < 0))
            return fail_errno("give it the owner 0");
    }
    tamed_owners_ += tamed ? 1 : 0;
    return {};
}

// Owner before mode, since chown(2) clears bits; the time last.
Result<void> TreeWriter::give(int fd, const char* name, const Metadata& metadata) {
    TRY(own(fd, name, metadata));
    const struct timespec times[2] = {metadata.mtime, metadata.mtime};
    if (name) {
        if (::utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
            return fail_errno("set its time");
        return {};
    }
    TRY(set_xattrs(fd, metadata));
    if (::fchmod(fd, metadata.mode) < 0)
        return fail_errno("set its mode");
    if (::futimens(fd, times) < 0)
        return fail_errno("set its time");
    return {};
}

// Gives the folders what they were to have, from the inside out, and notes everything as it is now.
class TreeWriter::Finisher : public Visitor {
public:
    Finisher(TreeWriter& writer, const std::unordered_map<ino_t, Digest>& digests)
        : writer_(writer), digests_(digests) {}

    Result<void> enter(const Node& node, int fd) override {
        (void) fd;
        open_.push_back(records_.size());
        records_.push_back(record_of(node.path, node.info));
        return {};
    }
    Result<void> leave(const Node& node, int fd) override {
        const auto found = writer_.folders_.find(node.path);
        if (found == writer_.folders_.end())
            return fail(ErrorKind::system, "folder " + quoted(node.path) + ": somebody else writes here");
        if (auto given = writer_.give(fd, nullptr, found->second); !given)
            return std::unexpected(std::move(given).error().within("folder " + quoted(node.path)));
        struct stat info{};
        if (::fstat(fd, &info) < 0)
            return fail_errno("look at " + quoted(node.path));
        auto& record = records_[open_.back()];
        open_.pop_back();
        record = record_of(node.path, info);
        record.xattrs = TRY(kept_xattrs(fd, found->second));
        return {};
    }
    Result<void> leaf(const Node& node) override {
        auto record = record_of(node.path, node.info);
        const auto [first, is_first] = first_.try_emplace(node.info.st_ino, node.path);
        if (!is_first) {
            record.type = Type::hard_link;
            record.target = first->second;
        } else if (record.type == Type::symlink) {
            record.target = TRY(read_link(node));
        } else {
            const auto digest = digests_.find(node.info.st_ino);
            if (!S_ISREG(node.info.st_mode) || digest == digests_.end())
                return fail(ErrorKind::system, quoted(node.path) + ": somebody else writes here");
            record.digest = digest->second;
            if (writer_.with_xattrs_.contains(node.info.st_ino)) {
                const auto fd = TRY(os::open_at(node.folder, node.name, O_RDONLY | O_NOFOLLOW));
                record.xattrs = TRY(read_xattrs(fd.get()));
            }
        }
        records_.push_back(std::move(record));
        return {};
    }
    Result<void> problem(const std::string& path, Error error) override {
        return std::unexpected(std::move(error).within(quoted(path)));
    }
    std::vector<Record> take() { return std::move(records_); }

private:
    static Result<Xattrs> kept_xattrs(int fd, const Metadata& metadata) {
        return metadata.xattrs.empty() ? Result<Xattrs>(Xattrs{}) : read_xattrs(fd);
    }

    TreeWriter& writer_;
    const std::unordered_map<ino_t, Digest>& digests_;
    std::vector<Record> records_;
    std::vector<std::size_t> open_;
    std::unordered_map<ino_t, std::string> first_;
};

Result<std::vector<Record>> TreeWriter::finish(const std::unordered_map<ino_t, Digest>& digests) {
    recent_.clear();
    Finisher finisher(*this, digests);
    TRY(walk(target_, limits_.depth + 1, finisher));
    return finisher.take();
}

} // namespace squish::archive
