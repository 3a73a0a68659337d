#include "archive/remove.h"

#include "base/text.h"
#include "base/unique_fd.h"
#include "os/file.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::archive {

namespace {

struct CloseFolder {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

// A folder that we may list and write to, made so where it is not.
Result<UniqueFd> open_own(int parent, const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    auto fd = os::open_at(parent, name, kFlags);
    if (!fd && fd.error().sys_errno == EACCES) {
        // fchmodat(2) has no "do not follow", so the file is looked at first; a link in its place between the two
        // would need somebody who writes to the tree meanwhile.
        struct stat info{};
        if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode) &&
            ::fchmodat(parent, name.c_str(), 0700, 0) == 0)
            fd = os::open_at(parent, name, kFlags);
    }
    if (fd && ::fchmod(fd->get(), 0700) < 0 && errno != EPERM)
        return fail_errno("make '" + printable(name) + "' writable");
    return fd;
}

class Remover {
public:
    explicit Remover(int top) : top_(top) {}

    Result<void> run() {
        for (;;) {
            const auto names = TRY(list_names(top_));
            if (names.empty())
                return {};
            for (const auto& name : names)
                if (TRY(is_folder_after_unlink(top_, name)))
                    TRY(empty_folder(name));
        }
    }

private:
    // Removes what is no folder.
    static Result<bool> is_folder_after_unlink(int folder, const std::string& name) {
        if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT)
            return false;
        if (errno != EISDIR && errno != EPERM) // POSIX says EPERM for a folder, Linux EISDIR
            return fail_errno("remove '" + printable(name) + "'");
        struct stat info{};
        const int error = errno;
        if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(info.st_mode))
            return fail_errno("remove '" + printable(name) + "'", error);
        return true;
    }

    // A folder of the top: its files go, its folders move up.
    Result<void> empty_folder(const std::string& name) {
        if (::unlinkat(top_, name.c_str(), AT_REMOVEDIR) == 0)
            return {};
        const auto folder = TRY(open_own(top_, name));
        for (const auto& child : TRY(list_names(folder.get()))) {
            if (!TRY(is_folder_after_unlink(folder.get(), child)))
                continue;
            if (::unlinkat(folder.get(), child.c_str(), AT_REMOVEDIR) < 0)
                TRY(move_up(folder.get(), child));
        }
        if (::unlinkat(top_, name.c_str(), AT_REMOVEDIR) < 0)
            return fail_errno("remove '" + printable(name) + "'");
        return {};
    }

    Result<void> move_up(int folder, const std::string& child) {
        // A folder that moves to another one must be writable itself, since its ".." changes.
        TRY(open_own(folder, child));
        for (;;) {
            const auto name = "." + std::to_string(++counter_);
            if (::renameat2(folder, child.c_str(), top_, name.c_str(), RENAME_NOREPLACE) == 0)
                return {};
            if (errno != EEXIST)
                return fail_errno("move '" + printable(child) + "'");
        }
    }

    int top_;
    std::uint64_t counter_ = 0;
};

} // namespace

Result<std::vector<std::string>> list_names(int folder) {
    auto fd = TRY(os::open_at(folder, ".", O_RDONLY | O_DIRECTORY)); // an own position in the list
    const std::unique_ptr<DIR, CloseFolder> opened(::fdopendir(fd.get()));
    if (!opened)
        return fail_errno("list a folder");
    (void) fd.release();
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const auto* entry = ::readdir(opened.get());
        if (!entry && errno != 0)
            return fail_errno("list a folder");
        if (!entry)
            return names;
        const std::string_view name(entry->d_name);
        if (name != "." && name != "..")
            names.emplace_back(name);
    }
}

Result<void> remove_tree(int parent, const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.contains('/'))
        return fail(ErrorKind::invalid, "'" + printable(name) + "' is no name of a folder");
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT)
        return {};
    if (errno != EISDIR && errno != EPERM)
        return fail_errno("remove '" + printable(name) + "'");
    const auto top = TRY(open_own(parent, name));
    TRY(Remover(top.get()).run());
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) < 0)
        return fail_errno("remove '" + printable(name) + "'");
    return {};
}

} // namespace squish::archive
