// The keeper's one epoll(7) instance: a handler for every descriptor, and what is to be done later.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <sys/epoll.h>

namespace squish::keeper {

class Loop {
public:
    using Handler = std::function<void(std::uint32_t events)>;

    [[nodiscard]] static Result<Loop> make();
    // The handler may be called once for an event of a closed descriptor of the same number.
    [[nodiscard]] Result<void> add(int fd, Handler handler, std::uint32_t events = EPOLLIN);
    void remove(int fd);
    [[nodiscard]] bool has(int fd) const { return handlers_.contains(fd); }
    // From now on the handler is called for these.
    void want(int fd, std::uint32_t events);
    void after(std::chrono::milliseconds delay, std::function<void()> action);
    // Waits at most so long (-1: for ever) for something to happen, and handles it. False where the kernel refuses.
    [[nodiscard]] bool turn(int timeout_ms);
    void stop() { stopping_ = true; }
    [[nodiscard]] bool is_stopping() const { return stopping_; }

private:
    using Clock = std::chrono::steady_clock;
    [[nodiscard]] int shortened(int timeout_ms) const;
    void act();

    UniqueFd epoll_;
    std::map<int, std::shared_ptr<Handler>> handlers_;
    std::multimap<Clock::time_point, std::function<void()>> later_;
    bool stopping_ = false;
};

} // namespace squish::keeper
