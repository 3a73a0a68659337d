// A timer in the event loop (timerfd_create(2)), in milliseconds.
#pragma once

#include "forward/event_loop.h"

#include <chrono>
#include <functional>

namespace squish::forward {

class Timer final : public Watcher {
public:
    // `expired` is called once after each arm(), from the loop.
    [[nodiscard]] static Result<std::unique_ptr<Timer>> create(EventLoop& loop, std::function<void()> expired);

    // Does nothing where it is armed already.
    void arm(std::chrono::milliseconds after);
    [[nodiscard]] int fd() const { return fd_.get(); }
    void on_ready(unsigned tag, std::uint32_t events) override;

private:
    Timer(UniqueFd fd, std::function<void()> expired) : fd_(std::move(fd)), expired_(std::move(expired)) {}
    UniqueFd fd_;
    std::function<void()> expired_;
    bool armed_ = false;
};

} // namespace squish::forward
