// The packet filter of the user's network, against a namespace that stands for the uplink and the world behind it.
#include "network/network.h"
#include "network/rules.h"
#include "user_network.h"

#include <gmock/gmock.h>

namespace squish::network {
namespace {

using namespace squish::test;
using ::testing::HasSubstr;

class NetworkFilter : public ::testing::Test {
protected:
    void SetUp() override { SKIP_AS_ROOT(); }
};

// A network namespace behind an interface "tap0": the uplink's side of it, without an uplink.
struct FarSide {
    UniqueFd netns;
    UniqueFd router, dns, elsewhere; // listeners: 10.0.2.2:80, 10.0.2.3:53, 198.51.100.1:80
};

void make_far_side(FarSide& far) {
    far.netns = inside_of(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), [] {
        EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
        return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    });
    const auto path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(far.netns.get());
    ASSERT_EQ(std::system(("ip link add tap0 type veth peer name far0 netns " + path +
                           " && ip address add 10.0.2.100/24 dev tap0 && ip link set tap0 up")
                              .c_str()),
              0);
    (void) inside_of(far.netns.get(), [&] {
        EXPECT_EQ(std::system("ip link set lo up && ip link set far0 up && ip address add 10.0.2.2/24 dev far0 && "
                              "ip address add 10.0.2.3/24 dev far0 && ip address add 198.51.100.1/32 dev lo && "
                              "ip route add 10.89.0.0/16 via 10.0.2.100"),
                  0);
        far.router = listen_tcp("10.0.2.2", 80);
        far.dns = listen_tcp("10.0.2.3", 53);
        far.elsewhere = listen_tcp("198.51.100.1", 80);
        return UniqueFd();
    });
    ASSERT_EQ(std::system("ip route add default via 10.0.2.2"), 0);
    auto netlink = MUST(Netlink::open());
    MUST_VOID(wait_until_operational(netlink, "tap0", std::chrono::seconds(5)));
}

TEST_F(NetworkFilter, ContainersReachTheWorldAndDnsButNothingElseOfTheUplink) {
    in_user_network([] {
        auto network = MUST(Network::open());
        const auto slot = MUST(network.acquire());
        FarSide far;
        make_far_side(far);
        as_payload(slot.netns.get(), [&] {
            EXPECT_EQ(connect_tcp("198.51.100.1", 80), 0);
            EXPECT_EQ(connect_tcp("10.0.2.3", 53), EHOSTUNREACH) << "squish-dns asks it, nobody else";
            EXPECT_EQ(connect_tcp("10.0.2.2", 80), EHOSTUNREACH) << "the router stands for the host";
            EXPECT_EQ(connect_tcp("10.0.2.3", 80), EHOSTUNREACH);
        });
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        const UniqueFd accepted(
            ::accept4(far.elsewhere.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
        EXPECT_EQ(peer.sin_addr.s_addr, endpoint("10.0.2.100", 0).sin_addr.s_addr) << "masqueraded";
    });
}

TEST_F(NetworkFilter, NothingComesInThroughTheUplink) {
    in_user_network([] {
        auto network = MUST(Network::open());
        const auto slot = MUST(network.acquire());
        const auto listener = inside_of(slot.netns.get(), [] { return listen_tcp("0.0.0.0", 80); });
        const auto ours = listen_tcp("0.0.0.0", 81); // in the bridge namespace
        FarSide far;
        make_far_side(far);
        const auto from_outside = [&](const std::string& address, int port) {
            int result = -1;
            (void) inside_of(far.netns.get(), [&] {
                result = connect_tcp(address, port, 300);
                return UniqueFd();
            });
            return result;
        };
        EXPECT_EQ(from_outside(slot.attachments.front().address, 80), ETIMEDOUT);
        EXPECT_EQ(from_outside("10.0.2.100", 81), ETIMEDOUT);
        MUST_VOID(apply_rules("delete table inet squish"));
        EXPECT_EQ(from_outside(slot.attachments.front().address, 80), 0) << "it is the filter that holds it";
        EXPECT_EQ(from_outside("10.0.2.100", 81), 0);
    });
}

TEST_F(NetworkFilter, ContainersReachNoServiceInTheBridgeNamespace) {
    in_user_network([] {
        auto network = MUST(Network::open());
        const auto slot = MUST(network.acquire());
        const auto service = listen_tcp("0.0.0.0", 8080);
        EXPECT_EQ(connect_tcp(network.gateway(), 8080), 0);
        as_payload(slot.netns.get(), [&] { EXPECT_EQ(connect_tcp(network.gateway(), 8080, 300), ETIMEDOUT); });
        MUST_VOID(apply_rules("delete table inet squish"));
        as_payload(slot.netns.get(),
                   [&] { EXPECT_EQ(connect_tcp(network.gateway(), 8080), 0) << "the filter held it"; });
    });
}

TEST_F(NetworkFilter, RulesAreThereOnceHoweverOftenItIsOpened) {
    in_user_network([] {
        for (int i = 0; i < 3; ++i)
            (void) MUST(Network::open());
        const auto rules = MUST(list_rules());
        const auto count = [&](const std::string& word) {
            std::size_t found = 0;
            for (auto at = rules.find(word); at != std::string::npos; at = rules.find(word, at + 1))
                ++found;
            return found;
        };
        EXPECT_EQ(count("table inet squish"), 1U);
        EXPECT_EQ(count("masquerade"), 2U) << rules; // each uplink's
        EXPECT_EQ(count("policy drop"), 2U);
        const auto refused = apply_rules("add table inet squish\nadd rule inet squish nowhere accept");
        ASSERT_FALSE(refused.has_value());
        EXPECT_THAT(refused.error().message, HasSubstr("nf_tables: "));
    });
}

// Over one of the families: how to listen on its port 80, where an attachment's address of it is, and the file that
// says whether a namespace forwards it.
void expect_networks_apart(const Options& options, const std::function<UniqueFd()>& listen_there,
                           std::string Attachment::* address, const std::string& forwarding) {
    auto network = MUST(Network::open(options));
    const auto one = MUST(network.acquire_on({1}));
    const auto same = MUST(network.acquire_on({1}));
    const auto other = MUST(network.acquire_on({2}));
    const auto both = MUST(network.acquire_on({1, 2}));
    const auto plain = MUST(network.acquire());
    const auto listen = [&](const Slot& slot) { return inside_of(slot.netns.get(), listen_there); };
    const UniqueFd listeners[] = {listen(one), listen(same), listen(other), listen(both), listen(plain)};
    const auto at = [&](const Slot& slot, std::size_t which = 0) { return slot.attachments.at(which).*address; };
    as_payload(one.netns.get(), [&] {
        EXPECT_EQ(connect_tcp(at(same), 80), 0);
        EXPECT_EQ(connect_tcp(at(both), 80), 0);
        EXPECT_EQ(connect_tcp(at(other), 80, 300), ETIMEDOUT);
        EXPECT_EQ(connect_tcp(at(plain), 80, 300), ETIMEDOUT);
        EXPECT_EQ(connect_tcp(at(both, 1), 80, 300), ETIMEDOUT) << "its address on the other network";
    });
    as_payload(plain.netns.get(), [&] { EXPECT_EQ(connect_tcp(at(one), 80, 300), ETIMEDOUT); });
    as_payload(both.netns.get(), [&] {
        EXPECT_EQ(connect_tcp(at(one), 80), 0);
        EXPECT_EQ(connect_tcp(at(other), 80), 0);
        EXPECT_EQ(test::read_file(forwarding), "0\n") << "what the one sends to the other is not passed on";
    });
    MUST_VOID(apply_rules("delete table inet squish"));
    as_payload(one.netns.get(), [&] { EXPECT_EQ(connect_tcp(at(other), 80), 0) << "the filter held it"; });
}

TEST_F(NetworkFilter, ContainersOfDifferentNetworksDoNotReachEachOther) {
    in_user_network([] {
        expect_networks_apart(
            {}, [] { return listen_tcp("0.0.0.0", 80); }, &Attachment::address, "/proc/sys/net/ipv4/ip_forward");
    });
}

TEST_F(NetworkFilter, AGatewayAnswersItsOwnNetworkOnly) {
    in_user_network([] {
        auto network = MUST(Network::open());
        const auto one = MUST(network.acquire_on({1}));
        const auto other = MUST(network.acquire_on({2}));
        // As squish-dns listens: on its bridge alone.
        const auto names = listen_tcp(to_string(gateway_of(2)), 53, bridge_name(2).c_str());
        as_payload(other.netns.get(), [&] { EXPECT_EQ(connect_tcp(to_string(gateway_of(2)), 53), 0); });
        as_payload(one.netns.get(), [&] {
            EXPECT_NE(connect_tcp(to_string(gateway_of(2)), 53, 300), 0);
            EXPECT_TRUE(ping(to_string(gateway_of(1))));
        });
    });
}

// --- IPv6 to the outside
// ------------------------------------------------------------------------------------------------------------

Options with_ipv6() {
    Options options;
    options.rules.ipv6 = true;
    return options;
}

// As make_far_side(), for IPv6: fd00::2 and fd00::3 stand for the host, 2001:db8::1 for the world, the others for what
// nobody has to reach.
struct FarSide6 {
    UniqueFd netns;
    UniqueFd router, dns, elsewhere, compatible, site, unknown;
};

void make_far_side6(Network& network, FarSide6& far) {
    far.netns = inside_of(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), [] {
        EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
        return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    });
    const auto path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(far.netns.get());
    ASSERT_EQ(
        std::system(("ip link add tap0 type veth peer name far0 netns " + path + " && ip link set tap0 up").c_str()),
        0);
    (void) inside_of(far.netns.get(), [&] {
        EXPECT_EQ(std::system("echo 0 >/proc/sys/net/ipv6/conf/far0/disable_ipv6; ip link set lo up && "
                              "ip link set far0 up && ip address add fd00::2/64 dev far0 nodad && "
                              "ip address add fd00::3/64 dev far0 nodad && ip address add 2001:db8::1/128 dev lo && "
                              "ip address add ::5/128 dev lo && ip address add fec0::5/128 dev lo && "
                              "ip address add fd73:7175:6973:e0::5/128 dev lo && "
                              "ip route add fd73:7175:6973::/48 via fd00::100"),
                  0);
        far.router = listen_tcp6("fd00::2", 80);
        far.dns = listen_tcp6("fd00::3", 53);
        far.elsewhere = listen_tcp6("2001:db8::1", 80);
        far.compatible = listen_tcp6("::5", 80);
        far.site = listen_tcp6("fec0::5", 80);
        far.unknown = listen_tcp6("fd73:7175:6973:e0::5", 80);
        return UniqueFd();
    });
    MUST_VOID(network.set_up_uplink6());
    auto netlink = MUST(Netlink::open());
    MUST_VOID(wait_until_operational(netlink, "tap0", std::chrono::seconds(5)));
}

TEST_F(NetworkFilter, ContainersReachTheWorldByIpv6ButNothingElseOfTheUplink) {
    in_user_network([] {
        auto network = MUST(Network::open(with_ipv6()));
        EXPECT_TRUE(network.has_ipv6_out());
        EXPECT_EQ(network.set_up_uplink6().error().kind, ErrorKind::unavailable) << "there is no such interface yet";
        const auto slot = MUST(network.acquire());
        const auto named = MUST(network.acquire_on({7}));
        FarSide6 far;
        make_far_side6(network, far);
        MUST_VOID(network.set_up_uplink6()); // again, after the stager's restart
        for (const auto* one : {&slot, &named}) {
            as_payload(one->netns.get(), [&] {
                EXPECT_EQ(connect_tcp("2001:db8::1", 80), 0);
                EXPECT_EQ(connect_tcp("fd00::2", 80), EACCES) << "the router stands for the host";
                EXPECT_EQ(connect_tcp("fd00::3", 53), EACCES) << "its name server";
                EXPECT_EQ(connect_tcp("fd00::100", 80, 300), ETIMEDOUT) << "our end";
                EXPECT_EQ(connect_tcp("::5", 80), EACCES) << "::/16 has IPv4 addresses written as IPv6";
                EXPECT_EQ(connect_tcp("fec0::5", 80), EACCES);
                EXPECT_EQ(connect_tcp("fd73:7175:6973:e0::5", 80), EACCES) << "containers' networks are not out there";
            });
            EXPECT_EQ(accept_peer6(far.elsewhere.get()), "fd00::100") << "masqueraded";
        }
        // Each refusal is the filter's: without it they are there.
        MUST_VOID(apply_rules("delete table inet squish"));
        as_payload(slot.netns.get(), [] {
            for (const auto* address : {"fd00::2", "::5", "fec0::5", "fd73:7175:6973:e0::5"})
                EXPECT_EQ(connect_tcp(address, 80), 0) << address;
        });
    });
}

TEST_F(NetworkFilter, NothingComesInThroughTheUplinkByIpv6) {
    in_user_network([] {
        auto network = MUST(Network::open(with_ipv6()));
        const auto slot = MUST(network.acquire());
        const auto listener = inside_of(slot.netns.get(), [] { return listen_tcp6("::", 80); });
        const auto ours = listen_tcp6("::", 81); // in the bridge namespace
        FarSide6 far;
        make_far_side6(network, far);
        const auto from_outside = [&](const std::string& address, int port) {
            int result = -1;
            (void) inside_of(far.netns.get(), [&] {
                result = connect_tcp(address, port, 300);
                return UniqueFd();
            });
            return result;
        };
        EXPECT_EQ(from_outside(slot.attachments.front().address6, 80), ETIMEDOUT);
        EXPECT_EQ(from_outside("fd00::100", 81), ETIMEDOUT);
        MUST_VOID(apply_rules("delete table inet squish"));
        // Neighbours are looked for first, which takes a moment.
        EXPECT_TRUE(eventually([&] { return from_outside(slot.attachments.front().address6, 80) == 0; }))
            << "it is the filter that holds it";
        EXPECT_TRUE(eventually([&] { return from_outside("fd00::100", 81) == 0; }));
    });
}

TEST_F(NetworkFilter, AGatewayAnswersToEchoByIpv6AndToNothingElse) {
    in_user_network([] {
        auto network = MUST(Network::open(with_ipv6()));
        const auto slot = MUST(network.acquire());
        const auto named = MUST(network.acquire_on({7}));
        const auto service = listen_tcp6("::", 8080), names = listen_tcp6("::", 53);
        const auto try_all = [&](const Slot& from, NetworkId id, const std::function<void(const std::string&)>& body) {
            as_payload(from.netns.get(), [&] { body(to_string(gateway6_of(id))); });
        };
        const auto expect_held = [](const std::string& gateway) {
            EXPECT_TRUE(ping(gateway));
            EXPECT_EQ(connect_tcp(gateway, 8080, 300), ETIMEDOUT);
            EXPECT_EQ(connect_tcp(gateway, 53, 300), ETIMEDOUT);
        };
        try_all(slot, 0, expect_held);
        try_all(named, 7, expect_held);
        MUST_VOID(apply_rules("delete table inet squish"));
        const auto expect_there = [](const std::string& gateway) {
            EXPECT_EQ(connect_tcp(gateway, 8080), 0) << "the filter held it";
        };
        try_all(slot, 0, expect_there);
        try_all(named, 7, expect_there);
    });
}

TEST_F(NetworkFilter, ContainersOfDifferentNetworksDoNotReachEachOtherByIpv6) {
    in_user_network([] {
        expect_networks_apart(
            with_ipv6(), [] { return listen_tcp6("::", 80); }, &Attachment::address6,
            "/proc/sys/net/ipv6/conf/all/forwarding");
    });
}

// A second network behind "tap1", as the uplink for the host's loopback makes it: neither up nor configured on our
// side.
struct HostLoopback {
    UniqueFd netns;
    UniqueFd host, other, datagrams; // 10.0.3.2:80, 10.0.3.3:53, 10.0.3.2:99/udp
};

UniqueFd bind_udp(const std::string& address, int port) {
    UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const auto where = endpoint(address, port);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where), 0) << std::strerror(errno);
    return socket;
}

