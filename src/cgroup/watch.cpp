#include "cgroup/watch.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/inotify.h>
#include <unistd.h>

namespace squish::cgroup {

Result<Watch> Watch::open() {
    UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify)
        return fail_errno("inotify_init", errno, "raise the limit: sysctl fs.inotify.max_user_instances (as root)");
    return Watch(std::move(inotify));
}

Result<void> Watch::add(const std::string& id, const ContainerCgroup& cgroup) {
    if (std::ranges::any_of(watched_, [&](const auto& entry) { return entry.second == id; }))
        return fail(ErrorKind::conflict, "the cgroup of container '" + printable(id) + "' is watched already");
    for (const auto* file : {"cgroup.events", "memory.events"}) {
        const auto opened = cgroup.payload().open_file(file, O_PATH);
        if (!opened && opened.error().sys_errno == ENOENT && std::strcmp(file, "memory.events") == 0)
            continue;
        if (!opened) {
            remove(id);
            return std::unexpected(opened.error());
        }
        const int watch =
            ::inotify_add_watch(inotify_.get(), os::fd_path(opened->get()).c_str(), IN_MODIFY | IN_MASK_CREATE);
        if (watch < 0) {
            const int error = errno;
            remove(id);
            return fail_errno("watch '" + printable(cgroup.path()) + "'", error,
                              "raise the limit: sysctl fs.inotify.max_user_watches (as root)");
        }
        watched_[watch] = id;
    }
    return {};
}

void Watch::remove(const std::string& id) {
    std::erase_if(watched_, [&](const auto& entry) {
        if (entry.second != id)
            return false;
        ::inotify_rm_watch(inotify_.get(), entry.first); // gone already where the cgroup is
        return true;
    });
}

Result<std::vector<std::string>> Watch::take() {
    std::set<std::string> ids;
    for (;;) {
        alignas(inotify_event) char buffer[4096];
        const auto count = ::read(inotify_.get(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            break;
        if (count <= 0)
            return fail_errno("read inotify");
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(count);) {
            inotify_event event{};
            std::memcpy(&event, buffer + at, sizeof event);
            at += sizeof event + event.len;
            if (event.mask & IN_Q_OVERFLOW)
                for (const auto& [watch, id] : watched_)
                    ids.insert(id);
            const auto found = watched_.find(event.wd);
            if (found == watched_.end())
                continue;
            ids.insert(found->second);
            if (event.mask & IN_IGNORED) // the kernel has removed it, and may use its number again
                watched_.erase(found);
        }
    }
    return std::vector<std::string>(ids.begin(), ids.end());
}

} // namespace squish::cgroup
