// The user's network with real namespaces: slots, recycling, restart.
#include "network/link_watch.h"
#include "network/network.h"

#include "user_network.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <linux/if_packet.h>
#include <linux/nsfs.h>
#include <net/ethernet.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace squish::network {
namespace {

using namespace squish::test;
using ::testing::HasSubstr;
using ::testing::Not;

class Network : public ::testing::Test {
protected:
    void SetUp() override { SKIP_AS_ROOT(); }
};

// Names of the links in the namespace that the caller is in.
std::set<std::string> link_names() {
    std::set<std::string> names;
    auto netlink = Netlink::open();
    const auto links = netlink->links();
    EXPECT_TRUE(links.has_value());
    for (const auto& link : *links)
        names.insert(link.name);
    return names;
}

bool link_exists(std::uint32_t number) {
    return link_names().contains(link_name(number));
}

TEST_F(Network, SlotsReachEachOtherAndTheGateway) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto first = MUST(network.acquire());
        const auto second = MUST(network.acquire());
        EXPECT_EQ(first.attachments.front().address, "10.89.0.2");
        EXPECT_EQ(second.attachments.front().address, "10.89.0.3");
        // Port 80 without privileges, and a listener that outlives the one who made it.
        as_payload(second.netns.get(), [] { (void) listen_tcp("0.0.0.0", 80); });
        const auto listener = inside_of(second.netns.get(), [] { return listen_tcp("0.0.0.0", 80); });
        as_payload(first.netns.get(), [&] {
            EXPECT_EQ(connect_tcp(second.attachments.front().address, 80), 0);
            EXPECT_EQ(connect_tcp(second.attachments.front().address, 81), ECONNREFUSED);
            EXPECT_TRUE(ping(second.attachments.front().address));
            EXPECT_TRUE(ping(network.gateway()));
            EXPECT_FALSE(ping("10.89.0.77"));
        });
    });
}

TEST_F(Network, FirstPacketOfANewSlotIsAnsweredAtOnce) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        std::vector<Slot> slots;
        for (int i = 0; i < 60; ++i) {
            slots.push_back(MUST(network.acquire()));
            const auto start = std::chrono::steady_clock::now();
            (void) inside_of(slots.back().netns.get(), [&] {
                EXPECT_TRUE(ping(network.gateway())) << slots.back().attachments.front().address;
                return UniqueFd();
            });
            // A lost ARP request is repeated after a second.
            EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(900))
                << slots.back().attachments.front().address;
        }
    });
}

TEST_F(Network, WaitsForALinkThatComesUpLaterAndNotForEver) {
    in_user_network([] {
        ASSERT_EQ(std::system("ip link add one type veth peer name two && ip link set one up"), 0);
        auto netlink = MUST(Netlink::open());
        const auto never = wait_until_operational(netlink, "one", std::chrono::milliseconds(50));
        ASSERT_FALSE(never.has_value());
        EXPECT_EQ(never.error().message, "link 'one' has no carrier");
        std::thread later([] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            EXPECT_EQ(std::system("ip link set two up"), 0);
        });
        EXPECT_TRUE(wait_until_operational(netlink, "one", std::chrono::seconds(5)).has_value());
        later.join();
    });
}

TEST_F(Network, ManySlotsHaveDifferentAddresses) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        std::set<std::string> addresses;
        std::vector<Slot> slots;
        for (int i = 0; i < 40; ++i) {
            slots.push_back(MUST(network.acquire()));
            addresses.insert(slots.back().attachments.front().address);
        }
        EXPECT_EQ(addresses.size(), 40U);
        as_payload(slots.back().netns.get(), [&] { EXPECT_TRUE(ping(slots.front().attachments.front().address)); });
    });
}

TEST_F(Network, NamespaceBelongsToTheUsersUserNamespace) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        const UniqueFd owner(::ioctl(slot.netns.get(), NS_GET_USERNS));
        ASSERT_TRUE(owner.valid());
        struct stat of_slot{}, ours{};
        ASSERT_EQ(::fstat(owner.get(), &of_slot), 0);
        ASSERT_EQ(::stat("/proc/self/ns/user", &ours), 0);
        EXPECT_EQ(of_slot.st_ino, ours.st_ino);
    });
}

