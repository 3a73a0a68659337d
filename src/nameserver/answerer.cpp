#include "nameserver/answerer.h"

#include "base/text.h"
#include "nameserver/deadline.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <net/if.h>
#include <sys/random.h>
#include <sys/socket.h>

namespace squish::nameserver {

namespace asio = boost::asio;
using dns::Status;

namespace {

constexpr auto kPlain = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kUpstream{5000}; // longer than any resolver waits for its first try
constexpr std::chrono::milliseconds kIdle{10000};    // of a TCP connection (RFC 7766, 6.2.3)
constexpr std::chrono::milliseconds kPause{100};     // when there are no descriptors left
constexpr int kMaxQueriesPerConnection = 100;
constexpr std::size_t kAnswerBytes = 4096; // that we tell nobody; what an upstream may send over UDP

std::uint16_t random_id() {
    std::uint16_t id = 0;
    while (::getrandom(&id, sizeof id, 0) < 0 && errno == EINTR) {
    }
    return id;
}

Result<void> checked(const boost::system::error_code& error, const std::string& what) {
    if (error)
        return fail_errno(what, error.value());
    return {};
}

// Counts one more as long as it lives.
class OneMore {
public:
    explicit OneMore(std::size_t& count) : count_(count) { ++count_; }
    OneMore(const OneMore&) = delete;
    OneMore& operator=(const OneMore&) = delete;
    ~OneMore() { --count_; }

private:
    std::size_t& count_;
};

std::string with_length(const std::string& message) {
    std::string out;
    out += static_cast<char>(message.size() >> 8);
    out += static_cast<char>(message.size() & 0xFF);
    return out + message;
}

std::size_t length_of(const std::array<unsigned char, 2>& head) {
    return static_cast<std::size_t>(head[0] << 8 | head[1]);
}

} // namespace

Result<std::shared_ptr<Answerer>> Answerer::open(asio::io_context& loop, Place place, dns::Zone::Reach reach,
                                                 Elsewhere elsewhere) {
    std::shared_ptr<Answerer> answerer(new Answerer(loop, std::move(place), std::move(reach), std::move(elsewhere)));
    TRY(answerer->listen());
    asio::co_spawn(loop, [answerer] { return answerer->serve_datagrams(); }, asio::detached);
    asio::co_spawn(loop, [answerer] { return answerer->serve_connections(); }, asio::detached);
    return answerer;
}

Result<void> Answerer::listen() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(place_.address, error);
    TRY(checked(error, "'" + printable(place_.address) + "'"));
    upstream_ = asio::ip::make_address(place_.upstream, error);
    TRY(checked(error, "'" + printable(place_.upstream) + "'"));
    interface_index_ = place_.interface.empty() ? 0 : ::if_nametoindex(place_.interface.c_str());
    const auto where = "listen for names at " + place_.address + ":" + std::to_string(place_.port);
    const Udp::endpoint datagram(address, place_.port);
    error = datagrams_.open(datagram.protocol(), error);
    TRY(checked(error, where));
    const auto bind_to_interface = [&](int socket) -> Result<void> {
        if (!place_.interface.empty() && ::setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, place_.interface.c_str(),
                                                      static_cast<socklen_t>(place_.interface.size())) < 0)
            return fail_errno(where + " on " + place_.interface);
        return {};
    };
    TRY(bind_to_interface(datagrams_.native_handle()));
    error = datagrams_.bind(datagram, error);
    TRY(checked(error, where));
    const auto port = datagrams_.local_endpoint(error).port();
    const Tcp::endpoint stream(address, port);
    error = acceptor_.open(stream.protocol(), error);
    TRY(checked(error, where));
    TRY(bind_to_interface(acceptor_.native_handle()));
    error = acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    error = acceptor_.bind(stream, error);
    TRY(checked(error, where));
    error = acceptor_.listen(static_cast<int>(kMaxConnections), error);
    return checked(error, where);
}

bool Answerer::is_on_its_interface() const {
    return place_.interface.empty() || ::if_nametoindex(place_.interface.c_str()) == interface_index_;
}

std::uint16_t Answerer::port() const {
    boost::system::error_code ignored;
    return datagrams_.local_endpoint(ignored).port();
}

void Answerer::close() {
    boost::system::error_code ignored;
    ignored = datagrams_.close(ignored);
    ignored = acceptor_.close(ignored);
}

std::optional<std::string> Answerer::own_answer(std::string_view message, const asio::ip::address& client,
                                                bool over_tcp) {
    const auto query = dns::parse_query(message);
    if (!query)
        return query.error().silent ? std::string() : dns::make_refusal(message, query.error().status);
    auto known = book_.answer(*query);
    if (!known || known->status == Status::no_such_name) {
        const auto bytes = client.is_v4() ? client.to_v4().to_bytes() : asio::ip::address_v4::bytes_type{};
        const auto container = book_.container_at(std::string(bytes.begin(), bytes.end()));
        if (!container.empty())
            if (auto other = elsewhere_(container, *query))
                known = std::move(other);
    }
    if (!known)
        return std::nullopt;
    return dns::make_answer(message, *query, known->status, known->records, over_tcp ? dns::kLimit : query->udp_limit);
}

// --- UDP

