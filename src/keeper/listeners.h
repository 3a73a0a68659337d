// The seccomp listeners of all cells (seccomp_unotify(2)), and the one server that answers them.
//
// How this works
//   init installs a filter and sends us the listener (launch/format.h, `notify`). We keep a copy as long as a process
//   with that filter lives (EPOLLHUP, Linux 5.9) and send each to the server once. A server that was killed takes only
//   its own copies along: the next one is sent all of them again, and a call that waits for its answer goes on waiting.
//   We never read from a listener, and never wait for the server: what does not fit into its socket waits here.
#pragma once

#include "base/unique_fd.h"
#include "keeper/loop.h"
#include "wire/keeper_protocol.h"

#include <cstdint>
#include <map>
#include <set>

namespace squish::keeper {

class Listeners {
public:
    // One per container and one per exec; and those that are left by what an exec started and left behind.
    static constexpr std::size_t kMost = 4 * wire::kMaxContainers;

    explicit Listeners(Loop& loop) : loop_(&loop) {}
    Listeners(const Listeners&) = delete;
    Listeners& operator=(const Listeners&) = delete;
    // Of the view `key`. Beyond kMost it is closed: sysinfo(2) fails there with ENOSYS.
    void add(std::uint64_t key, UniqueFd listener);
    // A server that was just started gets all of them through this socket, which does not block.
    void serve_through(UniqueFd socket);
    [[nodiscard]] std::size_t count() const { return listeners_.size(); }

private:
    struct Listener {
        std::uint64_t key;
        UniqueFd fd;
    };
    void on_gone(int fd);
    void on_server(std::uint32_t events);
    void deliver();
    void leave_server();

    Loop* loop_;
    std::map<int, Listener> listeners_; // by descriptor
    std::set<int> unsent_;              // of these, those that the server does not have yet
    UniqueFd server_;                   // is in the loop while something waits for room in it
    bool retrying_ = false;
    bool full_ = false;
};

} // namespace squish::keeper
