#include "daemon/server.h"

#include "daemon/log.h"
#include "os/socket.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

namespace squish::daemon {

namespace asio = boost::asio;

namespace {

constexpr auto kPlain = asio::as_tuple(asio::use_awaitable);

// Only our own user: the socket's mode says so already, SO_PEERCRED says it for a descriptor that was passed on.
bool is_ours(int socket) {
    const auto peer = os::peer_credentials(socket);
    return peer && peer->uid == ::getuid();
}

void log_broken(std::exception_ptr broken) {
    if (!broken)
        return;
    try {
        std::rethrow_exception(broken);
    } catch (const std::exception& thrown) {
        log_error(std::string("a connection was broken off: ") + thrown.what());
    }
}

} // namespace

Server::Server(asio::io_context& loop, UniqueFd listener, Service& service, Limits limits)
    : loop_(loop), acceptor_(loop, asio::local::stream_protocol(), listener.release()), service_(service),
      limits_(limits) {}

void Server::serve() {
    asio::co_spawn(loop_, accept(), asio::detached);
}

void Server::stop() {
    boost::system::error_code ignored;
    (void) acceptor_.close(ignored);
}

asio::awaitable<void> Server::accept() {
    while (acceptor_.is_open()) {
        auto [error, socket] = co_await acceptor_.async_accept(kPlain);
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
            co_return;
        if (error) {
            // Out of descriptors or memory (accept(2)): the queue stays readable, so wait for some to be freed.
            log_error("accept: " + error.message());
            asio::steady_timer pause(loop_, std::chrono::milliseconds(100));
            co_await pause.async_wait(kPlain);
            continue;
        }
        if (!is_ours(socket.native_handle())) {
            log_error("refused a connection of another user");
            continue;
        }
        const bool full = load_->full(limits_);
        auto connection = std::make_shared<Connection>(std::move(socket), limits_, load_);
        if (full) {
            asio::co_spawn(loop_, connection->refuse(), log_broken);
            continue;
        }
        Connection::Dispatch serve_one = [&service = service_](Exchange& exchange) {
            return dispatch(service, exchange);
        };
        asio::co_spawn(loop_, connection->run(std::move(serve_one)), log_broken);
    }
}

} // namespace squish::daemon