TEST_F(Network, CallerIsBackInTheBridgeNamespace) {
    in_user_network([] {
        struct stat before{}, after{};
        ASSERT_EQ(::stat("/proc/thread-self/ns/net", &before), 0);
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        EXPECT_TRUE(MUST(network.release(slot.number)));
        ASSERT_EQ(::stat("/proc/thread-self/ns/net", &after), 0);
        EXPECT_EQ(before.st_ino, after.st_ino);
    });
}

TEST_F(Network, SlotIsHardenedAndOpenForUnprivilegedPrograms) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        in_netns(slot.netns.get(), [&] {
            const std::string ipv4 = "/proc/sys/net/ipv4/";
            EXPECT_EQ(test::read_file(ipv4 + "ip_unprivileged_port_start"), "0\n");
            EXPECT_EQ(test::read_file(ipv4 + "ping_group_range"), "0\t0\n");
            for (const std::string link : {"eth0", "lo"}) {
                EXPECT_EQ(test::read_file(ipv4 + "conf/" + link + "/accept_redirects"), "0\n") << link;
                EXPECT_EQ(test::read_file(ipv4 + "conf/" + link + "/accept_source_route"), "0\n") << link;
                EXPECT_EQ(test::read_file(ipv4 + "conf/" + link + "/rp_filter"), "0\n") << link;
            }
            EXPECT_EQ(test::read_file(ipv4 + "conf/all/accept_redirects"), "0\n");
            EXPECT_EQ(test::read_file(ipv4 + "conf/all/rp_filter"), "0\n");
            const std::string ipv6 = "/proc/sys/net/ipv6/conf/eth0/";
            for (const std::string name : {"accept_ra", "autoconf", "accept_redirects"})
                EXPECT_EQ(test::read_file(ipv6 + name), "0\n") << name;
            EXPECT_THAT(test::read_file("/proc/thread-self/net/if_inet6"),
                        HasSubstr("fd737175697300000000000000000002 64 40"));
            EXPECT_EQ(slot.attachments.front().address6, "fd73:7175:6973::2");
        });
    });
}

TEST_F(Network, SysfsIsReadOnlyAndShowsTheSlotsLinks) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        const UniqueFd address(::openat(slot.sysfs.get(), "class/net/eth0/address", O_RDONLY | O_CLOEXEC));
        ASSERT_TRUE(address.valid()) << std::strerror(errno);
        EXPECT_EQ(test::read_file("/proc/self/fd/" + std::to_string(address.get())), "02:73:0a:59:00:02\n");
        EXPECT_LT(::openat(slot.sysfs.get(), "class/net/squish0", O_PATH | O_CLOEXEC), 0);
        struct statvfs mount{};
        ASSERT_EQ(::fstatvfs(slot.sysfs.get(), &mount), 0);
        EXPECT_EQ(mount.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC),
                  static_cast<unsigned long>(ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC));
    });
}

TEST_F(Network, PayloadCannotChangeItsNetwork) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        const auto attempts = [](int expected) {
            // Each of them succeeds for us and must fail for a payload.
            const UniqueFd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
            EXPECT_EQ(raw.valid() ? 0 : errno, expected) << "raw socket";
            const UniqueFd packet(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
            EXPECT_EQ(packet.valid() ? 0 : errno, expected) << "packet socket";
            auto netlink = MUST(Netlink::open());
            const auto link = netlink.link("eth0");
            ASSERT_TRUE(link.has_value());
            for (const std::string path :
                 {"ipv4/ip_forward", "ipv4/ip_unprivileged_port_start", "ipv4/conf/eth0/arp_ignore"}) {
                const UniqueFd sysctl(::open(("/proc/sys/net/" + path).c_str(), O_WRONLY | O_CLOEXEC));
                const int failed = sysctl.valid() ? 0 : errno;
                EXPECT_EQ(failed == 0, expected == 0) << path << ": " << std::strerror(failed);
            }
            const auto rules = apply_rules("add table inet mine");
            EXPECT_EQ(rules.has_value(), expected == 0) << "nf_tables";
            EXPECT_EQ(std::system("ip address add 10.89.0.99/20 dev eth0 2>/dev/null") == 0, expected == 0)
                << "address";
            EXPECT_EQ(std::system("ip link set eth0 address 02:00:00:00:00:01 2>/dev/null") == 0, expected == 0)
                << "MAC";
            EXPECT_EQ(std::system("ip route replace default via 10.89.0.9 2>/dev/null") == 0, expected == 0) << "route";
        };
        as_payload(slot.netns.get(), [&] { attempts(EPERM); });
        // Nothing was changed: it can be used again, as soon as the kernel has freed the attempts' netlink sockets.
        (void) network.release(slot.number);
        EXPECT_TRUE(eventually([&] {
            const auto next = network.acquire();
            return next && next->number == slot.number;
        }));
        in_netns(slot.netns.get(), [&] { attempts(0); }); // they are real attempts
        EXPECT_FALSE(MUST(network.release(slot.number))) << "another address is a trace";
    });
}