asio::awaitable<void> Answerer::serve_datagrams() {
    const auto self = shared_from_this();
    std::string buffer(dns::kLimit, '\0');
    for (;;) {
        Udp::endpoint client;
        const auto [error, size] = co_await datagrams_.async_receive_from(asio::buffer(buffer), client, kPlain);
        if (!datagrams_.is_open())
            co_return;
        if (error)
            continue; // of one that was sent before (ICMP)
        const std::string_view message(buffer.data(), size);
        auto answer = own_answer(message, client.address(), false);
        if (!answer && asking_ >= kMaxAsking)
            answer = dns::make_refusal(message, Status::failed);
        if (!answer) {
            asio::co_spawn(loop_, relay_datagram(std::string(message), client), asio::detached);
        } else if (!answer->empty()) {
            boost::system::error_code lost; // a full buffer loses it as the network may; the client asks again
            (void) datagrams_.send_to(asio::buffer(*answer), client, MSG_DONTWAIT, lost);
        }
    }
}

asio::awaitable<void> Answerer::relay_datagram(std::string query, Udp::endpoint client) {
    const auto self = shared_from_this();
    const auto answer = co_await ask_datagram(std::move(query));
    boost::system::error_code lost;
    if (!answer.empty() && datagrams_.is_open())
        (void) datagrams_.send_to(asio::buffer(answer), client, MSG_DONTWAIT, lost);
}

asio::awaitable<std::string> Answerer::ask_datagram(std::string query) {
    const OneMore asking(asking_);
    const auto theirs = dns::id_of(query);
    const auto ours = random_id();
    const auto question = query;
    dns::set_id(query, ours);
    Udp::socket socket(loop_);
    boost::system::error_code error;
    const Udp::endpoint upstream(upstream_, place_.upstream_port);
    error = socket.open(upstream.protocol(), error);
    if (!error)
        error = socket.connect(upstream, error); // from here on nobody else is heard
    if (error)
        co_return dns::make_refusal(question, Status::failed);
    const Deadline deadline(loop_.get_executor(), kUpstream, [&socket] { socket.cancel(); });
    const auto [unsent, sent] = co_await socket.async_send(asio::buffer(query), kPlain);
    if (unsent)
        co_return dns::make_refusal(question, Status::failed);
    std::string answer(kAnswerBytes, '\0');
    for (;;) {
        const auto [lost, size] = co_await socket.async_receive(asio::buffer(answer), kPlain);
        if (lost == asio::error::operation_aborted)
            co_return std::string(); // the time is over: the client has asked again long since
        if (lost)
            co_return dns::make_refusal(question, Status::failed);
        const std::string_view got(answer.data(), size);
        if (got.size() < dns::kHeaderBytes || !dns::is_answer(got) || dns::id_of(got) != ours)
            continue;
        answer.resize(size);
        dns::set_id(answer, theirs);
        co_return answer;
    }
}

// --- TCP

asio::awaitable<void> Answerer::serve_connections() {
    const auto self = shared_from_this();
    while (acceptor_.is_open()) {
        auto [error, client] = co_await acceptor_.async_accept(kPlain);
        if (!acceptor_.is_open())
            co_return;
        if (error || connections_ >= kMaxConnections) { // no descriptors, or no room: it is closed
            asio::steady_timer pause(loop_, error ? kPause : std::chrono::milliseconds(1));
            co_await pause.async_wait(kPlain);
            continue;
        }
        asio::co_spawn(loop_, serve_connection(std::move(client)), asio::detached);
    }
}

asio::awaitable<void> Answerer::serve_connection(Tcp::socket client) {
    const auto self = shared_from_this();
    const OneMore one(connections_);
    boost::system::error_code gone;
    const auto from = client.remote_endpoint(gone);
    for (int queries = 0; queries < kMaxQueriesPerConnection; ++queries) {
        std::string message;
        {
            const Deadline deadline(loop_.get_executor(), kIdle, [&client] { client.cancel(); });
            std::array<unsigned char, 2> head{};
            const auto [unread, ignored] = co_await asio::async_read(client, asio::buffer(head), kPlain);
            if (unread)
                co_return;
            message.resize(length_of(head));
            const auto [cut, size] = co_await asio::async_read(client, asio::buffer(message), kPlain);
            if (cut)
                co_return;
        }
        auto answer = own_answer(message, from.address(), true);
        if (!answer && asking_ >= kMaxAsking)
            answer = dns::make_refusal(message, Status::failed);
        if (!answer)
            answer = co_await ask_connection(message);
        if (answer->empty())
            co_return;
        const Deadline deadline(loop_.get_executor(), kIdle, [&client] { client.cancel(); });
        const auto framed = with_length(*answer);
        const auto [unsent, sent] = co_await asio::async_write(client, asio::buffer(framed), kPlain);
        if (unsent)
            co_return;
    }
}

asio::awaitable<std::string> Answerer::ask_connection(std::string query) {
    const OneMore asking(asking_);
    const auto refusal = dns::make_refusal(query, Status::failed);
    Tcp::socket socket(loop_);
    const Deadline deadline(loop_.get_executor(), kUpstream, [&socket] {
        boost::system::error_code ignored;
        ignored = socket.close(ignored);
    });
    const Tcp::endpoint upstream(upstream_, place_.upstream_port);
    const auto [unreached] = co_await socket.async_connect(upstream, kPlain);
    if (unreached)
        co_return refusal;
    const auto framed = with_length(query);
    const auto [unsent, sent] = co_await asio::async_write(socket, asio::buffer(framed), kPlain);
    if (unsent)
        co_return refusal;
    std::array<unsigned char, 2> head{};
    const auto [unread, ignored] = co_await asio::async_read(socket, asio::buffer(head), kPlain);
    if (unread)
        co_return refusal;
    std::string answer(length_of(head), '\0');
    const auto [cut, size] = co_await asio::async_read(socket, asio::buffer(answer), kPlain);
    if (cut || answer.size() < dns::kHeaderBytes || !dns::is_answer(answer) || dns::id_of(answer) != dns::id_of(query))
        co_return refusal;
    co_return answer;
}

} // namespace squish::nameserver
