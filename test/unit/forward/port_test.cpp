// Listeners and their connections: replacing, closing, releasing, and what happens at a limit.

#include "harness.h"

#include <csignal>
#include <future>
#include <poll.h>
#include <sys/socket.h>

namespace squish::forward::test {
namespace {

using wire::Json;

bool has_answer(int socket, int milliseconds) {
    pollfd waiting{socket, POLLIN, 0};
    return ::poll(&waiting, 1, milliseconds) == 1;
}

TEST(Port, LeavesEstablishedConnectionsWhenItIsUnpublished) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    auto client = connect_tcp(port);
    ASSERT_TRUE(echoes(client.get(), "before"));
    EXPECT_EQ(forwarder.call({{"op", "unpublish"}, {"container", "c"}, {"key", "p"}})["ok"], true);
    EXPECT_TRUE(echoes(client.get(), "after"));
    EXPECT_FALSE(connect_tcp(port)) << "somebody still listens";
    EXPECT_TRUE(forwarder.port("p").empty());
    const auto again = forwarder.call({{"op", "unpublish"}, {"container", "c"}, {"key", "p"}});
    EXPECT_EQ(again["error"]["kind"], "not_found");
}

TEST(Port, RefusesWhoComesAfterItIsDrainedAndServesWhoCameBefore) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    ::kill(forwarder.pid(), SIGSTOP);
    const auto waiting = connect_tcp(port); // in the backlog
    forwarder.send({{"op", "drain"}, {"container", "c"}, {"key", "p"}});
    ::kill(forwarder.pid(), SIGCONT);
    EXPECT_EQ(forwarder.receive()["ok"], true);
    EXPECT_FALSE(connect_tcp(port)) << "the drained listener is still found";
    EXPECT_FALSE(forwarder.port("p").empty()) << "it is not taken back yet";
    EXPECT_TRUE(echoes(waiting.get(), "let in"));
}

// More clients than one turn accepts are in the backlog when the request comes: for them, the connection exists.
TEST(Port, LetsInWhoWasInTheBacklogWhenItIsUnpublished) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    ::kill(forwarder.pid(), SIGSTOP);
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 200; ++i)
        clients.push_back(connect_tcp(port));
    forwarder.send({{"op", "unpublish"}, {"container", "c"}, {"key", "p"}});
    ::kill(forwarder.pid(), SIGCONT);
    EXPECT_EQ(forwarder.receive()["ok"], true);
    for (auto& client : clients)
        ASSERT_TRUE(echoes(client.get(), "hello"));
}

TEST(Port, IsReplacedByOneOfTheSameKey) {
    ForwarderProcess forwarder;
    EchoServer server, other_server;
    const int old_port = forwarder.publish("p", server.port());
    auto client = connect_tcp(old_port);
    ASSERT_TRUE(echoes(client.get(), "old"));
    const int new_port = forwarder.publish("p", other_server.port());
    EXPECT_FALSE(connect_tcp(old_port));
    auto new_client = connect_tcp(new_port);
    EXPECT_TRUE(echoes(new_client.get(), "new"));
    EXPECT_TRUE(echoes(client.get(), "still"));
    const auto figures = forwarder.port("p");
    EXPECT_EQ(figures["accepted"], 2);
    EXPECT_EQ(figures["bytes_in"], 3 + 3 + 5);
}

TEST(Port, CanBeReplacedByTheVerySameListener) {
    ForwarderProcess forwarder;
    EchoServer server;
    auto listener = listen_tcp();
    ASSERT_EQ(forwarder.publish_listener("p", listener.get(), server.port())["ok"], true);
    auto client = connect_tcp(port_of(listener.get()));
    const auto fds = forwarder.open_fds();
    for (int i = 0; i < 100; ++i)
        ASSERT_EQ(forwarder.publish_listener("p", listener.get(), server.port())["ok"], true);
    EXPECT_TRUE(echoes(client.get(), "old"));
    auto new_client = connect_tcp(port_of(listener.get()));
    EXPECT_TRUE(echoes(new_client.get(), "new"));
    // Both connections have their two sockets now, and there may be a pipe.
    EXPECT_LE(forwarder.open_fds(), fds + 6);
}

TEST(Port, StaysAsItWasWhenItsReplacementIsRefused) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    UniqueFd not_listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(forwarder.publish_listener("p", not_listening.get(), server.port())["error"]["kind"], "invalid");
    auto client = connect_tcp(port);
    EXPECT_TRUE(echoes(client.get(), "still"));
}

TEST(Port, StandsBesideOthersOfItsContainer) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int one = forwarder.publish("1", server.port());
    const int two = forwarder.publish("2", server.port());
    auto first = connect_tcp(one), second = connect_tcp(two);
    EXPECT_TRUE(echoes(first.get(), "one"));
    EXPECT_TRUE(echoes(second.get(), "two"));
    EXPECT_EQ(forwarder.port("1")["connections"], 1);
    EXPECT_EQ(forwarder.port("2")["connections"], 1);
}

