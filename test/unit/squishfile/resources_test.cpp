// [resources] on its own: what `squish update` sends, and what becomes of the limits that were there.
#include "expectations.h"

#include <gtest/gtest.h>

namespace squish {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

ResourceEdit edit_of(std::string_view json) {
    auto edit = parse_resources_json(json);
    if (!edit) {
        ADD_FAILURE() << edit.error().text();
        return {};
    }
    return *std::move(edit);
}

std::string complaint_about(std::string_view json) {
    const auto edit = parse_resources_json(json);
    if (edit) {
        ADD_FAILURE() << "was accepted";
        return {};
    }
    EXPECT_EQ(edit.error().kind, ErrorKind::invalid);
    return edit.error().message;
}

TEST(ResourceEdits, ReadTheSquishfilesOwnSpelling) {
    const auto edit = edit_of(R"({"memory": "512M", "cpus": 0.5, "cpu_period": "50ms", "pids": 64,
                                  "io": {"device": "/dev/sda", "read_bps": "1M"}, "hugetlb": {"2M": "4M"}})");
    EXPECT_EQ(edit.set.memory, 512U << 20);
    EXPECT_EQ(edit.set.cpus, 0.5);
    EXPECT_EQ(edit.set.cpu_period, 50ms);
    EXPECT_EQ(edit.set.pids, 64U);
    ASSERT_EQ(edit.set.io.size(), 1U);
    EXPECT_EQ(edit.set.io[0].device, "/dev/sda");
    EXPECT_THAT(edit.set.hugetlb, ElementsAre(HugetlbLimit{2U << 20, 4U << 20}));
    EXPECT_THAT(edit.lifted, IsEmpty());
}

TEST(ResourceEdits, LiftWithNullOrMaxOrAnEmptyTable) {
    EXPECT_THAT(edit_of(R"({"memory": null, "pids": "max", "cpuset": "max", "io": {}, "hugetlb": {}})").lifted,
                UnorderedElementsAre("memory", "pids", "cpuset", "io", "hugetlb"));
    EXPECT_THAT(edit_of(R"({"io": []})").lifted, ElementsAre("io"));
    EXPECT_EQ(edit_of("{}"), ResourceEdit{});
}

TEST(ResourceEdits, NameTheNearestKeyEvenOfWhatWouldBeLifted) {
    EXPECT_EQ(complaint_about(R"({"memry": "1M"})"), "unknown key 'memry'; did you mean 'memory'?");
    EXPECT_EQ(complaint_about(R"({"cpu_weigth": null})"), "unknown key 'cpu_weigth'; did you mean 'cpu_weight'?");
    EXPECT_THAT(complaint_about(R"({"io": {"read": "max"}})"), HasSubstr("unknown key 'read' in 'io'"));
}

TEST(ResourceEdits, NameEverythingThatIsWrong) {
    EXPECT_EQ(complaint_about(R"({"pids": 0, "cpus": "2"})"),
              "'cpus' must be a number, not a string; 'pids' must be between 1 and 4194304, not 0");
    EXPECT_THAT(complaint_about("[]"), HasSubstr("must be an object"));
    EXPECT_THAT(complaint_about("{"), HasSubstr("not valid JSON"));
    EXPECT_THAT(complaint_about(R"({"memory": null, "memory": "1M"})"), HasSubstr("given twice"));
    EXPECT_THAT(complaint_about("{\"x\": \"" + std::string(kMaxSquishfileBytes, 'x') + "\"}"), HasSubstr("too large"));
}

TEST(ResourceEdits, LeaveToTheMergeWhatDependsOnTheOtherLimits) {
    const auto edit = edit_of(R"({"cpu_burst": "10ms", "memory_high": "1G"})");
    ResourceSpec before;
    EXPECT_THAT(merge(before, edit).error().text(), HasSubstr("'cpu_burst' has no effect without cpus"));
    before.cpus = 1;
    EXPECT_TRUE(merge(before, edit));
    before.memory = 512U << 20;
    const auto refused = merge(before, edit);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    EXPECT_THAT(refused.error().message, HasSubstr("'memory_high' must not be more than memory"));
}

TEST(Merges, ReplaceWhatIsGivenLiftWhatIsLiftedAndKeepTheRest) {
    const auto before = parsed("[resources]\nmemory = '1G'\nswap = 0\npids = 10\ncpuset = '0'\n"
                               "io = { device = '/dev/a', read_bps = 1 }")
                            .resources;
    const auto after = merge(before, edit_of(R"({"memory": "2G", "pids": null, "io": {"write_iops": 5}})"));
    ASSERT_TRUE(after);
    EXPECT_EQ(after->memory, std::uint64_t{2} << 30);
    EXPECT_EQ(after->swap, 0U);
    EXPECT_EQ(after->pids, std::nullopt);
    EXPECT_EQ(after->cpuset, "0");
    ASSERT_EQ(after->io.size(), 1U);
    EXPECT_EQ(after->io[0].device, "");
    EXPECT_EQ(after->io[0].read_bps, std::nullopt);
    EXPECT_EQ(after->io[0].write_iops, 5U);
}

TEST(Merges, CanLiftEveryKey) {
    const auto full = parsed(kFullExample).resources;
    const auto after = merge(full, edit_of(R"({"memory": null, "memory_high": null, "memory_low": null, "swap": null,
        "cpus": null, "cpu_period": null, "cpu_burst": null, "cpu_weight": null, "cpuset": null, "pids": null,
        "io": null, "hugetlb": null})"));
    ASSERT_TRUE(after);
    EXPECT_FALSE(after->any());
}

TEST(Merges, RefuseToTakeAwayWhatAnotherLimitNeeds) {
    const auto before = parsed("resources = { cpus = 1, cpu_burst = '10ms' }").resources;
    EXPECT_FALSE(merge(before, edit_of(R"({"cpus": null})")));
    EXPECT_TRUE(merge(before, edit_of(R"({"cpus": null, "cpu_burst": null})")));
    EXPECT_THAT(merge(before, edit_of(R"({"cpus": 0.05})")).error().text(), HasSubstr("'cpu_burst' must not be more"));
}

TEST(ResourceJson, IsReadBack) {
    auto resources = parsed(kFullExample).resources;
    resources.at = {};
    EXPECT_EQ(edit_of(resources_to_json(resources)).set, resources);
    EXPECT_EQ(resources_to_json({}), "{}");
    EXPECT_EQ(resources_to_json(parsed("resources = { memory = '1K', cpus = 0.5, cpu_period = '1s' }").resources),
              R"({"memory":"1024","cpus":0.5,"cpu_period":"1000ms"})");
}

TEST(Resources, AcceptTheBordersOfWhatIsAllowed) {
    for (const std::string_view text : {
             "memory = '1G'\nmemory_high = '1G'\nmemory_low = '1G'",
             "cpus = 0.01",
             "cpus = 1\ncpu_period = '1ms'\ncpu_burst = '1ms'",
             "cpus = 0.001e3\ncpu_period = '1s'",
             "cpu_period = '1ms'",
             "cpu_weight = 1",
             "cpu_weight = 10000",
             "memory_low = 0",
             "hugetlb = { '4K' = 0, '2M' = '1T' }",
             "io = []",
             "io = { device = '/dev/mapper/vg-root', read_iops = 1 }",
         }) {
        SCOPED_TRACE(text);
        EXPECT_TRUE(parse_toml("[resources]\n" + std::string(text)));
    }
}

} // namespace
} // namespace squish
