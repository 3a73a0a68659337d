#include "keeper/listeners.h"

#include "os/socket.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <poll.h>

namespace squish::keeper {

namespace {

constexpr auto kRetry = std::chrono::milliseconds(100);

// An event may be one of an older descriptor with the same number.
bool is_unused(int listener) {
    pollfd asked{listener, 0, 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLHUP | POLLERR));
}

} // namespace

void Listeners::add(std::uint64_t key, UniqueFd listener) {
    const int fd = listener.get();
    if (listeners_.size() >= kMost) {
        if (!full_)
            std::fprintf(stderr, "more than %zu listeners: sysinfo(2) is not answered in further containers\n", kMost);
        full_ = true;
        return;
    }
    full_ = false;
    if (const auto added = loop_->add(fd, [this, fd](std::uint32_t) { on_gone(fd); }, 0); !added) {
        std::fprintf(stderr, "cannot keep a listener: %s\n", added.error().message.c_str());
        return;
    }
    listeners_.emplace(fd, Listener{key, std::move(listener)});
    unsent_.insert(fd);
    deliver();
}

void Listeners::on_gone(int fd) {
    if (!listeners_.contains(fd) || !is_unused(fd))
        return;
    loop_->remove(fd);
    unsent_.erase(fd);
    listeners_.erase(fd);
}

void Listeners::serve_through(UniqueFd socket) {
    leave_server();
    server_ = std::move(socket);
    unsent_.clear();
    for (const auto& [fd, listener] : listeners_)
        unsent_.insert(unsent_.end(), fd);
    deliver();
}

void Listeners::leave_server() {
    if (server_ && loop_->has(server_.get()))
        loop_->remove(server_.get());
    server_.reset();
}

void Listeners::on_server(std::uint32_t) {
    if (!server_ || !loop_->has(server_.get()))
        return;
    loop_->remove(server_.get());
    deliver();
}

void Listeners::deliver() {
    while (server_ && !unsent_.empty()) {
        const auto& listener = listeners_.at(*unsent_.begin());
        const int fd = listener.fd.get();
        const auto sent = os::send_message(server_.get(), wire::Writer().u64(listener.key).bytes(), {&fd, 1});
        if (sent) {
            unsent_.erase(fd);
            continue;
        }
        const int error = sent.error().sys_errno;
        if (error == EAGAIN) {
            if (loop_->has(server_.get()) ||
                loop_->add(server_.get(), [this](std::uint32_t events) { on_server(events); }, EPOLLOUT))
                return;
        }
        if (error != EAGAIN && error != ETOOMANYREFS && error != ENOBUFS && error != ENOMEM)
            return leave_server(); // it has ended: the next one gets all of them
        // Too many descriptors of this user are on their way (unix(7)): nothing tells when there are fewer.
        if (!retrying_)
            loop_->after(kRetry, [this] {
                retrying_ = false;
                deliver();
            });
        retrying_ = true;
        return;
    }
}

} // namespace squish::keeper
