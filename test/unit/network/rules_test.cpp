#include "network/rules.h"

#include <gmock/gmock.h>

namespace squish::network {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Rules, ReplaceTheTableInOneTransaction) {
    EXPECT_THAT(rules_text(), StartsWith("add table inet squish\ndelete table inet squish\ntable inet squish {\n"));
}

TEST(Rules, NameWhatTheOptionsName) {
    EXPECT_THAT(rules_text(), HasSubstr(R"(oifname "tap0" ip saddr 10.89.0.0/16 masquerade)"));
    RuleOptions options;
    options.bridge = "br7";
    options.uplink = "up7";
    options.uplink_network = "10.7.7.0/24";
    options.loopback = "lo7";
    options.loopback_host = "10.7.8.2";
    const auto text = rules_text(options);
    EXPECT_THAT(text, HasSubstr(R"(iifname "br7" oifname "up7" ip saddr 10.89.0.0/16 jump outgoing)"));
    EXPECT_THAT(text, HasSubstr("ip daddr 10.7.7.0/24 reject"));
    EXPECT_THAT(text, HasSubstr(R"(iifname "br7" ip daddr 10.89.0.1 jump gateway)"));
    EXPECT_THAT(text, HasSubstr(R"(oifname "lo7" jump to_host_loopback)"));
    EXPECT_THAT(text, HasSubstr("ip saddr @host_loopback ip daddr 10.7.8.2 accept"));
    for (const auto* left : {"$", "tap0", "tap1", "squish0", "10.0.2.", "10.0.3."})
        EXPECT_THAT(text, Not(HasSubstr(left)));
}

// What the uplink's network is refused before the world is allowed.
TEST(Rules, AreInOrder) {
    const auto text = rules_text();
    const auto uplink = text.find("ip daddr 10.0.2.0/24 reject");
    const auto world = text.find("        accept\n", text.find("chain outgoing"));
    ASSERT_NE(world, std::string::npos);
    EXPECT_LT(uplink, world);
}

// A connection that an address's former owner had established must not let its next owner through.
TEST(Rules, AskForTheHostsLoopbackBeforeConnectionTracking) {
    const auto text = rules_text();
    const auto forward = text.find("chain forward");
    const auto established = text.find("ct state established,related accept", forward);
    ASSERT_NE(established, std::string::npos);
    EXPECT_LT(text.find(R"(oifname "tap1" jump to_host_loopback)", forward), established);
    EXPECT_LT(text.find(R"(iifname "tap1" ip daddr != @host_loopback drop)", forward), established);
    const auto chain = text.substr(text.find("chain to_host_loopback"));
    EXPECT_THAT(chain.substr(0, chain.find('}')), Not(HasSubstr("established")));
}

TEST(Rules, KnowIpv6OnlyWhereContainersHaveItToTheOutside) {
    for (const auto* word : {"ip6", "icmpv6", "6|"})
        EXPECT_THAT(rules_text(), Not(HasSubstr(word)));
    RuleOptions options;
    options.ipv6 = true;
    options.bridge = "br7";
    options.uplink = "up7";
    options.uplink_network6 = "fd07::/64";
    options.uplink_router6 = "fd07::2";
    const auto text = rules_text(options);
    for (const auto* left : {"$", "6|", "tap0", "squish0", "fd00:"})
        EXPECT_THAT(text, Not(HasSubstr(left)));
    EXPECT_THAT(text, HasSubstr(R"(iifname "br7" oifname "up7" ip6 saddr fd73:7175:6973::/48 jump outgoing6)"));
    EXPECT_THAT(text, HasSubstr(R"(oifname "up7" ip6 saddr fd73:7175:6973::/48 masquerade)"));
    EXPECT_THAT(text, HasSubstr("ip6 daddr { fd07::/64, fd73:7175:6973::/48 } reject"));
    EXPECT_THAT(text, HasSubstr(R"(iifname { "br7", "up7" } jump neighbours)"));
    const auto chain = text.find("chain outgoing6");
    EXPECT_LT(text.find("::/16", chain), text.find("        accept\n", chain)) << "refused before the world is allowed";
}

TEST(Rules, LetOneAddressInAndOut) {
    EXPECT_EQ(allow_host_loopback_text("10.89.0.2"), "add element inet squish host_loopback { 10.89.0.2 }\n");
    EXPECT_EQ(forbid_host_loopback_text("10.89.0.2"), "add element inet squish host_loopback { 10.89.0.2 }\n"
                                                      "delete element inet squish host_loopback { 10.89.0.2 }\n");
}

} // namespace
} // namespace squish::network
