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
    const auto text = rules_text(options);
    EXPECT_THAT(text, HasSubstr(R"(iifname "br7" oifname "up7" ip saddr 10.89.0.0/16 jump outgoing)"));
    EXPECT_THAT(text, HasSubstr("ip daddr 10.7.7.0/24 reject"));
    EXPECT_THAT(text, HasSubstr(R"(iifname "br7" ip daddr 10.89.0.1 jump gateway)"));
    for (const auto* left : {"$", "tap0", "squish0", "10.0.2."})
        EXPECT_THAT(text, Not(HasSubstr(left)));
}

// The uplink's network must be refused before the world is allowed.
TEST(Rules, AreInOrder) {
    const auto text = rules_text();
    const auto uplink = text.find("ip daddr 10.0.2.0/24 reject");
    const auto world = text.find("        accept\n", text.find("chain outgoing"));
    ASSERT_NE(world, std::string::npos);
    EXPECT_LT(uplink, world);
}

} // namespace
} // namespace squish::network
