#include "engine/oom_watch.h"

#include "os/file.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstring>
#include <sys/inotify.h>

namespace squish {

OomWatch::OomWatch(const asio::any_io_executor& executor, std::function<void(const std::string& id)> changed)
    : executor_(executor), changed_(std::move(changed)) {}

Result<void> OomWatch::add(const std::string& id, int cgroup) {
    if (!inotify_) {
        UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!fd)
            return fail_errno("inotify_init1");
        inotify_ = std::make_shared<asio::posix::stream_descriptor>(executor_, fd.release());
        asio::co_spawn(executor_, read_loop(inotify_, alive_), asio::detached);
    }
    const auto path = os::fd_path(cgroup) + "/memory.events";
    const int watch = ::inotify_add_watch(inotify_->native_handle(), path.c_str(), IN_MODIFY);
    if (watch < 0)
        return fail_errno("watch memory.events");
    ids_[watch] = id;
    return {};
}

void OomWatch::remove(const std::string& id) {
    for (auto at = ids_.begin(); at != ids_.end();) {
        if (at->second == id) {
            ::inotify_rm_watch(inotify_->native_handle(),
                               at->first); // fails where the file is gone, and the watch with it
            at = ids_.erase(at);
        } else {
            ++at;
        }
    }
}

asio::awaitable<void> OomWatch::read_loop(std::shared_ptr<asio::posix::stream_descriptor> descriptor,
                                          std::weak_ptr<OomWatch*> self) {
    for (;;) {
        const auto [error] = co_await descriptor->async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
        const auto alive = self.lock();
        if (error || !alive)
            co_return;
        (*alive)->on_readable();
    }
}

void OomWatch::on_readable() {
    alignas(inotify_event) char buffer[4096];
    for (;;) {
        const auto got = ::read(inotify_->native_handle(), buffer, sizeof buffer);
        if (got <= 0)
            return;
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
            inotify_event event{};
            std::memcpy(&event, buffer + at, sizeof event);
            at += sizeof event + event.len;
            const auto found = ids_.find(event.wd);
            if (found == ids_.end())
                continue;
            if (event.mask & IN_IGNORED)
                ids_.erase(found);
            else
                changed_(std::string(found->second)); // a copy: the listener may remove it
        }
    }
}

} // namespace squish