TEST_F(Network, CleanSlotIsRecycled) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        for (int i = 0; i < 5; ++i) {
            auto slot = MUST(network.acquire());
            EXPECT_EQ(slot.number, kFirstNumber);
            EXPECT_TRUE(slot.sysfs.valid());
            as_payload(slot.netns.get(), [&] { EXPECT_TRUE(ping(network.gateway())); });
            slot.netns.reset();
            EXPECT_TRUE(MUST(network.release(slot.number)));
            EXPECT_EQ(network.spares(), 1U);
        }
        EXPECT_FALSE(network.release(kFirstNumber).has_value()) << "a spare slot is nobody's to release";
        EXPECT_FALSE(network.release(1000).has_value());
    });
}

TEST_F(Network, SlotWithASocketLeftIsSetAsideUntilItIsClosed) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        // As one that a payload has passed on to somebody else.
        auto left =
            inside_of(slot.netns.get(), [] { return UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
        EXPECT_FALSE(MUST(network.release(slot.number)));
        const auto other = MUST(network.acquire());
        EXPECT_NE(other.number, slot.number);
        left.reset();
        EXPECT_EQ(MUST(network.acquire()).number, slot.number);
    });
}

TEST_F(Network, SlotWithAConnectionInTimeWaitIsNotRecycled) {
    in_user_network([] {
        Options options;
        options.max_aside = 0;
        auto network = MUST(network::Network::open(options));
        auto slot = MUST(network.acquire());
        as_payload(slot.netns.get(), [&] {
            const auto listener = listen_tcp("127.0.0.1", 80);
            const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            const auto where = endpoint("127.0.0.1", 80);
            ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
            UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            server.reset(); // the side that closes first waits
        });
        const auto number = slot.number;
        EXPECT_TRUE(link_exists(number));
        EXPECT_FALSE(MUST(network.release(number)));
        EXPECT_EQ(network.spares(), 0U);
        EXPECT_TRUE(link_exists(number)) << "somebody holds it still";
        slot.netns.reset();
        EXPECT_TRUE(eventually([&] { return !link_exists(number); }));
    });
}

TEST_F(Network, PrivilegedSlotIsNeverRecycled) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        auto slot = MUST(network.acquire());
        slot.netns.reset();
        EXPECT_FALSE(MUST(network.release(slot.number, Payload::privileged)));
        EXPECT_TRUE(eventually([&] { return !link_exists(slot.number); }));
    });
}

// A slot with IPv6 to the outside, which `spoil` has changed, as nobody without capabilities can.
bool is_recycled_after(const char* spoil) {
    Options options;
    options.rules.ipv6 = true;
    auto network = network::Network::open(options);
    EXPECT_TRUE(network.has_value());
    const auto slot = network->acquire();
    EXPECT_TRUE(slot.has_value());
    in_netns(slot->netns.get(), [&] { EXPECT_EQ(std::system(spoil), 0) << spoil; });
    return network->release(slot->number).value_or(false);
}

TEST_F(Network, SlotWithForeignIpv6IsNotRecycled) {
    in_user_network([] {
        EXPECT_TRUE(is_recycled_after("true"));
        EXPECT_FALSE(is_recycled_after("ip address add 2001:db8::7/64 dev eth0 nodad"));
        EXPECT_FALSE(is_recycled_after("ip -6 address flush dev eth0 scope global"));
        EXPECT_FALSE(is_recycled_after("ip -6 route del default"));
        EXPECT_FALSE(is_recycled_after("ip -6 route replace default via fd73:7175:6973::99 dev eth0"));
        EXPECT_FALSE(is_recycled_after("ip -6 route add default via fd73:7175:6973::99 dev eth0 metric 7"));
    });
}

