#include "daemon/connection.h"

#include "os/socket.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace squish::daemon {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr auto kPlain = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::size_t kMaxFds = 8; // with one request

bool has_hung_up(int socket) {
    pollfd state{socket, 0, 0};
    return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

std::string head(unsigned status, std::string_view content_type, std::string_view framing, bool keep_alive) {
    std::string out = "HTTP/1.1 " + std::to_string(status) + " ";
    out += reason_phrase(status);
    out += "\r\nContent-Type: ";
    out += content_type;
    out += "\r\n";
    out += framing;
    if (!keep_alive)
        out += "Connection: close\r\n";
    return out;
}

std::string hex(std::size_t number) {
    char text[20];
    return {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%zx", number))};
}

std::string as_chunk(std::string_view bytes) {
    std::string out = hex(bytes.size()) + "\r\n";
    out += bytes;
    out += "\r\n";
    return out;
}

} // namespace

Connection::Connection(Socket socket, const Limits& limits, std::shared_ptr<Load> load)
    : socket_(std::move(socket)), limits_(limits), load_(std::move(load)), deadline_(socket_.get_executor()) {
    ++load_->busy;
}

Connection::~Connection() {
    --(is_waiting_ ? load_->waiting : load_->busy);
}

void Connection::arm(std::chrono::milliseconds time) {
    const auto generation = ++arming_;
    deadline_.expires_after(time);
    deadline_.async_wait([weak = weak_from_this(), generation](boost::system::error_code) {
        const auto self = weak.lock();
        if (!self || self->arming_ != generation)
            return;
        self->timed_out_ = true;
        self->socket_.cancel();
    });
}

void Connection::disarm() {
    ++arming_;
    deadline_.cancel();
}

// One recvmsg(2) without waiting: the number of bytes, 0 at the end, or -errno.
ssize_t Connection::receive_now() {
    const auto before = input_.size();
    input_.resize(before + kReadBytes);
    iovec data{input_.data() + before, kReadBytes};
    // Room for the descriptors that are allowed; the kernel closes those beyond and says so (MSG_CTRUNC).
    union {
        cmsghdr header;
        char bytes[CMSG_SPACE(kMaxFds * sizeof(int))];
    } control;
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const auto got = ::recvmsg(socket_.native_handle(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const int error = errno;
    input_.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0)
        return -error;
    os::take_descriptors(message, fds_);
    too_many_fds_ |= (message.msg_flags & MSG_CTRUNC) != 0 || fds_.size() > kMaxFds;
    if (fds_.size() > kMaxFds)
        fds_.resize(kMaxFds);
    return got;
}

asio::awaitable<Connection::Received> Connection::receive() {
    while (!timed_out_) {
        const auto got = receive_now();
        if (got > 0)
            co_return Received::bytes;
        if (got == -EINTR)
            continue;
        if (got != -EAGAIN)
            co_return Received::nothing;
        const auto [failed] = co_await socket_.async_wait(Socket::wait_read, kPlain);
        if (failed)
            co_return Received::nothing;
    }
    co_return Received::nothing;
}

bool Connection::broken(unsigned status, std::string message) {
    broken_ = Broken{status, Error{ErrorKind::invalid, std::move(message), "", 0}};
    return false;
}

// True with a whole request in request_; false where the connection is at its end (and broken_ says what to tell).
asio::awaitable<bool> Connection::read_request(bool first) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser.body_limit(limits_.body_bytes);
    parser.eager(true);
    request_ = Request{};
    fds_.clear();
    too_many_fds_ = false;
    answered_ = false;
    bool started = false, in_body = false;
    arm(first ? limits_.read : limits_.idle);
    while (!parser.is_done()) {
        if (input_.empty() || started) { // what is left over from the last request may be a whole one
            const auto received = co_await receive();
            if (received == Received::nothing) {
                if (timed_out_ && (started || !input_.empty()))
                    co_return broken(408, "the request did not arrive in time");
                co_return false;
            }
        }
        if (!started) {
            started = true;
            arm(limits_.read);
        }
        boost::system::error_code error;
        const auto used = parser.put(asio::buffer(input_), error);
        input_.erase(0, used);
        if (error == http::error::need_more)
            error = {};
        if (error == http::error::header_limit ||
            (!error && !parser.is_header_done() && input_.size() > limits_.header_bytes))
            co_return broken(431,
                             "the request's header is longer than " + std::to_string(limits_.header_bytes) + " bytes");
        if (error == http::error::body_limit)
            co_return broken(413, "the request's body is longer than " + std::to_string(limits_.body_bytes) + " bytes");
        if (error)
            co_return broken(400, "malformed HTTP request: " + error.message());
        // What is left over behind the header is the beginning of a chunk's header, or of the lines after the last: the
        // parser waits for its end, however long that takes, and counts none of it as body.
        if (!parser.is_done() && input_.size() > limits_.header_bytes)
            co_return broken(431, "what stands between the pieces of the request's body is longer than " +
                                      std::to_string(limits_.header_bytes) + " bytes");
        if (parser.is_header_done() && !in_body && !parser.is_done()) {
            in_body = true;
            arm(limits_.read);
            if (boost::beast::iequals(parser.get()[http::field::expect], "100-continue")) {
                const bool sent = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
                if (!sent)
                    co_return false;
                arm(limits_.read);
            }
        }
    }
    disarm();

    auto& message = parser.get();
    // Only one of the two may say where the body ends, and in a coding that we know (RFC 9112, 6.1 and 6.3): else a
    // further request could be hidden in this one. The parser refuses some of that, not all.
    if (const auto coding = message.find(http::field::transfer_encoding);
        coding != message.end() &&
        (!boost::beast::iequals(coding->value(), "chunked") || message.count(http::field::transfer_encoding) > 1 ||
         message.count(http::field::content_length) > 0 || message.version() < 11))
        co_return broken(400, "malformed HTTP request: a body's length is given by Content-Length, or else by "
                              "'Transfer-Encoding: chunked'");
    keep_alive_ = message.keep_alive();
    chunked_ = message.version() >= 11;
    request_.method = std::string(message.method_string());
    const auto& whole_target = message.target();
    auto target = parse_target(std::string_view(whole_target.data(), whole_target.size()));
    if (!target)
        co_return broken(400, "malformed request target");
    request_.path = std::move(target->path);
    request_.query = std::move(target->query);
    std::optional<std::string> names;
    if (const auto header = message.find("Squish-Fds"); header != message.end())
        names.emplace(header->value());
    auto fds = name_fds(names, std::exchange(fds_, {}), too_many_fds_);
    if (!fds)
        co_return broken(400, fds.error().text());
    request_.fds = std::move(*fds);
    request_.body = std::move(message.body());
    co_return true;
}

asio::awaitable<void> Connection::serve([[maybe_unused]] std::shared_ptr<Connection> self, Dispatch dispatch) {
    for (bool first = true;; first = false) {
        const bool whole = co_await read_request(first);
        if (!whole) {
            timed_out_ = false; // the answer has its own time
            keep_alive_ = false;
            if (broken_)
                co_await answer(broken_->status, kJsonType, dump(error_body(broken_->error)) + "\n", {});
            break;
        }
        co_await dispatch(*this);
        request_ = Request{}; // descriptors are not kept while the connection idles
        if (!answered_ || !keep_alive_)
            break;
    }
    disarm();
    boost::system::error_code ignored;
    (void) socket_.shutdown(Socket::shutdown_send, ignored);
    (void) socket_.close(ignored);
}

asio::awaitable<void> Connection::turn_away([[maybe_unused]] std::shared_ptr<Connection> self) {
    keep_alive_ = false;
    const auto body = error_body(
        Error{ErrorKind::unavailable, "squishd serves as many connections as it may", "try again in a moment", 0});
    co_await answer(503, kJsonType, dump(body) + "\n", {});
}

asio::awaitable<bool> Connection::write(std::string bytes) {
    arm(limits_.write);
    const auto [error, written] = co_await asio::async_write(socket_, asio::buffer(bytes), kPlain);
    disarm();
    if (error)
        keep_alive_ = false;
    co_return !error;
}

asio::awaitable<bool> Connection::answer(unsigned status, std::string_view content_type, std::string body,
                                         std::string_view extra_headers) {
    answered_ = true;
    auto out = head(status, content_type, "Content-Length: " + std::to_string(body.size()) + "\r\n", keep_alive_);
    out += extra_headers;
    out += "\r\n";
    out += body;
    return write(std::move(out));
}

asio::awaitable<bool> Connection::begin_stream(unsigned status, std::string_view content_type, std::string first) {
    answered_ = true;
    keep_alive_ &= chunked_; // HTTP/1.0: the end of the connection is the end of the answer
    auto out = head(status, content_type, chunked_ ? "Transfer-Encoding: chunked\r\n" : "", keep_alive_) + "\r\n";
    if (!first.empty())
        out += chunked_ ? as_chunk(first) : first;
    return write(std::move(out));
}

asio::awaitable<bool> Connection::chunk(std::string bytes) {
    return write(chunked_ && !bytes.empty() ? as_chunk(bytes) : std::move(bytes));
}

asio::awaitable<bool> Connection::end_stream() {
    return write(chunked_ ? "0\r\n\r\n" : "");
}

void Connection::watch(std::function<void()> when_gone) {
    if (!std::exchange(is_waiting_, true)) {
        --load_->busy;
        ++load_->waiting;
    }
    when_gone_ = std::move(when_gone);
    wait_for_hang_up(++watching_);
}

void Connection::wait_for_hang_up(std::uint64_t generation) {
    // The peer's close is an error condition of a unix socket (EPOLLHUP); that it merely sends no more is none.
    socket_.async_wait(Socket::wait_error, [weak = weak_from_this(), generation](boost::system::error_code error) {
        const auto self = weak.lock();
        if (!self || self->watching_ != generation || error)
            return;
        if (!has_hung_up(self->socket_.native_handle()))
            return self->wait_for_hang_up(generation);
        if (auto tell = std::exchange(self->when_gone_, {}))
            tell();
    });
}

void Connection::leave_watch() {
    if (std::exchange(is_waiting_, false)) {
        --load_->waiting;
        ++load_->busy;
    }
    ++watching_;
    when_gone_ = {};
    socket_.cancel();
}

} // namespace squish::daemon
