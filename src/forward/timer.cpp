#include "forward/timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

namespace squish::forward {

Result<std::unique_ptr<Timer>> Timer::create(EventLoop& loop, std::function<void()> expired) {
    UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!fd)
        return fail_errno("timerfd_create");
    std::unique_ptr<Timer> timer(new Timer(std::move(fd), std::move(expired)));
    TRY(loop.watch(timer->fd_.get(), EPOLLIN, *timer));
    return timer;
}

void Timer::arm(std::chrono::milliseconds after) {
    if (armed_)
        return;
    itimerspec when{};
    when.it_value.tv_sec = after.count() / 1000;
    when.it_value.tv_nsec = after.count() % 1000 * 1'000'000 + 1; // all zero would disarm
    armed_ = ::timerfd_settime(fd_.get(), 0, &when, nullptr) == 0;
}

void Timer::on_ready(unsigned /*tag*/, std::uint32_t /*events*/) {
    std::uint64_t count = 0;
    if (::read(fd_.get(), &count, sizeof count) != static_cast<ssize_t>(sizeof count))
        return;
    armed_ = false;
    expired_();
}

} // namespace squish::forward
