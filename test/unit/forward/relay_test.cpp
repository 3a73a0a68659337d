// One connection through the forwarder: its bytes, its ends, its cuts.

#include "harness.h"

#include <atomic>
#include <csignal>
#include <future>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace squish::forward::test {
namespace {

// A forwarder, a server behind it, and one connection from end to end.
struct Connected {
    explicit Connected(const ForwarderProcess::Options& options = {}) : forwarder(options) {
        port = forwarder.publish("p", port_of(listener.get()));
        client = connect_tcp(port);
        server = accept_tcp(listener.get());
    }
    // Everything of the connection is gone from the forwarder.
    bool ends() {
        return eventually([&] { return forwarder.port("p").value("connections", 99) == 0; });
    }
    ForwarderProcess forwarder;
    UniqueFd listener = listen_tcp();
    int port = 0;
    UniqueFd client, server;
};

class OneCpu {
public:
    OneCpu() {
        ::sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(::sched_getcpu(), &one);
        ::sched_setaffinity(0, sizeof one, &one);
    }
    ~OneCpu() { ::sched_setaffinity(0, sizeof before_, &before_); }

private:
    cpu_set_t before_{};
};

constexpr std::uint64_t kMany = 256 << 20;

TEST(Relay, CarriesBytesBothWaysAndCountsThem) {
    Connected c;
    ASSERT_TRUE(send_all(c.client.get(), "question"));
    EXPECT_EQ(receive_exactly(c.server.get(), 8), "question");
    ASSERT_TRUE(send_all(c.server.get(), "the answer"));
    EXPECT_EQ(receive_exactly(c.client.get(), 10), "the answer");
    const auto port = c.forwarder.port("p");
    EXPECT_EQ(port["bytes_in"], 8);
    EXPECT_EQ(port["bytes_out"], 10);
    EXPECT_EQ(port["connections"], 1);
    EXPECT_EQ(port["accepted"], 1);
    EXPECT_EQ(port["failed"], 0);
}

TEST(Relay, CarriesMuchBothWaysAtOnce) {
    Connected c;
    const auto send = [](int socket) {
        const bool sent = send_pattern(socket, kMany);
        ::shutdown(socket, SHUT_WR);
        return sent;
    };
    auto up = std::async(std::launch::async, send, c.client.get());
    auto down = std::async(std::launch::async, send, c.server.get());
    auto at_server = std::async(std::launch::async, receive_pattern, c.server.get());
    EXPECT_EQ(receive_pattern(c.client.get()), kMany);
    EXPECT_EQ(at_server.get(), kMany);
    EXPECT_TRUE(up.get());
    EXPECT_TRUE(down.get());
    EXPECT_TRUE(c.ends());
}

TEST(Relay, PassesTheClientsEndOnAndKeepsTheOtherDirection) {
    Connected c;
    ASSERT_TRUE(send_all(c.client.get(), "that is all"));
    ::shutdown(c.client.get(), SHUT_WR);
    EXPECT_EQ(receive_exactly(c.server.get(), 100), "that is all");
    EXPECT_EQ(end_of(c.server.get()), 0);
    auto sent = std::async(std::launch::async, [&] {
        const bool done = send_pattern(c.server.get(), 8 << 20);
        c.server.reset();
        return done;
    });
    EXPECT_EQ(receive_pattern(c.client.get()), 8U << 20);
    EXPECT_EQ(end_of(c.client.get()), 0);
    EXPECT_TRUE(sent.get());
    EXPECT_TRUE(c.ends());
}

TEST(Relay, PassesTheServersEndOnAndKeepsTheOtherDirection) {
    Connected c;
    ASSERT_TRUE(send_all(c.server.get(), "hello and bye"));
    ::shutdown(c.server.get(), SHUT_WR);
    EXPECT_EQ(receive_exactly(c.client.get(), 100), "hello and bye");
    EXPECT_EQ(end_of(c.client.get()), 0);
    auto sent = std::async(std::launch::async, [&] {
        const bool done = send_pattern(c.client.get(), 8 << 20);
        c.client.reset();
        return done;
    });
    EXPECT_EQ(receive_pattern(c.server.get()), 8U << 20);
    EXPECT_EQ(end_of(c.server.get()), 0);
    EXPECT_TRUE(sent.get());
    EXPECT_TRUE(c.ends());
}

TEST(Relay, PassesTheClientsResetOn) {
    Connected c;
    ASSERT_TRUE(send_all(c.client.get(), "x"));
    ASSERT_EQ(receive_exactly(c.server.get(), 1), "x");
    reset(std::move(c.client));
    EXPECT_EQ(end_of(c.server.get()), ECONNRESET);
    EXPECT_TRUE(c.ends());
}

TEST(Relay, PassesTheServersResetOn) {
    Connected c;
    ASSERT_TRUE(send_all(c.client.get(), "x"));
    ASSERT_EQ(receive_exactly(c.server.get(), 1), "x");
    reset(std::move(c.server));
    EXPECT_EQ(end_of(c.client.get()), ECONNRESET);
    EXPECT_TRUE(c.ends());
}

TEST(Relay, PassesTheServersResetOnAfterTheClientsEnd) {
    Connected c;
    ::shutdown(c.client.get(), SHUT_WR);
    ASSERT_EQ(end_of(c.server.get()), 0);
    reset(std::move(c.server));
    EXPECT_EQ(end_of(c.client.get()), ECONNRESET);
    EXPECT_TRUE(c.ends());
}

// On one CPU: with more, a reset can overtake the data in the loopback device's queues, which are per CPU.
TEST(Relay, DeliversWhatWasSentBeforeAReset) {
    const OneCpu one_cpu;
    Connected c;
    ::kill(c.forwarder.pid(), SIGSTOP); // so that data and reset are there together
    const std::string bytes(20'000, 'r');
    ASSERT_TRUE(send_all(c.server.get(), bytes));
    reset(std::move(c.server));
    ::kill(c.forwarder.pid(), SIGCONT);
    EXPECT_EQ(receive_exactly(c.client.get(), bytes.size()), bytes);
    EXPECT_EQ(end_of(c.client.get()), ECONNRESET);
}

// A reset right after the accept may come before, with or after the forwarder's learning that it is connected.
TEST(Relay, NeverTakesACutForAnEnd) {
    ForwarderProcess forwarder;
    auto listener = listen_tcp();
    const int port = forwarder.publish("p", port_of(listener.get()));
    for (int i = 0; i < 300; ++i) {
        auto client = connect_tcp(port);
        auto server = accept_tcp(listener.get());
        ASSERT_TRUE(send_all(server.get(), "half of the ans"));
        reset(std::move(server));
        ASSERT_EQ(end_of(client.get()), ECONNRESET) << "in round " << i;
    }
}

TEST(Relay, ResetsTheServerWhenTheClientClosesInTheMiddle) {
    Connected c;
    auto sent = std::async(std::launch::async, [&] { return send_pattern(c.server.get(), kMany); });
    ASSERT_EQ(receive_exactly(c.client.get(), 1 << 20).size(), 1U << 20);
    c.client.reset(); // unread data: a reset
    EXPECT_FALSE(sent.get());
    EXPECT_TRUE(c.ends());
}

TEST(Relay, CutsTheClientWhereNobodyListensInTheContainer) {
    ForwarderProcess forwarder;
    const int nobody = port_of(listen_tcp().get());
    const int port = forwarder.publish("p", nobody);
    auto client = connect_tcp(port);
    ASSERT_TRUE(client);
    EXPECT_EQ(end_of(client.get()), ECONNRESET);
    const auto figures = forwarder.port("p");
    EXPECT_EQ(figures["failed"], 1);
    EXPECT_EQ(figures["connections"], 0);
}

TEST(Relay, HoldsNoMoreThanAPipeForASlowReader) {
    Connected c;
    ASSERT_TRUE(send_all(c.client.get(), "x"));
    ASSERT_EQ(receive_exactly(c.server.get(), 1), "x");
    const auto before = c.forwarder.resident_bytes();
    std::atomic<std::uint64_t> sent = 0;
    std::thread sender([&] {
        const std::string block(64 * 1024, 'z');
        while (sent < kMany && send_all(c.server.get(), block))
            sent += block.size();
        ::shutdown(c.server.get(), SHUT_WR);
    });
    std::uint64_t last = 1;
    EXPECT_TRUE(eventually([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return std::exchange(last, sent) == sent;
    })) << "the sender is never held up";
    EXPECT_LT(sent, kMany / 2);
    EXPECT_LE(c.forwarder.pipes(), 2U); // its own, and one for all others
    if (!kSanitized) {
        EXPECT_LT(c.forwarder.resident_bytes(), before + (1 << 20));
    }
    const auto cpu = c.forwarder.cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_LT(c.forwarder.cpu_seconds(), cpu + 0.1) << "it spins";
    std::uint64_t got = 0;
    for (std::string part; !(part = receive_exactly(c.client.get(), 1 << 20)).empty();)
        got += part.size();
    sender.join();
    EXPECT_EQ(got, kMany);
}

// With room for two pipes (one per container at most half: one), the other slow readers are served by copying.
TEST(Relay, WorksWithoutPipes) {
    ForwarderProcess forwarder({.pipes = {.pages = 2, .highest_fd = 1 << 20, .pipe_bytes = 4096}});
    auto listener = listen_tcp();
    const int port = forwarder.publish("p", port_of(listener.get()));
    constexpr std::uint64_t kBytes = 12 << 20; // more than the sockets' buffers take
    std::vector<UniqueFd> clients, servers;
    std::vector<std::future<bool>> senders;
    for (int i = 0; i < 6; ++i) {
        clients.push_back(connect_tcp(port));
        servers.push_back(accept_tcp(listener.get()));
        senders.push_back(std::async(std::launch::async, [socket = servers.back().get()] {
            const bool done = send_pattern(socket, kBytes);
            ::shutdown(socket, SHUT_WR);
            return done;
        }));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LE(forwarder.pipes(), 2U);
    auto client = connect_tcp(port);
    auto server = accept_tcp(listener.get());
    ASSERT_TRUE(send_all(client.get(), "still there?"));
    EXPECT_EQ(receive_exactly(server.get(), 12), "still there?");
    for (auto& slow : clients)
        EXPECT_EQ(receive_pattern(slow.get()), kBytes);
    for (auto& sender : senders)
        EXPECT_TRUE(sender.get());
}

TEST(Relay, CarriesUrgentDataInLine) {
    Connected c;
    ASSERT_TRUE(send_all(c.client.get(), "before"));
    ASSERT_EQ(::send(c.client.get(), "!", 1, MSG_OOB), 1);
    ASSERT_TRUE(send_all(c.client.get(), "after"));
    EXPECT_EQ(receive_exactly(c.server.get(), 12), "before!after");
    ASSERT_TRUE(send_all(c.client.get(), std::string(100'000, 'y')));
    EXPECT_EQ(receive_exactly(c.server.get(), 100'000), std::string(100'000, 'y'));
}

TEST(Relay, DoesNotDelaySmallWrites) {
    Connected c;
    const int on = 1;
    ::setsockopt(c.client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(c.server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(send_all(c.client.get(), "a"));
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // so that it travels alone
        ASSERT_TRUE(send_all(c.client.get(), "b"));
        ASSERT_EQ(receive_exactly(c.server.get(), 2), "ab");
        ASSERT_TRUE(send_all(c.server.get(), "c"));
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // so that it travels alone
        ASSERT_TRUE(send_all(c.server.get(), "d"));
        ASSERT_EQ(receive_exactly(c.client.get(), 2), "cd");
    }
    // Nagle's algorithm against delayed acknowledgements would cost 40 ms a round.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1000));
}

TEST(Relay, CarriesTwoThousandConnectionsAtOnce) {
    constexpr std::size_t kConnections = 2000;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    ASSERT_GE(files.rlim_max, 3 * kConnections) << "raise the hard limit of open files";
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    const auto before = forwarder.resident_bytes();
    std::vector<UniqueFd> clients;
    for (std::size_t i = 0; i < kConnections; ++i) {
        clients.push_back(connect_tcp(port));
        ASSERT_TRUE(clients.back());
    }
    for (std::size_t i = 0; i < kConnections; ++i)
        ASSERT_TRUE(send_all(clients[i].get(), "number " + std::to_string(i)));
    for (std::size_t i = 0; i < kConnections; ++i)
        ASSERT_EQ(receive_exactly(clients[i].get(), ("number " + std::to_string(i)).size()),
                  "number " + std::to_string(i));
    EXPECT_EQ(forwarder.port("p")["connections"], kConnections);
    EXPECT_LE(forwarder.pipes(), 32U);
    const auto per_connection = (forwarder.resident_bytes() - before) / kConnections;
    RecordProperty("bytes_per_connection", static_cast<int>(per_connection));
    if (!kSanitized) {
        EXPECT_LT(per_connection, 1024U);
    }
    clients.clear();
    EXPECT_TRUE(eventually([&] { return forwarder.port("p")["connections"] == 0; }));
}

} // namespace
} // namespace squish::forward::test
