#include "logs/log_watch.h"

#include "base/text.h"

#include <array>
#include <cerrno>
#include <sys/inotify.h>
#include <unistd.h>

namespace squish {

Result<LogWatch> LogWatch::open(std::span<const std::string> paths) {
    UniqueFd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!events)
        return fail_errno("inotify_init1", errno,
                          errno == EMFILE ? "raise fs.inotify.max_user_instances (sysctl)" : "");
    for (const auto& path : paths)
        if (::inotify_add_watch(events.get(), path.c_str(), IN_MODIFY) < 0)
            return fail_errno("watch '" + printable(path) + "'", errno,
                              errno == ENOSPC ? "raise fs.inotify.max_user_watches (sysctl)" : "");
    return LogWatch(std::move(events));
}

void LogWatch::clear() {
    std::array<char, 4096> buffer;
    while (::read(events_.get(), buffer.data(), buffer.size()) > 0 || errno == EINTR) {
    }
}

} // namespace squish
