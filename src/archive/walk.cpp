#include "archive/walk.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <vector>

namespace squish::archive {

namespace {

struct CloseFolder {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

Result<std::vector<std::string>> sorted_names(DIR* folder) {
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const auto* entry = ::readdir(folder);
        if (!entry) {
            if (errno != 0)
                return fail_errno("list");
            break;
        }
        const std::string_view name(entry->d_name);
        if (name != "." && name != "..")
            names.emplace_back(name);
    }
    std::ranges::sort(names);
    return names;
}

class Walker {
public:
    Walker(std::size_t max_depth, Visitor& visitor) : max_depth_(max_depth), visitor_(visitor) {}

    Result<void> folder(int parent, const char* name, std::size_t depth) {
        if (depth > max_depth_)
            return visitor_.problem(
                path_, Error{ErrorKind::invalid, "deeper than " + std::to_string(max_depth_) + " folders", "", 0});
        auto opened = open_folder(parent, name);
        if (!opened)
            return visitor_.problem(path_, std::move(opened).error());
        const auto open = std::move(*opened);
        const int fd = ::dirfd(open.get());
        struct stat info{};
        if (fd < 0 || ::fstat(fd, &info) < 0)
            return visitor_.problem(path_, fail_errno("look at it").error());
        TRY(visitor_.enter({path_, name, parent, info}, fd));
        auto names = sorted_names(open.get());
        if (!names)
            return visitor_.problem(path_, std::move(names).error());
        const auto length = path_.size();
        for (const auto& child : *names) {
            if (length > 0)
                path_ += '/';
            path_ += child;
            TRY(entry(fd, child.c_str(), depth));
            path_.resize(length);
        }
        return visitor_.leave({path_, name, parent, info}, fd);
    }

private:
    static Result<Folder> open_folder(int parent, const char* name) {
        auto fd = TRY(os::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        Folder opened(::fdopendir(fd.get()));
        if (!opened)
            return fail_errno("open the folder");
        (void) fd.release();
        return opened;
    }

    Result<void> entry(int parent, const char* name, std::size_t depth) {
        struct stat info{};
        if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
            return visitor_.problem(path_, fail_errno("look at it").error());
        if (S_ISDIR(info.st_mode))
            return folder(parent, name, depth + 1);
        return visitor_.leaf({path_, name, parent, info});
    }

    std::size_t max_depth_;
    Visitor& visitor_;
    std::string path_;
};

} // namespace

Result<void> walk(int root, std::size_t max_depth, Visitor& visitor) {
    return Walker(max_depth, visitor).folder(root, ".", 0);
}

std::string quoted(const std::string& path) {
    return "'" + (path.empty() ? std::string(".") : printable(path)) + "'";
}

} // namespace squish::archive