// All slots of a keeper's life are alike, whatever a later stager is asked for.
TEST_F(Network, Ipv6ToTheOutsideStaysAsItWasWhenTheBridgeWasMade) {
    Options with;
    with.rules.ipv6 = true;
    in_user_network([&] {
        (void) MUST(network::Network::open(with));
        auto network = MUST(network::Network::open());
        EXPECT_TRUE(network.has_ipv6_out());
        const auto slot = MUST(network.acquire());
        as_payload(slot.netns.get(), [&] {
            EXPECT_TRUE(eventually([] { return ping("fd73:7175:6973::1"); })); // a bridge made this moment
            EXPECT_TRUE(ping(network.gateway()));
        });
        EXPECT_EQ(test::read_file("/proc/sys/net/ipv6/conf/squish0/accept_ra"), "0\n");
        // A bridge that somebody has deleted comes back with its address.
        ASSERT_EQ(std::system("ip link del squish0"), 0);
        EXPECT_TRUE(MUST(network.repair()));
        as_payload(slot.netns.get(), [] { EXPECT_TRUE(eventually([] { return ping("fd73:7175:6973::1"); })); });
    });
    in_user_network([&] {
        (void) MUST(network::Network::open());
        auto network = MUST(network::Network::open(with));
        EXPECT_FALSE(network.has_ipv6_out());
        const auto slot = MUST(network.acquire());
        as_payload(slot.netns.get(), [] { EXPECT_EQ(connect_tcp("2001:db8::1", 80), ENETUNREACH) << "at once"; });
        EXPECT_EQ(test::read_file("/proc/sys/net/ipv6/conf/all/forwarding"), "0\n");
        MUST_VOID(network.set_up_uplink6()); // which has nothing to do
    });
}

TEST_F(Network, PreparesSparesUpToTheWantedNumber) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        EXPECT_TRUE(MUST(network.prepare(2)));
        EXPECT_TRUE(MUST(network.prepare(2)));
        EXPECT_FALSE(MUST(network.prepare(2)));
        EXPECT_EQ(network.spares(), 2U);
    });
}

TEST_F(Network, RestartKeepsWhatRunsAndDoesNotReuseItsAddress) {
    in_user_network([] {
        Slot running;
        {
            auto before = MUST(network::Network::open());
            running = MUST(before.acquire());
            EXPECT_TRUE(MUST(before.prepare(1)));
        } // the process has died: what it held is closed, its spare slot vanishes
        EXPECT_TRUE(eventually([] { return !link_exists(kFirstNumber + 1); }));
        auto after = MUST(network::Network::open());
        const auto fresh = MUST(after.acquire());
        EXPECT_NE(fresh.attachments.front().address, running.attachments.front().address);
        as_payload(running.netns.get(), [&] {
            EXPECT_TRUE(ping(after.gateway()));
            EXPECT_TRUE(ping(fresh.attachments.front().address));
        });
        EXPECT_FALSE(MUST(after.release(running.number)));
        EXPECT_TRUE(link_exists(running.number));
        running.netns.reset();
        EXPECT_TRUE(eventually([&] { return !link_exists(running.number); }));
    });
}

TEST_F(Network, ABridgeThatIsGoneAtTheStartIsMadeWithTheLinksOfWhatRuns) {
    in_user_network([] {
        Slot one, two, named, other;
        {
            auto before = MUST(network::Network::open());
            one = MUST(before.acquire());
            two = MUST(before.acquire());
            named = MUST(before.acquire_on({1}));
            other = MUST(before.acquire_on({1}));
        }
        ASSERT_EQ(std::system("ip link delete squish0 && ip link delete sqb1"), 0);
        auto after = MUST(network::Network::open());
        MUST_VOID(after.add_network(1));
        const auto reaches = [](const Slot& from, const Slot& to) {
            as_payload(from.netns.get(),
                       [&] { EXPECT_TRUE(eventually([&] { return ping(to.attachments.front().address); })); });
        };
        reaches(one, two);
        reaches(named, other);
    });
}

TEST_F(Network, ExhaustionIsAClearErrorAndEndsWhenOneIsReleased) {
    in_user_network([] {
        Options options;
        options.last_number = kFirstNumber + 1;
        auto network = MUST(network::Network::open(options));
        auto first = MUST(network.acquire());
        const auto second = MUST(network.acquire());
        const auto third = network.acquire();
        ASSERT_FALSE(third.has_value());
        EXPECT_EQ(third.error().kind, ErrorKind::conflict);
        EXPECT_THAT(third.error().message, HasSubstr("full: all 2 addresses are in use"));
        EXPECT_THAT(third.error().remedy, HasSubstr("stop containers"));
        // Still held by somebody, hence not gone by itself: the link is removed at once when the address is needed.
        EXPECT_FALSE(MUST(network.release(first.number, Payload::privileged)));
        EXPECT_EQ(MUST(network.acquire()).attachments.front().address, first.attachments.front().address);
    });
}

