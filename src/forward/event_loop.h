// One thread, one epoll: who is ready gets its turn.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <memory>
#include <sys/epoll.h>
#include <vector>

namespace squish::forward {

// Something with one or two descriptors in the loop.
class Watcher {
public:
    Watcher() = default;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    virtual ~Watcher() = default;

    // `tag` says which descriptor (0 or 1); `events` are EPOLL* bits, 0 where the watcher itself asked for a turn.
    virtual void on_ready(unsigned tag, std::uint32_t events) = 0;
};

class EventLoop {
public:
    [[nodiscard]] static Result<EventLoop> create();

    // The watcher must outlive its watching: forget() it, or close the descriptor where nobody else holds a copy.
    [[nodiscard]] Result<void> watch(int fd, std::uint32_t events, Watcher& watcher, unsigned tag = 0);
    void forget(int fd);

    // Gives the watcher another turn (events 0) after everybody else has had theirs.
    void turn_again(Watcher& watcher);
    // Takes a watcher that has closed its descriptors, and destroys it when no event of this round can name it any
    // more. on_ready may still be called once; it must do nothing then.
    void retire(std::unique_ptr<Watcher> watcher);

    // Until stop(); an error only where epoll itself fails.
    [[nodiscard]] Result<void> run();
    void stop() { stopped_ = true; }

private:
    explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}

    UniqueFd epoll_;
    std::vector<Watcher*> again_;
    std::vector<std::unique_ptr<Watcher>> retired_;
    bool stopped_ = false;
};

} // namespace squish::forward
