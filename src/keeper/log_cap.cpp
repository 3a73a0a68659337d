#include "keeper/log_cap.h"

#include "os/file.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::keeper {

Result<LogCap> LogCap::open() {
    LogCap cap;
    cap.inotify_ = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!cap.inotify_)
        return fail_errno("inotify_init");
    return cap;
}

Result<void> LogCap::watch(const std::string& owner, std::vector<UniqueFd> files, std::uint64_t limit) {
    for (auto& file : files) {
        const int watch = ::inotify_add_watch(inotify_.get(), os::fd_path(file.get()).c_str(), IN_MODIFY);
        if (watch < 0) {
            auto failed = fail_errno("watch a log file", errno, "raise sysctl fs.inotify.max_user_watches");
            forget(owner);
            return failed;
        }
        const auto& added = files_[watch] = File{owner, std::move(file), limit};
        trim(added);
    }
    return {};
}

void LogCap::forget(const std::string& owner) {
    std::erase_if(files_, [&](const auto& entry) {
        if (entry.second.owner != owner)
            return false;
        ::inotify_rm_watch(inotify_.get(), entry.first);
        return true;
    });
}

void LogCap::on_readable() {
    alignas(inotify_event) std::array<char, 16384> buffer;
    for (;;) {
        const auto got = ::read(inotify_.get(), buffer.data(), buffer.size());
        if (got <= 0)
            return;
        for (ssize_t at = 0; at < got;) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
            at += static_cast<ssize_t>(sizeof *event + event->len);
            if (event->mask & IN_Q_OVERFLOW) { // some growth was not told: look at all
                for (const auto& [watch, file] : files_)
                    trim(file);
            } else if (const auto found = files_.find(event->wd); found != files_.end()) {
                trim(found->second);
            }
        }
    }
}

// Keeps the newer half of the limit once the whole is exceeded, so that the work is done once per half.
void LogCap::trim(const File& file) {
    struct stat info{};
    if (::fstat(file.fd.get(), &info) < 0)
        return;
    const auto held = static_cast<std::uint64_t>(info.st_blocks) * 512;
    if (held <= file.limit)
        return;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    const std::uint64_t keep = file.limit / 2;
    const std::uint64_t cut = size > keep ? (size - keep) / 4096 * 4096 : 0;
    if (cut == 0)
        return;
    if (::fallocate(file.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(cut)) < 0 &&
        errno == EOPNOTSUPP)
        (void) !::ftruncate(file.fd.get(),
                            0); // a filesystem without holes: the cap is the promise, so the old text goes
}

} // namespace squish::keeper
