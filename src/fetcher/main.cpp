// squish-fetch: downloads for squishd. A throw-away process: started with fd 3 = one end of a SEQPACKET socket pair, it
// reads one request, gives up whatever it does not need for it, tells how it gets on, answers, and ends. It ends at
// once when the other end is closed; what it has downloaded by then lies in the part file for the next one.

#include "fetcher/jobs.h"
#include "fetcher/sandbox.h"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace {

using squish::Result;
using squish::wire::Json;

constexpr int kChannelFd = 3;

Result<squish::UniqueFd> channel() {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(kChannelFd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
        return squish::fail(squish::ErrorKind::invalid, "descriptor 3 is no message socket",
                            "this program is started by squish, not by hand");
    if (::fcntl(kChannelFd, F_SETFD, FD_CLOEXEC) < 0)
        return squish::fail_errno("fcntl");
    return squish::UniqueFd(kChannelFd);
}

// Nobody waits for us any more: nothing is worth finishing. A thread, since a job may be waiting anywhere.
void end_with(int socket) {
    std::thread([socket] {
        pollfd other{socket, 0, 0}; // POLLHUP and POLLERR always come
        while (::poll(&other, 1, -1) < 0 || other.revents == 0) {
        }
        ::_exit(0);
    }).detach();
}

// Progress is worth nothing to those who do not read it: it is dropped where the socket is full.
void tell(int socket, const Json& event) {
    const auto bytes = event.dump(-1, ' ', false, Json::error_handler_t::replace);
    (void) ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

Result<Json> work(squish::wire::JsonMessage& message, int socket) {
    const auto needs = TRY(squish::fetcher::needs_of(message.body));
    TRY(squish::fetcher::harden(needs.max_file_bytes));
    TRY(squish::fetcher::confine(needs.writable));
    end_with(socket);
    return squish::fetcher::run_job(message.body, std::move(message.fds),
                                    [socket](const Json& event) { tell(socket, event); });
}

Result<void> serve_one() {
    const auto socket = TRY(channel());
    auto message = TRY(squish::wire::receive_json(socket.get()));
    if (message.peer_closed)
        return {};
    const auto done = work(message, socket.get());
    const auto answer =
        done ? squish::wire::answer(message.body, *done) : squish::wire::error_answer(message.body, done.error());
    return squish::wire::send_json(socket.get(), answer);
}

} // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN); // EPIPE is told like any other error
    std::signal(SIGXFSZ, SIG_IGN); // EFBIG too
    const auto result = serve_one();
    if (!result)
        std::fprintf(stderr, "squish-fetch: %s\n", result.error().text().c_str());
    std::fflush(stderr);
    ::_exit(result ? 0 : 1); // the watching thread has nothing to clean up
}
