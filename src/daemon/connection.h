// One connection: HTTP/1.1 over a unix stream socket, with descriptors beside the bytes.
//
// How this works: bytes are taken with recvmsg(2) (Beast's streams know no SCM_RIGHTS) and fed to Beast's parser,
// which enforces the limits on sizes; every wait has a deadline, but for requests that wait for a container, which
// end when the client hangs up. The descriptors that arrive while a request is read belong to that request; so a
// client that sends descriptors must not pipeline. A request that is no HTTP gets its answer (400, 408, 413, 431)
// and the connection is closed, since nobody knows where the next one begins.
#pragma once

#include "daemon/http.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace squish::daemon {

struct Limits {
    std::size_t busy = 64;    // connections that are read from or worked for; one more is told 503
    std::size_t total = 1024; // with those that wait for a container to end
    std::size_t header_bytes = 16 << 10;
    std::size_t body_bytes = 2 << 20;
    std::chrono::milliseconds read{10'000};  // for the header, and again for the body
    std::chrono::milliseconds write{10'000}; // for each piece of an answer
    std::chrono::milliseconds idle{60'000};  // between two requests
};

// How many connections there are.
struct Load {
    std::size_t busy = 0, waiting = 0;
    [[nodiscard]] bool full(const Limits& limits) const {
        return busy >= limits.busy || busy + waiting >= limits.total;
    }
};

class Connection : public Exchange, public std::enable_shared_from_this<Connection> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;
    using Dispatch = std::function<boost::asio::awaitable<void>(Exchange&)>;

    Connection(Socket socket, const Limits& limits, std::shared_ptr<Load> load);
    ~Connection() override;

    // Reads requests and has them dispatched, until the client goes or the protocol is broken.
    // It lives as long as what is returned, whether that has begun or not.
    boost::asio::awaitable<void> run(Dispatch dispatch) { return serve(shared_from_this(), std::move(dispatch)); }
    // Tells the client that there is no room, and closes. The same.
    boost::asio::awaitable<void> refuse() { return turn_away(shared_from_this()); }

    Request& request() override { return request_; }
    bool answered() const override { return answered_; }
    boost::asio::awaitable<bool> answer(unsigned status, std::string_view content_type, std::string body,
                                        std::string_view extra_headers) override;
    boost::asio::awaitable<bool> begin_stream(unsigned status, std::string_view content_type,
                                              std::string first) override;
    boost::asio::awaitable<bool> chunk(std::string bytes) override;
    boost::asio::awaitable<bool> end_stream() override;
    void watch(std::function<void()> when_gone) override;
    void leave_watch() override;

private:
    struct Broken {
        unsigned status;
        Error error;
    };
    enum class Received { bytes, nothing };

    boost::asio::awaitable<void> serve(std::shared_ptr<Connection> self, Dispatch dispatch);
    boost::asio::awaitable<void> turn_away(std::shared_ptr<Connection> self);

    boost::asio::awaitable<bool> read_request(bool first);
    boost::asio::awaitable<Received> receive();
    ssize_t receive_now();
    boost::asio::awaitable<bool> write(std::string bytes);
    bool broken(unsigned status, std::string message);
    void arm(std::chrono::milliseconds time);
    void disarm();
    void wait_for_hang_up(std::uint64_t generation);

    Socket socket_;
    const Limits limits_;
    const std::shared_ptr<Load> load_; // coroutines end with the loop, after the server
    boost::asio::steady_timer deadline_;
    std::uint64_t arming_ = 0, watching_ = 0; // generations, so that a late handler knows that it is late
    std::function<void()> when_gone_;
    std::string input_; // received and not yet parsed
    std::vector<UniqueFd> fds_;
    std::optional<Broken> broken_;
    Request request_;
    bool too_many_fds_ = false, timed_out_ = false;
    bool keep_alive_ = false, chunked_ = true, answered_ = false, is_waiting_ = false;
};

} // namespace squish::daemon
