#include "forward/event_loop.h"

#include <algorithm>
#include <array>

namespace squish::forward {

namespace {
constexpr std::size_t kEventsPerRound = 256;
constexpr std::uint64_t kTagMask = 1; // a watcher is aligned: the lowest bit of its address is free
static_assert(alignof(Watcher) >= 2);
} // namespace

Result<EventLoop> EventLoop::create() {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll)
        return fail_errno("epoll_create1");
    return EventLoop(std::move(epoll));
}

Result<void> EventLoop::watch(int fd, std::uint32_t events, Watcher& watcher, unsigned tag) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = reinterpret_cast<std::uint64_t>(&watcher) | (tag & kTagMask);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0)
        return fail_errno("epoll_ctl");
    return {};
}

void EventLoop::forget(int fd) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::turn_again(Watcher& watcher) {
    if (std::ranges::find(again_, &watcher) == again_.end())
        again_.push_back(&watcher);
}

void EventLoop::retire(std::unique_ptr<Watcher> watcher) {
    std::erase(again_, watcher.get());
    retired_.push_back(std::move(watcher));
}

Result<void> EventLoop::run() {
    std::array<epoll_event, kEventsPerRound> events;
    std::vector<Watcher*> turns;
    while (!stopped_) {
        const int count =
            ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), again_.empty() ? -1 : 0);
        if (count < 0 && errno != EINTR)
            return fail_errno("epoll_wait");
        // Those that are owed a turn come after those that just became ready; who asks again now waits for the next
        // round.
        turns.clear();
        std::swap(turns, again_);
        for (int i = 0; i < count; ++i) {
            const auto data = events[static_cast<std::size_t>(i)].data.u64;
            auto* watcher = reinterpret_cast<Watcher*>(data & ~kTagMask);
            watcher->on_ready(static_cast<unsigned>(data & kTagMask), events[static_cast<std::size_t>(i)].events);
        }
        for (auto* watcher : turns)
            watcher->on_ready(0, 0);
        // `turns` may name retired ones until here, `again_` and `events` no longer do.
        retired_.clear();
    }
    return {};
}

} // namespace squish::forward
