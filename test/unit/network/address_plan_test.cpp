#include "network/address_plan.h"

#include <gmock/gmock.h>
#include <set>

namespace squish::network {
namespace {

TEST(AddressPlan, NumberIsTheOffsetInTheDefaultNetwork) {
    EXPECT_EQ(to_string(kGateway), "10.89.0.1");
    EXPECT_EQ(to_string(address_of(kFirstNumber)), "10.89.0.2");
    EXPECT_EQ(to_string(address_of(256)), "10.89.1.0");
    EXPECT_EQ(to_string(address_of(kLastNumber)), "10.89.15.254");
}

TEST(AddressPlan, MacIsLocalUnicastAndDifferentForEveryAddress) {
    std::set<std::array<std::uint8_t, 6>> macs;
    for (auto number = kFirstNumber; number <= kLastNumber; ++number)
        macs.insert(mac_of(address_of(number)));
    EXPECT_EQ(macs.size(), kLastNumber - kFirstNumber + 1);
    EXPECT_EQ(mac_of(ipv4(10, 89, 1, 2)), (std::array<std::uint8_t, 6>{0x02, 0x73, 10, 89, 1, 2}));
    for (const auto& mac : macs) {
        EXPECT_TRUE(mac[0] & 2) << "locally administered";
        EXPECT_FALSE(mac[0] & 1) << "unicast";
    }
}

TEST(AddressPlan, LinkNamesAreRecognisedExactly) {
    EXPECT_EQ(link_name(4094), "sq4094");
    for (auto number = kFirstNumber; number <= kLastNumber; ++number)
        ASSERT_EQ(number_of_link(link_name(number)), number);
    for (NetworkId network = 1; network <= kNamedNetworks; ++network)
        for (auto host = kFirstNumber; host <= kLastNamedHost; ++host)
            ASSERT_EQ(number_of_link(link_name(number_in(network, host))), number_in(network, host));
    for (const auto* other : {"squish0", "sq", "sq1", "sq0", "sq4095", "sq4096", "sq4097", "sq4351", "sq65535", "sq02",
                              "sq2x", "xsq2", "eth0", "", "sq99999999999999999999"})
        EXPECT_EQ(number_of_link(other), std::nullopt) << other;
}

TEST(Numbers, GivesEachOnceAndThenNone) {
    Numbers numbers(5);
    EXPECT_EQ(numbers.capacity(), 4U);
    std::set<std::uint32_t> given;
    for (int i = 0; i < 4; ++i)
        given.insert(numbers.take().value_or(0));
    EXPECT_THAT(given, ::testing::ElementsAre(2, 3, 4, 5));
    EXPECT_EQ(numbers.take(), std::nullopt);
}

TEST(Numbers, ReusesTheOneThatIsFreeForLongest) {
    Numbers numbers(4);
    EXPECT_EQ(numbers.take(), 2U);
    EXPECT_EQ(numbers.take(), 3U);
    numbers.mark_free(2);
    EXPECT_EQ(numbers.take(), 4U) << "not 2: that one was used a moment ago";
    EXPECT_EQ(numbers.take(), 2U);
}

TEST(Numbers, SkipsWhatIsElsewhereUntilItHasVanished) {
    Numbers numbers(4);
    numbers.mark_elsewhere(2);
    numbers.mark_elsewhere(4);
    EXPECT_EQ(numbers.take(), 3U);
    EXPECT_EQ(numbers.take(), std::nullopt);
    EXPECT_TRUE(numbers.is_elsewhere(2));
    EXPECT_TRUE(numbers.is_ours(3));
    EXPECT_FALSE(numbers.keep_elsewhere({2, 3, 4}));
    EXPECT_TRUE(numbers.keep_elsewhere({3, 4}));
    EXPECT_FALSE(numbers.is_elsewhere(2));
    EXPECT_EQ(numbers.take(), 2U);
    EXPECT_EQ(numbers.take(), std::nullopt) << "4 exists, 3 is ours though nobody mentions it";
}

TEST(Numbers, NumbersBeyondTheEndAreNobodys) {
    Numbers numbers(4);
    numbers.mark_elsewhere(4000);
    numbers.mark_free(4000);
    EXPECT_FALSE(numbers.is_ours(4000));
    EXPECT_FALSE(numbers.is_elsewhere(4000));
}

TEST(Ipv6Gateways, AreTheFirstOfEachNetworkAndNoSlots) {
    EXPECT_EQ(to_string(gateway6_of(0)), "fd73:7175:6973::1");
    EXPECT_EQ(to_string(gateway6_of(240)), "fd73:7175:6973:f0::1");
    EXPECT_EQ(to_string(kUplinkOwn6), "fd00::100");
    EXPECT_EQ(to_string(kUplinkRouter6), "fd00::2");
    for (const NetworkId network : {0U, 1U, 240U})
        EXPECT_NE(address6_of(number_in(network, kFirstNumber)), gateway6_of(network));
}

} // namespace
} // namespace squish::network
