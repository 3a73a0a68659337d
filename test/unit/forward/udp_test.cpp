// UDP ports: flows, their limit, refusals, and what is left.

#include "forward/address.h"
#include "harness.h"

#include <arpa/inet.h>
#include <atomic>
#include <fstream>
#include <sys/socket.h>

namespace squish::forward::test {
namespace {

using wire::Json;

constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};

UniqueFd udp_socket(int family = AF_INET) {
    UniqueFd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* address =
        family == AF_INET6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
    EXPECT_EQ(::bind(socket.get(), address, family == AF_INET6 ? sizeof v6 : sizeof v4), 0);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    return socket;
}

UniqueFd udp_client(int port) {
    auto socket = udp_socket();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return socket;
}

std::string receive(int socket) {
    std::string text(65536, '\0');
    const auto got = ::recv(socket, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return got < 0 ? "nothing" : text;
}

// The payload, played by the test: one datagram comes, and goes back where it came from.
struct Seen {
    std::string text;
    std::string from; // the bytes of an address
};
Seen echo_one(int server) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    Seen seen;
    seen.text.resize(65536);
    const auto got =
        ::recvfrom(server, seen.text.data(), seen.text.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size);
    seen.text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got < 0)
        seen.text = "nothing";
    seen.from = Address::from(peer).bytes();
    EXPECT_EQ(::sendto(server, seen.text.data(), seen.text.size(), 0, reinterpret_cast<const sockaddr*>(&peer), size),
              static_cast<ssize_t>(seen.text.size()));
    return seen;
}

// Publishes a fresh UDP socket; its port.
int publish_udp(ForwarderProcess& forwarder, const std::string& key, int target_port, Json more = Json::object()) {
    const auto socket = udp_socket();
    more["protocol"] = "udp";
    const auto answer = forwarder.publish_listener(key, socket.get(), target_port, more);
    EXPECT_TRUE(answer.value("ok", false)) << answer;
    return port_of(socket.get());
}

