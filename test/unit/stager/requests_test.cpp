// The stager's requests: what is taken, and that an error names what is wrong.
#include "stager/requests.h"

#include <gmock/gmock.h>

namespace squish::stager {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::Json;

Json parsed(const char* text) {
    return Json::parse(text);
}

TEST(StagerRequests, AStageIsReadWhole) {
    const auto stage = read_stage(parsed(R"({"rootfs": "/r", "folders": ["/dev"],
        "mounts": [{"source": "/a", "target": "/b", "read_only": true, "label": "layer 'x'"},
                   {"source": "/c", "target": "/b/d", "nested": true}],
        "files": [{"path": "/etc/hosts", "content": "::1 x"}]})"));
    ASSERT_TRUE(stage);
    EXPECT_EQ(stage->rootfs, "/r");
    EXPECT_THAT(stage->folders, ElementsAre("/dev"));
    ASSERT_EQ(stage->mounts.size(), 2U);
    EXPECT_TRUE(stage->mounts[0].read_only && !stage->mounts[0].nested);
    EXPECT_EQ(stage->mounts[0].label, "layer 'x'");
    EXPECT_TRUE(stage->mounts[1].nested && !stage->mounts[1].read_only);
    EXPECT_EQ(stage->mounts[1].label, "'/c'") << "one without a label is called by its path";
    EXPECT_EQ(stage->files[0].content, "::1 x");
}

TEST(StagerRequests, AStageThatLacksSomethingIsRefusedByItsName) {
    const auto refused = [](const char* member, const Json& value) {
        auto request = parsed(R"({"rootfs": "/r", "folders": [], "mounts": [], "files": []})");
        request[member] = value;
        const auto stage = read_stage(request);
        return stage ? std::string("taken") : stage.error().message;
    };
    EXPECT_EQ(refused("folders", Json::array()), "taken");
    EXPECT_THAT(refused("mounts", 1), HasSubstr("'mounts'"));
    EXPECT_THAT(refused("mounts", parsed(R"(["x"])")), HasSubstr("malformed mount"));
    EXPECT_THAT(refused("mounts", parsed(R"([{"source": "/a"}])")), HasSubstr("'target'"));
    EXPECT_THAT(refused("folders", parsed("[1]")), HasSubstr("malformed folder"));
    EXPECT_THAT(refused("files", parsed(R"(["x"])")), HasSubstr("'path'"));
    EXPECT_THAT(refused("files", parsed(R"([{"path": "/a"}])")), HasSubstr("'content'"));
    EXPECT_THAT(refused("rootfs", 7), HasSubstr("'rootfs'"));
}

TEST(StagerRequests, TheNameOfALayerIsOneComponent) {
    const auto named = [](const std::string& name) {
        Json request = Json::object();
        request["mounts"] = Json::array({{{"source", "/s"}, {"name", name}}});
        return read_sdks(request).has_value();
    };
    EXPECT_TRUE(named("python"));
    for (const auto& name :
         {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a\0b", 3)})
        EXPECT_FALSE(named(name)) << name;
}

TEST(StagerRequests, NumbersAreWithinTheirLimits) {
    EXPECT_TRUE(read_network_up(parsed(R"({"mtu": 1500, "spares": 4})")));
    for (const auto* bad : {R"({"mtu": 575, "spares": 0})", R"({"mtu": 65521, "spares": 0})",
                            R"({"mtu": 1500, "spares": -1})", R"({"mtu": 1500, "spares": 65})", R"({"mtu": "x"})"})
        EXPECT_FALSE(read_network_up(parsed(bad))) << bad;
    EXPECT_FALSE(read_network(parsed(R"({"network": 0})"))) << "the default one is not added";
    EXPECT_TRUE(read_network(parsed(R"({"network": 240})")));
    EXPECT_FALSE(read_network(parsed(R"({"network": 241})")));
    EXPECT_THAT(*read_networks(parsed(R"({"networks": [0, 240]})")), ElementsAre(0, 240));
    for (const auto* bad : {R"({"networks": [241]})", R"({"networks": [-1]})", R"({"networks": ["1"]})", "{}"})
        EXPECT_FALSE(read_networks(parsed(bad))) << bad;
    EXPECT_EQ(*read_slot(parsed(R"({"slot": 4294967295})")), 4294967295U);
    EXPECT_EQ(read_slot(parsed(R"({"slot": 4294967296})")).error().kind, ErrorKind::not_found);
    EXPECT_FALSE(read_slots(parsed(R"({"slots": [4294967296]})")));
}

} // namespace
} // namespace squish::stager
