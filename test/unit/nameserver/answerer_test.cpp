// A name server and the upstream that it asks, both on loopback, in one loop; a client in the test's own thread.
#include "base/unique_fd.h"
#include "nameserver/answerer.h"

#include <arpa/inet.h>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace squish::nameserver {
namespace {

using namespace std::chrono_literals;

std::string query_bytes(std::uint16_t id, std::string_view name, std::uint16_t type = 1) {
    std::string out;
    const auto put16 = [&](unsigned value) { out += static_cast<char>(value >> 8), out += static_cast<char>(value); };
    put16(id), put16(0x0100), put16(1), put16(0), put16(0), put16(0);
    while (!name.empty()) {
        const auto label = name.substr(0, name.find('.'));
        out += static_cast<char>(label.size());
        out += label;
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    out += '\0';
    put16(type), put16(1);
    return out;
}

unsigned status_of(const std::string& answer) {
    return answer.size() < dns::kHeaderBytes ? 99U : static_cast<unsigned char>(answer[3]) & 0xFU;
}
unsigned answers_in(const std::string& answer) {
    return static_cast<unsigned>(static_cast<unsigned char>(answer[6]) << 8 | static_cast<unsigned char>(answer[7]));
}

UniqueFd connect_to(int type, std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{3, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return socket;
}

std::string receive(int socket) {
    std::string out(65536, '\0');
    const auto got = ::recv(socket, out.data(), out.size(), 0);
    out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return out;
}

std::string receive_framed(int socket) {
    unsigned char head[2];
    if (::recv(socket, head, 2, MSG_WAITALL) != 2)
        return {};
    std::string out(static_cast<std::size_t>(head[0] << 8 | head[1]), '\0');
    return ::recv(socket, out.data(), out.size(), MSG_WAITALL) == static_cast<ssize_t>(out.size()) ? out
                                                                                                   : std::string();
}

std::string framed(const std::string& message) {
    return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())} + message;
}

// An upstream that answers each question with itself as an answer, and its own number.
class Upstream {
public:
    Upstream() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
        EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
        port_ = ntohs(at.sin_port);
        const timeval limit{3, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    std::string receive() {
        std::string out(65536, '\0');
        length_ = sizeof from_;
        const auto got =
            ::recvfrom(socket_.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from_), &length_);
        out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        return out;
    }
    void answer(std::string bytes) {
        bytes[2] = static_cast<char>(bytes[2] | 0x80);
        send(bytes);
    }
    void send(const std::string& bytes) {
        ::sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&from_), length_);
    }

private:
    UniqueFd socket_;
    sockaddr_in from_{};
    socklen_t length_ = sizeof from_;
    std::uint16_t port_ = 0;
};

// At a port that the kernel chooses for UDP: it may be taken for TCP, by a test that runs at the same time.
Result<std::shared_ptr<Answerer>> open_at_any_port(boost::asio::io_context& loop, const Place& place,
                                                   const dns::Zone::Reach& reach,
                                                   const Answerer::Elsewhere& elsewhere) {
    auto opened = Answerer::open(loop, place, reach, elsewhere);
    for (int i = 0; i < 50 && !opened; ++i)
        opened = Answerer::open(loop, place, reach, elsewhere);
    return opened;
}

