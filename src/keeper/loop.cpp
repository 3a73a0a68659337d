#include "keeper/loop.h"

#include <algorithm>
#include <cerrno>

namespace squish::keeper {

Result<Loop> Loop::make() {
    Loop loop;
    loop.epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!loop.epoll_)
        return fail_errno("epoll_create");
    return loop;
}

Result<void> Loop::add(int fd, Handler handler, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0)
        return fail_errno("epoll_ctl");
    handlers_[fd] = std::make_shared<Handler>(std::move(handler));
    return {};
}

void Loop::remove(int fd) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    handlers_.erase(fd);
}

void Loop::want(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::after(std::chrono::milliseconds delay, std::function<void()> action) {
    later_.emplace(Clock::now() + delay, std::move(action));
}

// Until the next thing that is to be done, rounded up.
int Loop::shortened(int timeout_ms) const {
    if (later_.empty())
        return timeout_ms;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(later_.begin()->first - Clock::now()).count();
    const int until = static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
    return timeout_ms < 0 ? until : std::min(timeout_ms, until);
}

void Loop::act() {
    const auto now = Clock::now();
    while (!stopping_ && !later_.empty() && later_.begin()->first <= now) {
        const auto next = later_.extract(later_.begin());
        next.mapped()();
    }
}

bool Loop::turn(int timeout_ms) {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, 64, shortened(timeout_ms));
    if (count < 0 && errno != EINTR)
        return false;
    for (int i = 0; i < count && !stopping_; ++i) {
        const auto found = handlers_.find(events[i].data.fd);
        if (found == handlers_.end())
            continue;                       // an earlier handler of this round removed it
        const auto handler = found->second; // stays alive while it runs, even if it removes itself
        (*handler)(events[i].events);
    }
    act();
    return true;
}

} // namespace squish::keeper