// Whether a datagram comes within `timeout_ms`; `from` is then its sender.
bool receive(int socket, sockaddr_in& from, int timeout_ms) {
    pollfd waiting{socket, POLLIN, 0};
    char byte = 0;
    socklen_t length = sizeof from;
    return ::poll(&waiting, 1, timeout_ms) == 1 &&
           ::recvfrom(socket, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length) == 1;
}

void make_host_loopback(HostLoopback& far) {
    far.netns = inside_of(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), [] {
        EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
        return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    });
    const auto path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(far.netns.get());
    ASSERT_EQ(std::system(("ip link add tap1 type veth peer name far1 netns " + path).c_str()), 0);
    (void) inside_of(far.netns.get(), [&] {
        EXPECT_EQ(std::system("ip link set lo up && ip link set far1 up && ip address add 10.0.3.2/24 dev far1 && "
                              "ip address add 10.0.3.3/24 dev far1 && ip route add 10.89.0.0/16 via 10.0.3.100"),
                  0);
        far.host = listen_tcp("10.0.3.2", 80);
        far.other = listen_tcp("10.0.3.3", 53);
        far.datagrams = bind_udp("10.0.3.2", 99);
        return UniqueFd();
    });
}

TEST_F(NetworkFilter, TheHostsLoopbackIsReachedByThoseWhoMayAndNothingElseThere) {
    in_user_network([] {
        auto network = MUST(Network::open());
        EXPECT_FALSE(network.set_up_host_loopback().has_value()) << "there is no such interface yet";
        const auto may = MUST(network.acquire());
        const auto may_not = MUST(network.acquire());
        HostLoopback far;
        make_host_loopback(far);
        MUST_VOID(network.set_up_host_loopback());
        MUST_VOID(network.set_up_host_loopback()); // again, after the uplink's restart
        auto netlink = MUST(Netlink::open());
        MUST_VOID(wait_until_operational(netlink, "tap1", std::chrono::seconds(5)));
        as_payload(may.netns.get(), [] { EXPECT_EQ(connect_tcp("10.0.3.2", 80), EHOSTUNREACH) << "not yet"; });
        MUST_VOID(network.allow_host_loopback(may.number));
        MUST_VOID(network.allow_host_loopback(may.number));
        as_payload(may.netns.get(), [] {
            EXPECT_EQ(connect_tcp("10.0.3.2", 80), 0);
            EXPECT_EQ(connect_tcp("10.0.3.3", 53), EHOSTUNREACH) << "nothing else of that network";
            EXPECT_EQ(connect_tcp("10.0.3.100", 80, 300), ETIMEDOUT) << "nor our end of it";
        });
        as_payload(may_not.netns.get(), [] {
            EXPECT_EQ(connect_tcp("10.0.3.2", 80), EHOSTUNREACH);
            EXPECT_EQ(connect_tcp("10.0.3.3", 53), EHOSTUNREACH);
        });
        EXPECT_EQ(connect_tcp("10.0.3.2", 80), EHOSTUNREACH) << "nor may squish's own processes";
        EXPECT_EQ(network.allow_host_loopback(4000).error().kind, ErrorKind::not_found);
        // Nothing comes in that way.
        const auto listener = inside_of(may.netns.get(), [] { return listen_tcp("0.0.0.0", 80); });
        (void) inside_of(far.netns.get(), [&] {
            EXPECT_EQ(connect_tcp(may.attachments.front().address, 80, 300), ETIMEDOUT);
            return UniqueFd();
        });
    });
}

