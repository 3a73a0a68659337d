// Calls something once when the time is over, unless it has gone out of scope before.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace squish::nameserver {

class Deadline {
public:
    Deadline(const boost::asio::any_io_executor& executor, std::chrono::milliseconds limit, std::function<void()> over)
        : timer_(executor, limit), over_(std::make_shared<std::function<void()>>(std::move(over))) {
        // The handler may be on its way already when we end: it finds nobody then.
        timer_.async_wait([weak = std::weak_ptr(over_)](const boost::system::error_code& error) {
            const auto still = weak.lock();
            if (!error && still)
                (*still)();
        });
    }
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;
    ~Deadline() { timer_.cancel(); }

private:
    boost::asio::steady_timer timer_;
    std::shared_ptr<std::function<void()>> over_;
};

} // namespace squish::nameserver
