// One connection: a client's socket, a socket into the container, and the bytes between them.
//
// How this works
//
// Both sockets are in the loop, edge-triggered, for the connection's whole life; what is known about them is kept in
// `readable` and `writable`, which an edge sets and EAGAIN clears. Each direction is a Flow:
//
//     socket ──splice──▶ pipe ──splice──▶ socket
//
//  * A flow fills its pipe only when it is empty, so EAGAIN from the filling end always means "nothing to read" and
//    never "the pipe is full"; and an empty pipe goes back to the pool. A receiver that is slow leaves at most one
//    pipe filled; then nothing is read any more, the sender's window closes, and the back-pressure is the kernel's.
//  * End of data (FIN) on one side, once the pipe has drained, becomes shutdown(SHUT_WR) on the other. The other
//    direction goes on. When both have ended, both sockets are closed and the kernel delivers the rest.
//  * An error on either side (RST, time-out, refused) ends both with a reset (SO_LINGER 0): a peer can tell a cut
//    from an end. What the failed side had sent before is still passed on first, as far as the receiver takes it.
//  * Where the pool has no pipe, bytes are copied: peeked at, sent, and only what was sent is taken from the socket,
//    so that nothing is held either. The same for urgent data, which stops splice(2) for good (tcp_read_sock); such a
//    byte travels in line (SO_OOBINLINE).
//  * A flow moves at most kTurnBytes before the others get their turn.
#pragma once

#include "forward/event_loop.h"
#include "forward/pipe_pool.h"
#include "forward/upstream.h"

#include <cstdint>
#include <list>
#include <memory>

namespace squish::forward {

// Figures of one published port. Bytes are counted when they are handed to the receiving socket.
struct PortStats {
    std::uint64_t accepted = 0;  // connections taken from the listener so far
    std::uint64_t failed = 0;    // of these, not connected to the container
    std::uint64_t open = 0;      // connections that exist now
    std::uint64_t bytes_in = 0;  // client to container
    std::uint64_t bytes_out = 0; // container to client
};

class Container;

class Relay final : public Watcher {
public:
    // `upstream` is connecting or connected. The container owns the relay and hears of its end.
    // Where nobody listens on `way.first`, the container is asked for another upstream, to `way.second`.
    Relay(EventLoop& loop, PipePool& pool, Container& container, UniqueFd client, UniqueFd upstream, Way way,
          std::shared_ptr<PortStats> stats);
    ~Relay() override;

    // Once, right after construction; where it fails, the relay has not started and is destroyed by its owner.
    [[nodiscard]] Result<void> start();
    // Resets both sides at once. The container is not told.
    void cut();

    [[nodiscard]] Way& way() { return way_; }
    [[nodiscard]] PortStats& stats() { return *stats_; }
    void on_ready(unsigned tag, std::uint32_t events) override;

    std::list<std::unique_ptr<Relay>>::iterator place; // in the owner's list

private:
    struct Side {
        UniqueFd fd;
        bool readable = false;
        bool writable = false;
        bool broken = false; // EPOLLERR was seen
        bool urgent = false; // EPOLLPRI was seen
    };
    struct Flow {
        Pipe pipe;
        std::size_t held = 0; // bytes in the pipe
        bool ended = false;   // end of data was read
        bool done = false;    // … and passed on
    };
    enum class Progress { waiting, wants_turn, failed };

    [[nodiscard]] bool finish_connect();
    [[nodiscard]] bool try_second();
    [[nodiscard]] Progress move(Flow& flow, Side& from, Side& to, std::uint64_t& counter);
    [[nodiscard]] ssize_t fill(Flow& flow, Side& from);
    [[nodiscard]] ssize_t copy(Flow& flow, Side& from, Side& to);
    void return_pipe(Flow& flow);
    void close_sockets();

    EventLoop& loop_;
    PipePool& pool_;
    Container& container_;
    Way way_;
    std::shared_ptr<PortStats> stats_;
    Side client_, upstream_;
    Flow in_, out_; // client to container, container to client
    bool connecting_ = true;
};

// Closes a TCP socket so that its peer sees a reset.
void reset_and_close(UniqueFd socket);

} // namespace squish::forward