TEST(Udp, DatagramsGoBothWaysWholeAndInOneFlowPerClient) {
    ForwarderProcess forwarder;
    const auto server = udp_socket();
    const int port = publish_udp(forwarder, "u", port_of(server.get()));
    const auto one = udp_client(port), two = udp_client(port);
    const std::string texts[] = {"hello", "", std::string(60000, 'x')};
    std::string first_from;
    for (const auto& text : texts)
        for (const auto* client : {&one, &two}) {
            ASSERT_EQ(::send(client->get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
            const auto seen = echo_one(server.get());
            EXPECT_EQ(seen.text, text);
            EXPECT_EQ(receive(client->get()), text);
            if (client == &one) {
                EXPECT_TRUE(first_from.empty() || first_from == seen.from) << "the same client by another way";
                first_from = seen.from;
            }
        }
    const auto figures = forwarder.port("u");
    EXPECT_EQ(figures["accepted"], 2);
    EXPECT_EQ(figures["connections"], 2);
    EXPECT_EQ(figures["bytes_in"], 2 * 60005);
    EXPECT_EQ(figures["bytes_out"], 2 * 60005);
}

TEST(Udp, FlowsAreLimitedAndTheSilentOnesGoFirst) {
    ForwarderProcess forwarder;
    const auto server = udp_socket();
    const int port = publish_udp(forwarder, "u", port_of(server.get()), {{"max_connections", 8}});
    // One that has been answered is worth more than a hundred that may be invented.
    const auto steady = udp_client(port);
    ASSERT_EQ(::send(steady.get(), "steady", 6, 0), 6);
    EXPECT_EQ(echo_one(server.get()).text, "steady");
    EXPECT_EQ(receive(steady.get()), "steady");
    const auto fds = forwarder.open_fds();
    std::vector<UniqueFd> crowd;
    for (int i = 0; i < 100; ++i) {
        crowd.push_back(udp_client(port));
        ASSERT_EQ(::send(crowd.back().get(), "x", 1, 0), 1);
        EXPECT_EQ(receive(server.get()), "x"); // each of them gets through, none is answered
    }
    EXPECT_LE(forwarder.open_fds(), fds + 8);
    EXPECT_EQ(forwarder.port("u")["connections"], 8);
    ASSERT_EQ(::send(steady.get(), "again", 5, 0), 5);
    EXPECT_EQ(echo_one(server.get()).text, "again");
    EXPECT_EQ(receive(steady.get()), "again");
    EXPECT_EQ(forwarder.port("u")["accepted"], 101) << "its flow was there all the time";
}

TEST(Udp, ARefusalHarmsNobodyElse) {
    ForwarderProcess forwarder;
    int nobody = 0;
    {
        const auto gone = udp_socket();
        nobody = port_of(gone.get());
    }
    const int port = publish_udp(forwarder, "u", nobody);
    const auto client = udp_client(port);
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(::send(client.get(), "x", 1, 0), 1);
        EXPECT_TRUE(eventually([&] { return forwarder.port("u")["connections"] == 1; }));
    }
    const auto server = udp_socket();
    const int other = publish_udp(forwarder, "v", port_of(server.get()));
    const auto second = udp_client(other);
    ASSERT_EQ(::send(second.get(), "y", 1, 0), 1);
    EXPECT_EQ(echo_one(server.get()).text, "y");
    EXPECT_EQ(receive(second.get()), "y");
}

TEST(Udp, ThePayloadMayListenOnTheOtherFamilyOnly) {
    ForwarderProcess forwarder;
    const auto server = udp_socket(AF_INET6);
    const int server_port = ntohs([&] {
        sockaddr_in6 own{};
        socklen_t size = sizeof own;
        EXPECT_EQ(::getsockname(server.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
        return own.sin6_port;
    }());
    const int port = publish_udp(forwarder, "u", server_port,
                                 {{"target", {{"address", "127.0.0.1"}, {"address6", "::1"}, {"port", server_port}}}});
    const auto client = udp_client(port);
    for (const std::string text : {"first", "second"}) { // refused on 127.0.0.1
        ASSERT_EQ(::send(client.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
        EXPECT_EQ(echo_one(server.get()).text, text);
        EXPECT_EQ(receive(client.get()), text);
    }
}

TEST(Udp, NothingIsLeftOfAPortThatWasTakenBack) {
    ForwarderProcess forwarder;
    const auto before = forwarder.open_fds();
    const auto server = udp_socket();
    const int port = publish_udp(forwarder, "u", port_of(server.get()));
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(udp_client(port));
        ASSERT_EQ(::send(clients.back().get(), "x", 1, 0), 1);
        EXPECT_EQ(receive(server.get()), "x");
    }
    EXPECT_EQ(forwarder.call({{"op", "unpublish"}, {"container", "c"}, {"key", "u"}})["ok"], true);
    EXPECT_TRUE(eventually([&] { return forwarder.open_fds() == before; }));
    UniqueFd again(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in same{};
    same.sin_family = AF_INET;
    same.sin_port = htons(static_cast<std::uint16_t>(port));
    same.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(again.get(), reinterpret_cast<const sockaddr*>(&same), sizeof same), 0) << "the port is free";
}

TEST(Udp, WhatIsNoUdpSocketIsRefused) {
    ForwarderProcess forwarder;
    const auto listener = listen_tcp();
    auto answer = forwarder.publish_listener("u", listener.get(), 1, {{"protocol", "udp"}});
    EXPECT_EQ(answer["error"]["kind"], "invalid");
    const auto socket = udp_socket();
    answer = forwarder.publish_listener("t", socket.get(), 1);
    EXPECT_EQ(answer["error"]["kind"], "invalid");
    answer = forwarder.publish_listener("s", socket.get(), 1, {{"protocol", "sctp"}});
    EXPECT_EQ(answer["error"]["kind"], "unsupported");
}

TEST(Addresses, OfLoopbackAndTheLikeAreNotShown) {
    const auto shown = [](const char* text) { return Address::parse(text, 1)->may_be_shown(); };
    for (const auto* text : {"192.0.2.1", "10.0.0.1", "8.8.8.8", "2001:db8::1", "fd00::1"})
        EXPECT_TRUE(shown(text)) << text;
    for (const auto* text : {"127.0.0.1", "127.255.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1",
                             "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1"})
        EXPECT_FALSE(shown(text)) << text;
    EXPECT_TRUE(Address::parse("10.89.3.4", 1)->is_sibling());
    EXPECT_FALSE(Address::parse("10.90.0.1", 1)->is_sibling());
    EXPECT_TRUE(Address::parse("fd73:7175:6973:1::2", 1)->is_sibling());
    EXPECT_FALSE(Address::parse("fd73:7175:6974::2", 1)->is_sibling());
}

// Whether /proc/net/tcp has a connection in SYN_RECV at that port.
bool has_open_handshake(int port) {
    char wanted[16];
    std::snprintf(wanted, sizeof wanted, ":%04X ", port);
    std::ifstream table("/proc/net/tcp");
    for (std::string line; std::getline(table, line);)
        if (line.contains(wanted) && line.find(wanted) < 20 && line.substr(34, 2) == "03")
            return true;
    return false;
}

// Clients that come while a port is being drained and closed: whoever has got a connection keeps it.
TEST(Port, DrainedAndClosedItCutsNobodyWhoIsConnected) {
    constexpr std::size_t kConnections = 100;
    ForwarderProcess forwarder;
    EchoServer server;
    for (int round = 0; round < 20; ++round) {
        auto listener = listen_tcp();
        ASSERT_TRUE(forwarder.publish_listener("p", listener.get(), server.port())["ok"]);
        const int port = port_of(listener.get());
        listener.reset();
        std::atomic<bool> stop = false;
        std::atomic<int> tried = 0;
        std::vector<UniqueFd> connected;
        std::thread clients([&] {
            // No more than the forwarder has descriptors for: for want of them it cuts who waits longest.
            while (!stop && connected.size() < kConnections) {
                UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
                sockaddr_in to{};
                to.sin_family = AF_INET;
                to.sin_port = htons(static_cast<std::uint16_t>(port));
                to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                (void) ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
                connected.push_back(std::move(socket));
                ++tried;
                tried.notify_one();
                std::this_thread::sleep_for(std::chrono::microseconds(100)); // not to run out of descriptors
            }
        });
        for (int seen = tried; seen < 5; seen = tried) // drained while some are connecting
            tried.wait(seen);
        EXPECT_EQ(forwarder.call({{"op", "drain"}, {"container", "c"}, {"key", "p"}})["ok"], true);
        ASSERT_TRUE(eventually([&] { return !has_open_handshake(port); }));
        EXPECT_EQ(forwarder.call({{"op", "unpublish"}, {"container", "c"}, {"key", "p"}})["ok"], true);
        stop = true;
        clients.join();
        std::size_t alive = 0;
        for (auto& socket : connected) {
            int error = 0;
            socklen_t size = sizeof error;
            sockaddr_in peer{};
            socklen_t length = sizeof peer;
            ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
            EXPECT_NE(error, ECONNRESET); // refused is another error
            if (::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &length) < 0)
                continue; // never got a connection, or is still trying
            ++alive;
        }
        EXPECT_GT(alive, 0U);
    }
    EXPECT_EQ(forwarder.call({{"op", "drain"}, {"container", "c"}, {"key", "p"}})["error"]["kind"], "not_found");
}

} // namespace
} // namespace squish::forward::test
