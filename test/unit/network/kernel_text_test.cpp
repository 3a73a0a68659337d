#include "network/kernel_text.h"

#include <gmock/gmock.h>

namespace squish::network {
namespace {

// Captured on Linux 6.18, in a namespace with a server, a client and a connection in TIME_WAIT.
constexpr const char* kSockstat = "sockets: used 7\n"
                                  "TCP: inuse 2 orphan 3 tw 1 alloc 9 mem 110\n"
                                  "UDP: inuse 1 mem 4\n"
                                  "UDPLITE: inuse 0\n"
                                  "RAW: inuse 0\n"
                                  "FRAG: inuse 5 memory 2048\n";
constexpr const char* kSockstat6 = "TCP6: inuse 1\n"
                                   "UDP6: inuse 2\n"
                                   "UDPLITE6: inuse 0\n"
                                   "RAW6: inuse 1\n"
                                   "FRAG6: inuse 2 memory 100\n";

TEST(Sockstat, CountsWhatBelongsToTheNamespace) {
    const auto counts = parse_sockstat(kSockstat, kSockstat6);
    ASSERT_TRUE(counts.has_value());
    EXPECT_EQ(counts->used, 7U);
    EXPECT_EQ(counts->hashed, 7U);
    EXPECT_EQ(counts->time_wait, 1U);
    EXPECT_EQ(counts->fragments, 7U);
}

TEST(Sockstat, MachineWideFiguresMakeNoDifference) {
    std::string busier = kSockstat;
    busier.replace(busier.find("orphan 3"), 8, "orphan 8");
    busier.replace(busier.find("alloc 9 mem 110"), 15, "alloc 500 mem 9");
    busier.replace(busier.find("mem 4"), 5, "mem 7");
    EXPECT_EQ(*parse_sockstat(busier, kSockstat6), *parse_sockstat(kSockstat, kSockstat6));
}

TEST(Sockstat, EveryOwnFigureMakesADifference) {
    const auto before = *parse_sockstat(kSockstat, kSockstat6);
    for (const std::string figure : {"used 7", "inuse 2", "tw 1", "UDP: inuse 1", "RAW: inuse 0", "FRAG: inuse 5"}) {
        std::string changed = kSockstat;
        changed.replace(changed.find(figure) + figure.size() - 1, 1, "9");
        EXPECT_NE(*parse_sockstat(changed, kSockstat6), before) << figure;
    }
    EXPECT_NE(*parse_sockstat(kSockstat, ""), before);
}

TEST(Sockstat, RefusesOtherText) {
    EXPECT_FALSE(parse_sockstat("", "").has_value());
    EXPECT_FALSE(parse_sockstat("sockets: used 1\n", "").has_value());
    EXPECT_FALSE(parse_sockstat("sockets: used 1\nTCP: inuse x orphan 0\n", "").has_value());
}

TEST(PingGroupRange, CoversAllExtents) {
    EXPECT_EQ(ping_group_range("         0       1000          1\n").value_or(""), "0 0");
    EXPECT_EQ(ping_group_range("         0       1000          1\n         1     100000      65536\n").value_or(""),
              "0 65536");
    EXPECT_EQ(ping_group_range("         0          0 4294967295\n").value_or(""), "0 4294967294");
}

// The kernel would see a range whose end lies below its beginning, and switch the feature off.
TEST(PingGroupRange, TakesTheWidestExtentWhereTheOrderIsTurnedRound) {
    EXPECT_EQ(ping_group_range("0 200000 1\n1 100000 65536\n").value_or(""), "1 65536");
}

TEST(PingGroupRange, NeedsAMap) {
    EXPECT_FALSE(ping_group_range("").has_value());
    EXPECT_FALSE(ping_group_range("junk\n").has_value());
}

TEST(Ipv6Text, AddressesAreRead) {
    const auto found = parse_addresses6("00000000000000000000000000000001 01 80 10 80       lo\n"
                                        "fd737175697300000000000000000002 64 40 00 82     eth0\n");
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->size(), 2U);
    EXPECT_EQ(found->back().address, address6_of(2));
    EXPECT_EQ(found->back().prefix, 64U);
    EXPECT_EQ(found->back().link, "eth0");
    EXPECT_FALSE(parse_addresses6("fd73717569730000000000000000000 64 40 00 82     eth0\n").has_value());
    EXPECT_FALSE(parse_addresses6("-d737175697300000000000000000002 64 40 00 82     eth0\n").has_value());
    EXPECT_FALSE(parse_addresses6("fd737175697300000000000000000002 64\n").has_value());
}

TEST(Ipv6Text, DefaultRoutesAreReadButForThoseThroughLo) {
    const std::string none = "00000000000000000000000000000000 00 ";
    const auto found = parse_default_routes6(
        "fd737175697300000000000000000000 40 " + none +
        "00000000000000000000000000000000 00000100 00000001 00000000 "
        "00000001     eth0\n" +
        none + none + "fd737175697300000000000000000001 00000400 00000001 00000000 00000003     eth0\n" + none + none +
        "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n");
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->front().gateway, gateway6_of(0));
    EXPECT_EQ(found->front().link, "eth0");
    EXPECT_FALSE(parse_default_routes6("what is this\n").has_value());
}

TEST(Ipv6Text, LocalAddressesAreThoseWithARouteOfTheirOwn) {
    const std::string none = "00000000000000000000000000000000 00 ";
    const std::string direct = "00000000000000000000000000000000 00000000 00000001 00000000 ";
    const auto found =
        parse_local_addresses6("fd737175697300000000000000000000 40 " + none + direct +
                               "00000001     eth0\n"
                               "fd737175697300000000000000000002 80 " +
                               none + direct +
                               "80200001     eth0\n"
                               "fd737175697300000000000000000003 80 " +
                               none + direct + "00000001     eth0\n" + none + none + direct + "80200001       lo\n");
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, std::vector{address6_of(2)});
    EXPECT_FALSE(parse_local_addresses6("fd737175697300000000000000000002 80\n").has_value());
    EXPECT_FALSE(parse_local_addresses6("fd737175697300000000000000000002 80 " + none +
                                        "00000000000000000000000000000000 00000000 00000001 00000000 what eth0\n")
                     .has_value());
}

} // namespace
} // namespace squish::network
