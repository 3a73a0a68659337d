#include "engine/base_rootfs.h"

#include "base/text.h"
#include "os/file.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace squish {

namespace fs = std::filesystem;

namespace {

// Links stay links, hard links become copies, times are kept by nobody: what counts is content and mode.
Result<void> copy_tree(const fs::path& from, const fs::path& to) {
    std::error_code error;
    fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    if (error)
        return fail_errno("copy '" + from.string() + "' to '" + to.string() + "'", error.value());
    // Folders are made under our umask, which is nobody's business in the container.
    fs::permissions(to, fs::status(from, error).permissions(), error);
    for (auto at = fs::recursive_directory_iterator(from, error); !error && at != fs::recursive_directory_iterator();
         at.increment(error))
        if (at->is_directory(error) && !at->is_symlink(error))
            fs::permissions(to / fs::relative(at->path(), from), at->status(error).permissions(), error);
    if (error)
        return fail_errno("copy the modes of '" + from.string() + "'", error.value());
    return {};
}

void remove_leftovers(const fs::path& folder) {
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        if (entry->path().filename().string().starts_with(".new-"))
            (void) os::remove_tree(entry->path());
}

} // namespace

Result<BaseRootfs> provide_base_rootfs(const Paths& paths) {
    auto text = os::read_file(paths.share + "/base.version");
    if (!text)
        return fail(ErrorKind::unavailable, "the built-in rootfs is missing: " + text.error().message,
                    "run ./setup.sh install, or name a rootfs layer (rootfs = true)");
    const auto version = std::string(trim(*text));
    const auto store = paths.data + "/rootfs";
    BaseRootfs base{store + "/base-" + version, version};
    if (::access(base.path.c_str(), F_OK) == 0)
        return base;
    TRY(os::make_dirs(store));
    // One at a time: whoever comes second finds the copy done.
    const auto lock = TRY(os::open_file(store + "/.lock", O_RDWR | O_CREAT, 0600));
    while (::flock(lock.get(), LOCK_EX) < 0)
        if (errno != EINTR)
            return fail_errno("lock '" + store + "'");
    if (::access(base.path.c_str(), F_OK) == 0)
        return base;
    remove_leftovers(store);
    const auto fresh = store + "/.new-" + random_hex(4);
    TRY(copy_tree(paths.share + "/base", fresh));
    // On disk before it gets its name: a power cut must not leave a rootfs of empty files.
    const auto folder = TRY(os::open_file(fresh, O_RDONLY | O_DIRECTORY));
    if (::syncfs(folder.get()) < 0)
        return fail_errno("write '" + fresh + "' to disk");
    std::error_code error;
    fs::rename(fresh, base.path, error);
    if (error)
        return fail_errno("rename to '" + base.path + "'", error.value());
    return base;
}

} // namespace squish
