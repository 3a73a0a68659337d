// What a payload sees of a client whose address the forwarder takes: a real slot, real routes, no other machine needed.
#include "base/client_route.h"
#include "forward/udp_rule.h"
#include "forward/upstream.h"
#include "network/network.h"

#include "user_network.h"

#include <array>
#include <gmock/gmock.h>

namespace squish {
namespace {

using namespace squish::test;
using forward::Address;
using forward::Upstreams;
using forward::Way;

class ClientAddress : public ::testing::Test {
protected:
    void SetUp() override { SKIP_AS_ROOT(); }
};

constexpr int kPort = 80;

// A server's socket on all addresses of both families, in the namespace that the caller is in.
UniqueFd serve(int type, int port = kPort) {
    UniqueFd socket(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
    const int off = 0, on = 1;
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const timeval patience{5, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0) << std::strerror(errno);
    if (type == SOCK_STREAM) {
        EXPECT_EQ(::listen(socket.get(), 8), 0);
    }
    return socket;
}

std::string text_of(const sockaddr_in6& peer) {
    char text[INET6_ADDRSTRLEN];
    if (IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr))
        ::inet_ntop(AF_INET, &peer.sin6_addr.s6_addr[12], text, sizeof text);
    else
        ::inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text);
    return std::string(text) + " " + std::to_string(ntohs(peer.sin6_port));
}

std::string receive(int socket) {
    pollfd waiting{socket, POLLIN, 0};
    std::array<char, 256> buffer{};
    const auto got = ::poll(&waiting, 1, 5000) == 1 ? ::recv(socket, buffer.data(), buffer.size(), 0) : -1;
    return got < 0 ? "nothing: " + std::string(std::strerror(errno))
                   : std::string(buffer.data(), static_cast<std::size_t>(got));
}

// Who a TCP server says that its client is, after words have gone both ways through `upstream`.
std::string tcp_peer(int listener, int upstream) {
    sockaddr_in6 peer{};
    socklen_t size = sizeof peer;
    const UniqueFd accepted(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
    if (!accepted)
        return "no connection: " + std::string(std::strerror(errno));
    EXPECT_EQ(::send(upstream, "ping", 4, MSG_NOSIGNAL), 4) << std::strerror(errno);
    EXPECT_EQ(receive(accepted.get()), "ping");
    EXPECT_EQ(::send(accepted.get(), "pong", 4, MSG_NOSIGNAL), 4);
    EXPECT_EQ(receive(upstream), "pong");
    return text_of(peer);
}

std::string udp_peer(int server, int upstream) {
    EXPECT_EQ(::send(upstream, "ping", 4, 0), 4) << std::strerror(errno);
    sockaddr_in6 peer{};
    socklen_t size = sizeof peer;
    std::array<char, 16> buffer{};
    if (::recvfrom(server, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size) != 4)
        return "no datagram: " + std::string(std::strerror(errno));
    EXPECT_EQ(::sendto(server, "pong", 4, 0, reinterpret_cast<const sockaddr*>(&peer), size), 4)
        << std::strerror(errno);
    EXPECT_EQ(receive(upstream), "pong");
    return text_of(peer);
}

struct Case {
    const char* client;
    int port;
    std::string expected; // empty: the container's own address
};

Way way_for(const std::shared_ptr<const forward::NetworkNamespace>& where, const network::Slot& slot, const Case& one) {
    const bool ipv6 = std::strchr(one.client, ':') != nullptr;
    return Way{where,
               *Address::parse(ipv6 ? slot.attachments.front().address6 : slot.attachments.front().address, kPort),
               std::nullopt, *Address::parse(one.client, one.port), true};
}

void in_slot(const std::function<void(network::Network&, const network::Slot&, Upstreams&,
                                      const std::shared_ptr<const forward::NetworkNamespace>&)>& body) {
    in_user_network([&] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        auto upstreams = MUST(Upstreams::create());
        auto where = MUST(forward::NetworkNamespace::adopt(UniqueFd(::fcntl(slot.netns.get(), F_DUPFD_CLOEXEC, 0))));
        body(network, slot, upstreams, std::make_shared<const forward::NetworkNamespace>(std::move(where)));
    });
}

TEST_F(ClientAddress, IsSeenByATcpServer) {
    in_slot([](auto&, const auto& slot, auto& upstreams, const auto& where) {
        const auto listener = inside_of(slot.netns.get(), [] { return serve(SOCK_STREAM); });
        for (const Case& one :
             {Case{"203.0.113.9", 4242, "203.0.113.9 4242"}, Case{"192.168.1.7", 50000, "192.168.1.7 50000"},
              Case{"10.89.4.4", 4242, "10.89.4.4 4242"}, Case{"2001:db8::9", 4242, "2001:db8::9 4242"}}) {
            const auto upstream = MUST(upstreams.connect_tcp(way_for(where, slot, one)));
            upstreams.go_home();
            EXPECT_EQ(tcp_peer(listener.get(), upstream.get()), one.expected);
        }
    });
}

TEST_F(ClientAddress, OfLoopbackIsNeverTaken) {
    in_slot([](auto&, const auto& slot, auto& upstreams, const auto& where) {
        const auto listener = inside_of(slot.netns.get(), [] { return serve(SOCK_STREAM); });
        for (const Case& one : {Case{"127.0.0.1", 4242, slot.attachments.front().address},
                                Case{"127.1.2.3", 4242, slot.attachments.front().address},
                                Case{"::1", 4242, slot.attachments.front().address6},
                                Case{"fe80::1", 4242, slot.attachments.front().address6}}) {
            const auto upstream = MUST(upstreams.connect_tcp(way_for(where, slot, one)));
            upstreams.go_home();
            EXPECT_THAT(tcp_peer(listener.get(), upstream.get()), ::testing::StartsWith(one.expected + " "));
        }
    });
}

// Or a client would wait for a minute where it should be refused.
TEST_F(ClientAddress, IsRefusedAtOnceWhereNobodyListens) {
    in_slot([](auto&, const auto& slot, auto& upstreams, const auto& where) {
        for (const int family : {AF_INET, AF_INET6})
            MUST_VOID(upstreams.change_udp_rule(Upstreams::Rule::add, *where, family, kPort));
        for (const Case& one : {Case{"203.0.113.9", 4242, ""}, Case{"2001:db8::9", 4242, ""}}) {
            const auto tcp = MUST(upstreams.connect_tcp(way_for(where, slot, one)));
            const auto udp = MUST(upstreams.connect_udp(way_for(where, slot, one)));
            upstreams.go_home();
            EXPECT_EQ(::send(udp.get(), "x", 1, 0), 1);
            for (const auto* socket : {&tcp, &udp}) {
                pollfd waiting{socket->get(), POLLIN, 0};
                ASSERT_EQ(::poll(&waiting, 1, 3000), 1) << one.client;
                int error = 0;
                socklen_t length = sizeof error;
                ::getsockopt(socket->get(), SOL_SOCKET, SO_ERROR, &error, &length);
                EXPECT_EQ(error, ECONNREFUSED);
            }
        }
    });
}

// Two published ports may lead the same client's port to one place.
TEST_F(ClientAddress, IsKeptWhereItsPortIsTaken) {
    in_slot([](auto&, const auto& slot, auto& upstreams, const auto& where) {
        const auto listener = inside_of(slot.netns.get(), [] { return serve(SOCK_STREAM); });
        const Case one{"203.0.113.9", 4242, ""};
        const auto first = MUST(upstreams.connect_tcp(way_for(where, slot, one)));
        const auto second = MUST(upstreams.connect_tcp(way_for(where, slot, one)));
        upstreams.go_home();
        EXPECT_EQ(tcp_peer(listener.get(), first.get()), "203.0.113.9 4242");
        const auto other = tcp_peer(listener.get(), second.get());
        EXPECT_THAT(other, ::testing::StartsWith("203.0.113.9 "));
        EXPECT_NE(other, "203.0.113.9 4242");
    });
}

TEST_F(ClientAddress, IsSeenByAUdpServer) {
    in_slot([](auto&, const auto& slot, auto& upstreams, const auto& where) {
        const auto server = inside_of(slot.netns.get(), [] { return serve(SOCK_DGRAM); });
        for (const int family : {AF_INET, AF_INET6})
            MUST_VOID(upstreams.change_udp_rule(Upstreams::Rule::add, *where, family, kPort));
        for (const Case& one :
             {Case{"203.0.113.9", 4242, "203.0.113.9 4242"}, Case{"2001:db8::9", 4242, "2001:db8::9 4242"}}) {
            const auto upstream = MUST(upstreams.connect_udp(way_for(where, slot, one)));
            upstreams.go_home();
            for (int i = 0; i < 3; ++i)
                EXPECT_EQ(udp_peer(server.get(), upstream.get()), one.expected);
        }
        // Those who cannot be told from siblings, or from the payload itself, are not impersonated.
        for (const Case& one : {Case{"10.89.4.4", 4242, slot.attachments.front().address},
                                Case{"127.0.0.1", 4242, slot.attachments.front().address}}) {
            const auto upstream = MUST(upstreams.connect_udp(way_for(where, slot, one)));
            upstreams.go_home();
            EXPECT_THAT(udp_peer(server.get(), upstream.get()), ::testing::StartsWith(one.expected + " "));
        }
    });
}

// The rule for UDP answers must not catch what a payload says to a sibling from the same port.
TEST_F(ClientAddress, SiblingsAreReachedFromAPublishedUdpPort) {
    in_slot([](auto& network, const auto& slot, auto& upstreams, const auto& where) {
        MUST_VOID(upstreams.change_udp_rule(Upstreams::Rule::add, *where, AF_INET, kPort));
        MUST_VOID(upstreams.change_udp_rule(Upstreams::Rule::add, *where, AF_INET6, kPort));
        upstreams.go_home();
        const auto sibling = MUST(network.acquire());
        const auto theirs = inside_of(sibling.netns.get(), [] { return serve(SOCK_DGRAM); });
        const auto ours = inside_of(slot.netns.get(), [] { return serve(SOCK_DGRAM); });
        for (const auto& address :
             {"::ffff:" + sibling.attachments.front().address, sibling.attachments.front().address6}) {
            sockaddr_in6 to{};
            to.sin6_family = AF_INET6;
            to.sin6_port = htons(kPort);
            ASSERT_EQ(::inet_pton(AF_INET6, address.c_str(), &to.sin6_addr), 1);
            ASSERT_EQ(::sendto(ours.get(), "hi", 2, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 2);
            EXPECT_EQ(receive(theirs.get()), "hi") << address;
        }
    });
}

// A forwarder that died has left its rules: the next container of that slot does not inherit them.
TEST_F(ClientAddress, RulesForUdpDoNotOutliveTheContainer) {
    in_slot([](auto& network, const auto& slot, auto& upstreams, const auto& where) {
        for (const int family : {AF_INET, AF_INET, AF_INET6})
            MUST_VOID(upstreams.change_udp_rule(Upstreams::Rule::add, *where, family, kPort));
        upstreams.go_home();
        // Its netlink sockets are gone when the kernel has counted them out.
        ASSERT_TRUE(eventually([&] {
            auto released = network.release(slot.number);
            if (released && *released)
                return true;
            auto again = network.acquire();
            return again && again->number == slot.number;
        }));
        in_netns(slot.netns.get(), [] {
            EXPECT_EQ(forward::remove_udp_rule(AF_INET, kPort).error().sys_errno, ENOENT);
            EXPECT_EQ(forward::remove_udp_rule(AF_INET6, kPort).error().sys_errno, ENOENT);
        });
    });
}

// A payload cannot do the same: not without a capability over its network namespace, which it never has.
TEST_F(ClientAddress, APayloadCannotTakeOne) {
    in_slot([](auto&, const auto& slot, auto&, const auto&) {
        as_payload(slot.netns.get(), [] {
            const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            const int on = 1, mark = static_cast<int>(client_route::kMark);
            EXPECT_EQ(::setsockopt(socket.get(), IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on), -1);
            EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), -1);
            EXPECT_FALSE(forward::add_udp_rule(AF_INET, kPort));
        });
    });
}

} // namespace
} // namespace squish
