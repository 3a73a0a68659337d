// Accepts connections of this user on the daemon's socket and serves each in a coroutine of its own.
#pragma once

#include "daemon/connection.h"
#include "daemon/router.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace squish::daemon {

class Server {
public:
    // `listener`: listening and non-blocking (os::listen_unix). Requests that come before serve() wait in its queue.
    Server(boost::asio::io_context& loop, UniqueFd listener, Service& service, Limits limits = {});

    void serve();
    // Accepts nothing more; exchanges that are under way go on for as long as the loop runs.
    void stop();

private:
    boost::asio::awaitable<void> accept();

    boost::asio::io_context& loop_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
    Service& service_;
    Limits limits_;
    std::shared_ptr<Load> load_ = std::make_shared<Load>();
};

} // namespace squish::daemon
