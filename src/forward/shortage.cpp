#include "forward/shortage.h"

#include "forward/port.h"

#include <algorithm>
#include <fcntl.h>

namespace squish::forward {

namespace {
constexpr std::chrono::milliseconds kRetry(100);
}

Result<std::unique_ptr<Shortage>> Shortage::create(EventLoop& loop, int highest_fd) {
    std::unique_ptr<Shortage> shortage(new Shortage(highest_fd));
    shortage->timer_ = TRY(Timer::create(loop, [self = shortage.get()] { self->retry(); }));
    return shortage;
}

bool Shortage::is_shortage(int error_number) {
    return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS || error_number == ENOMEM;
}

void Shortage::wait(Port& port) {
    if (std::ranges::find(waiting_, &port) == waiting_.end())
        waiting_.push_back(&port);
    timer_->arm(kRetry);
}

void Shortage::forget(Port& port) {
    std::erase(waiting_, &port);
}

void Shortage::freed() {
    tight_ = false;
    if (waiting_.empty())
        return;
    Port* port = waiting_.front();
    waiting_.pop_front();
    port->resume();
}

void Shortage::retry() {
    if (waiting_.empty())
        return;
    const UniqueFd lowest(::fcntl(timer_->fd(), F_DUPFD_CLOEXEC, 0)); // the number that the next connection would get
    if (!lowest || lowest.get() + 2 >= highest_fd_) {
        timer_->arm(kRetry);
        return;
    }
    for (auto count = waiting_.size(); count > 0; --count)
        freed();
}

} // namespace squish::forward
