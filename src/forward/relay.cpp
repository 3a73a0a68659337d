#include "forward/relay.h"

#include "forward/container.h"

#include <array>
#include <fcntl.h>
#include <sys/socket.h>

namespace squish::forward {

namespace {

constexpr unsigned kClient = 0;
constexpr unsigned kUpstream = 1;
constexpr std::uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr std::size_t kTurnBytes = 1 << 20;
constexpr std::size_t kFillBytes = 1 << 20; // more than any pipe holds: the kernel stops where it is full
constexpr ssize_t kWouldBlock = -1;
constexpr ssize_t kFailed = -2;

ssize_t outcome(ssize_t result) {
    if (result >= 0)
        return result;
    return errno == EAGAIN ? kWouldBlock : kFailed;
}

template <class Call> ssize_t uninterrupted(Call call) {
    ssize_t result = 0;
    while ((result = call()) < 0 && errno == EINTR) {
    }
    return outcome(result);
}

// For the case without a pipe; one for all connections, its memory touched only when first needed.
std::array<char, 64 * 1024> copy_buffer;

} // namespace

void reset_and_close(UniqueFd socket) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Relay::Relay(EventLoop& loop, PipePool& pool, Container& container, UniqueFd client, UniqueFd upstream, Way way,
             std::shared_ptr<PortStats> stats)
    : loop_(loop), pool_(pool), container_(container), way_(std::move(way)), stats_(std::move(stats)) {
    client_.fd = std::move(client);
    upstream_.fd = std::move(upstream);
    ++stats_->open;
}

Relay::~Relay() {
    if (client_.fd)
        cut();
}

Result<void> Relay::start() {
    TRY(loop_.watch(client_.fd.get(), kEvents, *this, kClient));
    return loop_.watch(upstream_.fd.get(), kEvents, *this, kUpstream);
}

void Relay::cut() {
    reset_and_close(std::move(client_.fd));
    reset_and_close(std::move(upstream_.fd));
    close_sockets();
}

void Relay::close_sockets() {
    // Ours are the only copies: closing takes them out of the epoll, too.
    client_.fd.reset();
    upstream_.fd.reset();
    return_pipe(in_);
    return_pipe(out_);
    --stats_->open;
}

void Relay::return_pipe(Flow& flow) {
    if (flow.pipe.pages == 0)
        return;
    pool_.give_back(std::move(flow.pipe), container_.pipes(), flow.held == 0);
    flow.pipe = Pipe();
}

void Relay::on_ready(unsigned tag, std::uint32_t events) {
    if (!client_.fd)
        return; // cut in this very round
    Side& side = tag == kClient ? client_ : upstream_;
    side.readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    side.writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    side.broken |= (events & EPOLLERR) != 0;
    side.urgent |= (events & EPOLLPRI) != 0;

    if (connecting_ && !finish_connect())
        return;
    const Progress in = move(in_, client_, upstream_, stats_->bytes_in);
    const Progress out = move(out_, upstream_, client_, stats_->bytes_out);
    const bool wants_turn = in == Progress::wants_turn || out == Progress::wants_turn;
    const bool broken = client_.broken || upstream_.broken;
    if (in == Progress::failed || out == Progress::failed || (broken && !wants_turn)) {
        cut();
        container_.ended(*this);
    } else if (in_.done && out_.done) {
        close_sockets();
        container_.ended(*this);
    } else if (wants_turn) {
        loop_.turn_again(*this);
    }
}

// True once connected; otherwise the relay waits on, or has ended.
bool Relay::finish_connect() {
    bool refused = client_.broken;
    if (!refused) {
        if (!upstream_.writable)
            return false;
        int error = 0;
        socklen_t size = sizeof error;
        refused = ::getsockopt(upstream_.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) < 0;
        // Reset already, but after it was established (tcp_reset): there may be data to pass on before the cut.
        const bool reset = error == ECONNRESET || error == EPIPE;
        upstream_.broken |= reset;
        refused |= error != 0 && !reset;
        if (error == ECONNREFUSED && !client_.broken && try_second())
            return false;
    }
    if (refused) {
        ++stats_->failed;
        cut();
        container_.ended(*this);
        return false;
    }
    connecting_ = false;
    return true;
}

// The payload may listen on one family only.
bool Relay::try_second() {
    if (!way_.second)
        return false;
    way_.first = *std::exchange(way_.second, std::nullopt);
    auto upstream = container_.connect(way_);
    if (!upstream)
        return false;
    upstream_ = Side();
    upstream_.fd = std::move(*upstream);
    return loop_.watch(upstream_.fd.get(), kEvents, *this, kUpstream).has_value();
}

Relay::Progress Relay::move(Flow& flow, Side& from, Side& to, std::uint64_t& counter) {
    std::size_t moved = 0;
    while (!flow.done) {
        if (!to.writable)
            return Progress::waiting;
        ssize_t sent = 0;
        if (flow.held > 0) {
            sent = uninterrupted([&] {
                return ::splice(flow.pipe.reader.get(), nullptr, to.fd.get(), nullptr, flow.held,
                                SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            });
            if (sent == 0)
                return Progress::failed; // cannot be: the pipe holds bytes
            if (sent > 0)
                flow.held -= static_cast<std::size_t>(sent);
        } else if (flow.ended && from.broken) {
            return Progress::failed; // the peer must not take the cut for an end
        } else if (flow.ended) {
            return_pipe(flow);
            flow.done = true;
            return ::shutdown(to.fd.get(), SHUT_WR) < 0 ? Progress::failed : Progress::waiting;
        } else if (moved >= kTurnBytes) {
            return_pipe(flow);
            return from.readable ? Progress::wants_turn : Progress::waiting;
        } else if (!from.readable) {
            return_pipe(flow);
            return Progress::waiting;
        } else {
            if (flow.pipe.pages == 0 && !from.urgent)
                if (auto pipe = pool_.take(container_.pipes()))
                    flow.pipe = std::move(*pipe);
            if (flow.pipe.pages == 0 || from.urgent)
                sent = copy(flow, from, to);
            else if (fill(flow, from) == kFailed)
                return Progress::failed;
            else
                continue;
        }
        if (sent == kFailed)
            return Progress::failed;
        if (sent == kWouldBlock) {
            to.writable = false;
            continue;
        }
        counter += static_cast<std::uint64_t>(sent);
        moved += static_cast<std::size_t>(sent);
    }
    return Progress::waiting;
}

// Reads from the socket into the empty pipe.
ssize_t Relay::fill(Flow& flow, Side& from) {
    const ssize_t got = uninterrupted([&] {
        return ::splice(from.fd.get(), nullptr, flow.pipe.writer.get(), nullptr, kFillBytes,
                        SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    });
    if (got > 0)
        flow.held = static_cast<std::size_t>(got);
    flow.ended = got == 0;
    if (got == kWouldBlock)
        from.readable = false;
    return got;
}

// Passes bytes on without a pipe. Bytes sent; 0 where there was nothing to read or the data ended.
ssize_t Relay::copy(Flow& flow, Side& from, Side& to) {
    const ssize_t got = uninterrupted(
        [&] { return ::recv(from.fd.get(), copy_buffer.data(), copy_buffer.size(), MSG_PEEK | MSG_DONTWAIT); });
    if (got <= 0) {
        flow.ended = got == 0;
        from.readable = got != kWouldBlock;
        return got == kFailed ? kFailed : 0;
    }
    const ssize_t sent = uninterrupted([&] {
        return ::send(to.fd.get(), copy_buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL | MSG_DONTWAIT);
    });
    // With MSG_TRUNC, TCP drops that many bytes from the queue without copying them (tcp(7)).
    for (ssize_t taken = 0; taken < sent;) {
        const ssize_t part =
            ::recv(from.fd.get(), nullptr, static_cast<std::size_t>(sent - taken), MSG_TRUNC | MSG_DONTWAIT);
        if (part > 0)
            taken += part;
        else if (part == 0 || errno != EINTR)
            return kFailed;
    }
    return sent;
}

} // namespace squish::forward