TEST_F(Network, FullBridgeIsAClearError) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        // A bridge has 1,023 ports; making that many slots takes long. Other links take its ports as well.
        std::string batch;
        for (int i = 0; i < 512; ++i)
            batch += "link add a" + std::to_string(i) + " master squish0 type veth peer name b" + std::to_string(i) +
                     "\nlink set b" + std::to_string(i) + " master squish0\n";
        const UniqueFd file(::memfd_create("batch", 0));
        ASSERT_EQ(::write(file.get(), batch.data(), batch.size()), static_cast<ssize_t>(batch.size()));
        ASSERT_EQ(std::system(("ip -force -batch /proc/" + std::to_string(::getpid()) + "/fd/" +
                               std::to_string(file.get()) + " >/dev/null 2>&1")
                                  .c_str()) &
                      0xff,
                  0);
        const auto slot = network.acquire();
        ASSERT_FALSE(slot.has_value());
        EXPECT_THAT(slot.error().message, HasSubstr("1023 ports"));
    });
}

TEST_F(Network, ASlotOnSeveralNetworksHasAnAddressInEach) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire_on({3, 0}));
        ASSERT_EQ(slot.attachments.size(), 2U);
        EXPECT_EQ(slot.attachments[0].network, 3U);
        EXPECT_EQ(slot.attachments[0].address, "10.89.18.2");
        EXPECT_EQ(slot.attachments[1].address, "10.89.0.2");
        const auto sibling = MUST(network.acquire());
        as_payload(slot.netns.get(), [&] {
            EXPECT_TRUE(ping("10.89.18.1"));
            EXPECT_TRUE(ping("10.89.0.1"));
            EXPECT_TRUE(ping(sibling.attachments.front().address));
        });
        EXPECT_FALSE(MUST(network.release(slot.number))) << "it is not recycled";
        const auto again = MUST(network.acquire_on({3}));
        EXPECT_NE(again.attachments[0].address, "10.89.18.2") << "the address that was free for longest";
    });
}

TEST_F(Network, ANetworkInUseIsNotRemoved) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        auto slot = MUST(network.acquire_on({7}));
        const auto refused = network.remove_network(7);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
        const auto number = slot.number;
        slot = {};
        (void) MUST(network.release(number));
        MUST_VOID(network.remove_network(7));
        auto netlink = MUST(Netlink::open());
        EXPECT_FALSE(netlink.link("sqb7").has_value());
        EXPECT_FALSE(network.remove_network(0).has_value());
        EXPECT_FALSE(network.acquire_on({kNamedNetworks + 1}).has_value());
    });
}

TEST_F(Network, ABridgeThatWasDeletedIsMadeAgain) {
    in_user_network([] {
        auto network = MUST(network::Network::open());
        auto watch = MUST(LinkWatch::open());
        const auto one = MUST(network.acquire()), two = MUST(network.acquire());
        const auto named = MUST(network.acquire_on({1})), other = MUST(network.acquire_on({1}));
        EXPECT_FALSE(watch.has_lost_bridge()) << "links come and go";
        EXPECT_FALSE(MUST(network.repair()));
        ASSERT_EQ(std::system("ip link delete squish0 && ip link delete sqb1"), 0);
        as_payload(one.netns.get(), [&] { EXPECT_FALSE(ping(two.attachments.front().address)); });
        EXPECT_TRUE(watch.has_lost_bridge());
        EXPECT_TRUE(MUST(network.repair()));
        as_payload(one.netns.get(), [&] {
            EXPECT_TRUE(eventually([&] { return ping(network.gateway()); }));
            EXPECT_TRUE(eventually([&] { return ping(two.attachments.front().address); }));
        });
        as_payload(named.netns.get(), [&] {
            EXPECT_TRUE(eventually([&] { return ping("10.89.16.1"); }));
            EXPECT_TRUE(eventually([&] { return ping(other.attachments.front().address); }));
        });
        const auto fresh = MUST(network.acquire());
        as_payload(fresh.netns.get(),
                   [&] { EXPECT_TRUE(eventually([&] { return ping(one.attachments.front().address); })); });
        EXPECT_FALSE(MUST(network.repair()));
    });
}

} // namespace
} // namespace squish::network
