// What two readings of GET /v1/stats become: rows, percents, JSON.
#include "cli/ps_table.h"
#include "cli/stats_table.h"

#include <gmock/gmock.h>

namespace squish::cli {

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Json container(const char* name, std::int64_t time_us, std::uint64_t cpu_us) {
    return {{"id", std::string("id-") + name},
            {"name", name},
            {"source", "cgroup"},
            {"time_us", time_us},
            {"cpu_usage_us", cpu_us},
            {"memory", 20 << 20},
            {"memory_cache", 4 << 20},
            {"memory_used", 16 << 20},
            {"memory_limit", 64 << 20},
            {"pids", 3},
            {"pids_limit", nullptr},
            {"io_read", 1536},
            {"io_written", 0},
            {"network_received", 2048},
            {"network_sent", 512}};
}

Json reading(std::initializer_list<Json> containers) {
    return {{"time", "2026-11-22T19:30:00Z"}, {"cpus", 2}, {"containers", Json::array_t(containers)}};
}

TEST(Stats, ShowOneRowForEachContainerInTheOrderOfTheAnswer) {
    const auto before = reading({container("web", 1'000'000, 0), container("db", 1'000'000, 0)});
    const auto now = reading({container("web", 2'000'000, 500'000), container("db", 2'000'000, 1'500'000)});
    EXPECT_EQ(stats_table(before, now),
              "NAME  ID      CPU%    MEM USED / LIMIT  MEM%   CACHE  PIDS  IO R/W     NET R/W\n"
              "web   id-web  50.0%   16M / 64M         25.0%  4M     3     1.5K / 0B  2K / 512B\n"
              "db    id-db   150.0%  16M / 64M         25.0%  4M     3     1.5K / 0B  2K / 512B\n");
}

TEST(Stats, HaveAHeaderWhereNothingRuns) {
    EXPECT_EQ(stats_table(reading({}), reading({})),
              "NAME  ID  CPU%  MEM USED / LIMIT  MEM%  CACHE  PIDS  IO R/W  NET R/W\n");
    EXPECT_EQ(stats_json(reading({}), Json::object()), Json::array());
}

TEST(Stats, LeaveOutWhatHasEndedAndWhatIsNotKnownOfTheNew) {
    const auto before = reading({container("gone", 1'000'000, 0)});
    const auto now = reading({container("new", 2'000'000, 500'000)});
    const auto table = stats_table(before, now);
    EXPECT_THAT(table, Not(HasSubstr("gone")));
    EXPECT_THAT(table, HasSubstr("id-new  -     16M"));
    EXPECT_EQ(stats_json(before, now)[0]["cpu_percent"], nullptr);
}

TEST(Stats, ShowADashWhereThereIsNoLimitOrNoNetwork) {
    auto one = container("host", 1, 0);
    one["memory_limit"] = nullptr;
    one["network_received"] = one["network_sent"] = nullptr;
    one["pids_limit"] = 64;
    EXPECT_THAT(stats_table(reading({}), reading({one})),
                HasSubstr("16M / -           -     4M     3 / 64  1.5K / 0B  -\n"));
}

TEST(Stats, AreTheDaemonsOwnObjectsWithThePercentAsJson) {
    const auto before = reading({container("web", 1'000'000, 0)});
    auto expected = container("web", 3'000'000, 500'000);
    expected["cpu_percent"] = 25.0;
    EXPECT_EQ(stats_json(before, reading({container("web", 3'000'000, 500'000)})), Json::array({expected}));
}

TEST(Stats, MakeNamesFromOutsidePrintable) {
    auto one = container("x", 1, 0);
    one["name"] = "\033[2Jevil";
    EXPECT_THAT(stats_table(reading({}), reading({one})), HasSubstr("\\x1b[2Jevil"));
}

TEST(Stats, EndureAnswersThatAreNone) {
    for (const auto* text : {"[]", "{}", "null", "3", R"({"containers": {}})", R"({"containers": [1, null, []]})",
                             R"({"containers": [{"id": 5, "cpu_usage_us": -1, "memory_limit": "x"}]})"}) {
        SCOPED_TRACE(text);
        const auto json = Json::parse(text);
        EXPECT_THAT(stats_table(json, json), HasSubstr("NAME"));
        EXPECT_TRUE(stats_json(json, json).is_array());
    }
}

TEST(Screens, ShowTheFirstRowsAndColumnsOfATable) {
    EXPECT_EQ(stats_screen("NAME  ID\nweb   1\nüber  2\n", 10, 4), "\033[HNAME\033[K\nweb \033[K\nüber\033[K\n\033[J");
    EXPECT_EQ(stats_screen("NAME\na\nb\nc\n", 3, 80), "\033[HNAME\033[K\na\033[K\n\033[J");
    EXPECT_EQ(stats_screen("NAME\n", 1, 0), "\033[H\033[J");
}

TEST(CpuPercents, AreOfOneProcessorAndNeedTwoReadings) {
    Usage before, now;
    before.time_us = 1'000'000;
    now.time_us = 1'500'000;
    now.cpu_us = 250'000;
    EXPECT_EQ(cpu_percent(&before, now), 50.0);
    EXPECT_EQ(cpu_percent(nullptr, now), std::nullopt);
    EXPECT_EQ(cpu_percent(&now, now), std::nullopt); // no time has passed
    before.cpu_us = 300'000;                         // restarted: its counters began anew
    EXPECT_EQ(cpu_percent(&before, now), std::nullopt);
}

TEST(ShortSizes, TakeSevenCharactersAtMost) {
    EXPECT_EQ(short_size(0), "0B");
    EXPECT_EQ(short_size(1023), "1023B");
    EXPECT_EQ(short_size(1024), "1K");
    EXPECT_EQ(short_size(1536), "1.5K");
    EXPECT_EQ(short_size((1 << 20) - 1), "1M"); // not 1024.0K
    EXPECT_EQ(short_size(256 << 20), "256M");
    EXPECT_EQ(short_size(~std::uint64_t{0}), "16E");
    for (std::uint64_t bytes = 1; bytes < (std::uint64_t{1} << 62); bytes = bytes * 3 + 1)
        EXPECT_LE(short_size(bytes).size(), 7U) << bytes;
}

TEST(Clipping, CountsCharactersNotBytes) {
    EXPECT_EQ(clipped("äöü", 2), "äö");
    EXPECT_EQ(clipped("äöü", 3), "äöü");
    EXPECT_EQ(clipped("äöü", 99), "äöü");
    EXPECT_EQ(clipped("abc", 0), "");
    EXPECT_EQ(clipped("", 5), "");
}

} // namespace

} // namespace squish::cli
