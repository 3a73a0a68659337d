// When there are no descriptors for another connection, and the ports that wait for some.
//
// The last descriptors are kept for control requests and what they bring: as soon as a connection's numbers come near
// the limit (the kernel gives out the lowest free ones), nobody accepts any more. A port that cannot accept stops
// watching its listener: clients wait in the kernel's backlog, nobody spins. It is woken when a connection has
// ended (one waiting port per connection, in turn), and at the latest after 100 ms, since other things are closed, too,
// and descriptors of the whole machine (ENFILE) are freed without our knowledge.
#pragma once

#include "forward/timer.h"

#include <deque>

namespace squish::forward {

class Port;

class Shortage {
public:
    // `highest_fd`: descriptors from here on are the kept ones.
    [[nodiscard]] static Result<std::unique_ptr<Shortage>> create(EventLoop& loop, int highest_fd);

    // True where no connection is to be accepted now.
    [[nodiscard]] bool is_tight() const { return tight_; }
    // The highest descriptor of a connection that was made.
    void note(int fd) { tight_ |= fd + 2 >= highest_fd_; }
    // True for the errors of accept(2) and socket(2) that pass when others have closed something.
    [[nodiscard]] static bool is_shortage(int error_number);

    void wait(Port& port);
    void forget(Port& port);
    void freed(); // a connection has ended

private:
    explicit Shortage(int highest_fd) : highest_fd_(highest_fd) {}
    void retry();
    int highest_fd_;
    bool tight_ = false;
    std::unique_ptr<Timer> timer_;
    std::deque<Port*> waiting_;
};

} // namespace squish::forward