// Connection tracking remembers what the first one did for half a minute and longer.
TEST_F(NetworkFilter, TheNextOwnerOfAnAddressDoesNotReachTheHostsLoopback) {
    in_user_network([] {
        auto network = MUST(Network::open());
        HostLoopback far;
        make_host_loopback(far);
        MUST_VOID(network.set_up_host_loopback());
        auto netlink = MUST(Netlink::open());
        MUST_VOID(wait_until_operational(netlink, "tap1", std::chrono::seconds(5)));
        const auto host = endpoint("10.0.3.2", 99);
        const auto say = [&](int socket) {
            (void) !::sendto(socket, "x", 1, 0, reinterpret_cast<const sockaddr*>(&host), sizeof host);
        };
        std::uint32_t number = 0;
        {
            const auto slot = MUST(network.acquire());
            number = slot.number;
            MUST_VOID(network.allow_host_loopback(number));
            const auto first = inside_of(slot.netns.get(), [] { return bind_udp("0.0.0.0", 5000); });
            sockaddr_in from{};
            say(first.get());
            ASSERT_TRUE(receive(far.datagrams.get(), from, 3000));
            ASSERT_EQ(::sendto(far.datagrams.get(), "y", 1, 0, reinterpret_cast<sockaddr*>(&from), sizeof from), 1);
            ASSERT_TRUE(receive(first.get(), from, 3000)) << "established, both ways";
        }
        (void) MUST(network.release(number));
        Slot next;
        std::vector<Slot> others; // until the address comes round again
        for (int i = 0; i < 20 && next.number != number; ++i) {
            others.push_back(std::move(next));
            next = MUST(network.acquire());
        }
        ASSERT_EQ(next.number, number);
        const auto second = inside_of(next.netns.get(), [] { return bind_udp("0.0.0.0", 5000); });
        sockaddr_in from{};
        say(second.get());
        EXPECT_FALSE(receive(far.datagrams.get(), from, 300));
        MUST_VOID(network.allow_host_loopback(number));
        const auto third = inside_of(next.netns.get(), [] { return bind_udp("0.0.0.0", 5001); });
        say(third.get());
        EXPECT_TRUE(receive(far.datagrams.get(), from, 3000)) << "it was the filter";
    });
}

} // namespace
} // namespace squish::network
