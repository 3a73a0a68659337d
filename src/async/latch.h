// Something that coroutines wait for, at most until a deadline.
#pragma once

#include "async/task.h"

#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace squish {

// One-shot: once open, it stays open, and waiting returns at once. The event loop must outlive it.
class Latch {
public:
    explicit Latch(const asio::any_io_executor& executor) : timer_(executor) {
        timer_.expires_at(std::chrono::steady_clock::time_point::max());
    }
    void open() {
        open_ = true;
        timer_.cancel();
    }
    [[nodiscard]] bool is_open() const { return open_; }
    asio::awaitable<void> wait() {
        while (!open_)
            co_await timer_.async_wait(kAwait);
    }
    // False where the deadline passed first. For a single waiter.
    asio::awaitable<bool> wait_for(std::chrono::milliseconds limit) {
        if (!open_) {
            timer_.expires_after(limit);
            if (!open_)
                co_await timer_.async_wait(kAwait);
        }
        co_return open_;
    }

private:
    asio::steady_timer timer_;
    bool open_ = false;
};

} // namespace squish