class Serving : public ::testing::Test {
protected:
    Serving() {
        Place place{.address = "127.0.0.1",
                    .interface = "",
                    .port = 0,
                    .upstream = "127.0.0.1",
                    .upstream_port = upstream_.port()};
        auto opened = open_at_any_port(loop_, place, dns::Zone::Reach{.v4 = "\x0a\x59", .v6 = ""},
                                       [this](const std::string& container, const dns::Query& query) {
                                           asked_elsewhere_ = container + " " + query.name;
                                           return elsewhere_;
                                       });
        EXPECT_TRUE(opened) << opened.error().message;
        answerer_ = std::move(*opened);
        EXPECT_TRUE(answerer_->book().add("one", *to_host({{"web", "www"}, "10.89.0.2", ""})));
        EXPECT_TRUE(answerer_->book().add("me", *to_host({{"me"}, "127.0.0.1", ""})));
        port_ = answerer_->port();
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Serving() override {
        boost::asio::post(loop_, [this] { answerer_->close(); });
        loop_.stop();
        thread_.join();
    }
    std::string ask(const std::string& query) {
        const auto socket = connect_to(SOCK_DGRAM, port_);
        EXPECT_EQ(::send(socket.get(), query.data(), query.size(), 0), static_cast<ssize_t>(query.size()));
        return receive(socket.get());
    }

    Upstream upstream_;
    boost::asio::io_context loop_{1};
    std::shared_ptr<Answerer> answerer_;
    std::optional<dns::Zone::Answer> elsewhere_;
    std::string asked_elsewhere_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

TEST_F(Serving, AnswersItsOwnNamesItself) {
    const auto answer = ask(query_bytes(7, "WWW"));
    EXPECT_EQ(status_of(answer), 0U);
    EXPECT_EQ(answers_in(answer), 1U);
    EXPECT_TRUE(answer.ends_with(std::string("\x0a\x59\x00\x02", 4)));
    EXPECT_EQ(dns::id_of(answer), 7);
}

TEST_F(Serving, AsksTheUpstreamForTheRestUnderAnotherNumber) {
    const auto query = query_bytes(7, "example.org");
    const auto socket = connect_to(SOCK_DGRAM, port_);
    ::send(socket.get(), query.data(), query.size(), 0);
    auto seen = upstream_.receive();
    ASSERT_EQ(seen.size(), query.size());
    EXPECT_EQ(seen.substr(2), query.substr(2));
    auto forged = seen; // somebody who guesses the number wrong, and a question instead of an answer
    forged[0] = static_cast<char>(forged[0] ^ 1);
    upstream_.answer(forged);
    upstream_.send(seen);
    upstream_.answer(seen + "rest");
    const auto answer = receive(socket.get());
    EXPECT_EQ(dns::id_of(answer), 7);
    EXPECT_TRUE(answer.ends_with("rest"));
}

TEST_F(Serving, AsksForTheOtherNetworksOfWhoAsks) {
    elsewhere_ = dns::Zone::Answer{dns::Status::no_error, {{dns::Type::a, "\x0a\x59\x10\x05"}}};
    const auto answer = ask(query_bytes(7, "db"));
    EXPECT_TRUE(answer.ends_with("\x0a\x59\x10\x05"));
    EXPECT_EQ(asked_elsewhere_, "me db");
}

TEST_F(Serving, AnUpstreamThatIsNotThereIsAFailure) {
    Place place{.address = "127.0.0.1", .interface = "", .port = 0, .upstream = "127.0.0.1", .upstream_port = 1};
    std::promise<std::uint16_t> port;
    boost::asio::post(loop_, [&] {
        auto other = open_at_any_port(loop_, place, {}, [](const auto&, const auto&) { return std::nullopt; });
        port.set_value(other ? (*other)->port() : 0);
    });
    port_ = port.get_future().get();
    EXPECT_EQ(status_of(ask(query_bytes(9, "example.org"))), 2U);
    const auto stream = connect_to(SOCK_STREAM, port_);
    const auto query = framed(query_bytes(9, "example.org"));
    ::send(stream.get(), query.data(), query.size(), MSG_NOSIGNAL);
    EXPECT_EQ(status_of(receive_framed(stream.get())), 2U);
}

TEST_F(Serving, AnswersOverTcpSeveralTimesAndInPieces) {
    const auto stream = connect_to(SOCK_STREAM, port_);
    for (std::uint16_t id = 1; id <= 3; ++id) {
        const auto query = framed(query_bytes(id, "web"));
        for (const char byte : query)
            ::send(stream.get(), &byte, 1, MSG_NOSIGNAL);
        const auto answer = receive_framed(stream.get());
        EXPECT_EQ(dns::id_of(answer), id);
        EXPECT_EQ(answers_in(answer), 1U);
    }
}

TEST_F(Serving, MalformedQueriesAreRefusedAndAnswersAreNotAnswered) {
    EXPECT_EQ(status_of(ask(query_bytes(1, "web").substr(0, 14))), 1U);
    auto status = query_bytes(1, "web");
    status[2] = 0x10; // another kind of request
    EXPECT_EQ(status_of(ask(status)), 4U);
    const auto socket = connect_to(SOCK_DGRAM, port_);
    auto answer = query_bytes(1, "web");
    answer[2] = static_cast<char>(0x81);
    ::send(socket.get(), answer.data(), answer.size(), 0);
    ::send(socket.get(), "x", 1, 0);
    const auto query = query_bytes(2, "web");
    ::send(socket.get(), query.data(), query.size(), 0);
    EXPECT_EQ(dns::id_of(receive(socket.get())), 2) << "the first answer is that to the last";
}

TEST_F(Serving, WhoAsksTooMuchAtOnceIsToldSo) {
    const auto socket = connect_to(SOCK_DGRAM, port_);
    std::size_t asked = 0, refused = 0;
    while (refused < 8 && asked < 8 * kMaxAsking) { // some may be lost on the way
        const auto query = query_bytes(static_cast<std::uint16_t>(asked++), "example.org");
        ::send(socket.get(), query.data(), query.size(), 0);
        pollfd waiting{socket.get(), POLLIN, 0};
        while (::poll(&waiting, 1, asked > kMaxAsking ? 1 : 0) == 1 && status_of(receive(socket.get())) == 2)
            ++refused;
    }
    EXPECT_GT(asked, kMaxAsking);
    EXPECT_GE(refused, 8U);
    EXPECT_EQ(status_of(ask(query_bytes(1, "web"))), 0U) << "our own names are answered all the same";
}

} // namespace
} // namespace squish::nameserver