TEST(Port, IsClosedWithItsConnectionsByRelease) {
    ForwarderProcess forwarder;
    EchoServer server;
    const auto fds = forwarder.open_fds();
    const int one = forwarder.publish("1", server.port());
    const int two = forwarder.publish("2", server.port());
    auto first = connect_tcp(one), second = connect_tcp(two);
    ASSERT_TRUE(echoes(first.get(), "one"));
    ASSERT_TRUE(echoes(second.get(), "two"));
    const auto answer = forwarder.call({{"op", "release"}, {"container", "c"}});
    EXPECT_EQ(answer["closed"], 2);
    EXPECT_EQ(answer["lingering"], 0);
    EXPECT_EQ(end_of(first.get()), ECONNRESET);
    EXPECT_EQ(end_of(second.get()), ECONNRESET);
    EXPECT_FALSE(connect_tcp(one));
    EXPECT_TRUE(eventually([&] { return forwarder.open_fds() <= fds + 2; })) << "something leaked beside one free pipe";
    EXPECT_EQ(forwarder.call({{"op", "release"}, {"container", "c"}})["closed"], 0);
}

TEST(Port, IsReleasedWithoutLosingWhatTheContainerHadSent) {
    ForwarderProcess forwarder;
    auto listener = listen_tcp();
    const int port = forwarder.publish("p", port_of(listener.get()));
    auto client = connect_tcp(port);
    auto server = accept_tcp(listener.get());
    constexpr std::uint64_t kBytes = 64 << 20;
    auto sent = std::async(std::launch::async, [&] {
        const bool done = send_pattern(server.get(), kBytes);
        server.reset();
        return done;
    });
    ASSERT_TRUE(has_answer(client.get(), 5000));
    const auto answer = forwarder.call({{"op", "release"}, {"container", "c"}, {"linger_ms", 60000}});
    EXPECT_EQ(answer["closed"], 0);
    EXPECT_EQ(answer["lingering"], 1);
    EXPECT_FALSE(connect_tcp(port));
    EXPECT_EQ(receive_pattern(client.get()), kBytes);
    EXPECT_EQ(end_of(client.get()), 0);
    EXPECT_TRUE(sent.get());
}

TEST(Port, EndsLingeringConnectionsInTime) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    auto client = connect_tcp(port);
    ASSERT_TRUE(echoes(client.get(), "x"));
    EXPECT_EQ(forwarder.call({{"op", "release"}, {"container", "c"}, {"linger_ms", 300}})["lingering"], 1);
    EXPECT_TRUE(echoes(client.get(), "y"));
    // The name is free meanwhile.
    auto other = connect_tcp(forwarder.publish("p", server.port()));
    EXPECT_EQ(end_of(client.get()), ECONNRESET);
    EXPECT_TRUE(echoes(other.get(), "z"));
}

TEST(Port, HoldsTheContainersLimitAndLetsTheNextInWhenOneEnds) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port(), {{"max_connections", 5}});
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 7; ++i) {
        clients.push_back(connect_tcp(port)); // the last two wait in the backlog
        ASSERT_TRUE(send_all(clients.back().get(), "hello"));
    }
    for (std::size_t i = 0; i < 5; ++i)
        ASSERT_EQ(receive_exactly(clients[i].get(), 5), "hello");
    EXPECT_FALSE(has_answer(clients[5].get(), 200));
    EXPECT_EQ(forwarder.port("p")["connections"], 5);
    clients[2].reset();
    EXPECT_EQ(receive_exactly(clients[5].get(), 5), "hello");
    EXPECT_FALSE(has_answer(clients[6].get(), 200));
    clients[0].reset();
    EXPECT_EQ(receive_exactly(clients[6].get(), 5), "hello");
}

TEST(Port, WaitsWithoutSpinningWhereDescriptorsRunOut) {
    ForwarderProcess forwarder({.max_fds = 128});
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 100; ++i) {
        clients.push_back(connect_tcp(port));
        ASSERT_TRUE(send_all(clients.back().get(), "hello"));
    }
    std::size_t served = 0;
    while (served < clients.size() && has_answer(clients[served].get(), 500))
        ++served;
    EXPECT_GE(served, 10U);
    EXPECT_LE(served, 64U);
    const auto cpu = forwarder.cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_LT(forwarder.cpu_seconds(), cpu + 0.1) << "it spins";
    // Requests are still served, with what they bring.
    const int other = forwarder.publish("q", server.port());
    EXPECT_EQ(forwarder.port("q")["connections"], 0);
    EXPECT_NE(other, port);
    // As connections end, all the others get their turn.
    for (auto& client : clients) {
        ASSERT_EQ(receive_exactly(client.get(), 5), "hello");
        client.reset();
    }
    EXPECT_EQ(forwarder.port("p")["failed"], 0);
}

TEST(Port, DoesNotSpinWhereAnotherHolderShutsTheListenerDown) {
    ForwarderProcess forwarder;
    EchoServer server;
    auto listener = listen_tcp();
    ASSERT_EQ(forwarder.publish_listener("p", listener.get(), server.port())["ok"], true);
    ::shutdown(listener.get(), SHUT_RDWR);
    EXPECT_FALSE(forwarder.port("p").empty());
    const auto cpu = forwarder.cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_LT(forwarder.cpu_seconds(), cpu + 0.1);
}

} // namespace
} // namespace squish::forward::test
