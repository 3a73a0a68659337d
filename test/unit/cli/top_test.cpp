// squish top without its screen: what is shown at which size, and what keys do.
#include "cli/ps_table.h"
#include "cli/top_model.h"

#include <gmock/gmock.h>

namespace squish::cli {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Kind = TopAction::Kind;

struct Container {
    const char* name;
    std::uint64_t cpu_us = 0, memory = 0, pids = 1;
    const char* state = "running";
    const char* health = nullptr;
};

void take(TopModel& model, std::int64_t seconds, const std::vector<Container>& containers) {
    Json list = Json::array(), stats = Json::array();
    for (const auto& [name, cpu_us, memory, pids, state, health] : containers) {
        const auto id = std::string("id-") + name;
        list.push_back({{"id", id}, {"name", name}, {"state", state}, {"health", health ? Json(health) : Json()}});
        if (std::string_view(state) != "restarting")
            stats.push_back({{"id", id},
                             {"name", name},
                             {"source", "cgroup"},
                             {"time_us", seconds * 1'000'000},
                             {"cpu_usage_us", cpu_us},
                             {"memory_used", memory},
                             {"pids", pids},
                             {"memory_limit", 64 << 20},
                             {"io_read", 0},
                             {"io_written", cpu_us},
                             {"network_received", nullptr},
                             {"network_sent", nullptr}});
    }
    model.take({{"containers", stats}}, list);
}

// a: most processor time; b: most memory; c: most processes
TopModel three() {
    TopModel model(true);
    take(model, 1, {{"a"}, {"b"}, {"c"}});
    take(model, 2,
         {{"a", 900'000, 1 << 20, 1},
          {"b", 100'000, 32 << 20, 2, "paused"},
          {"c", 500'000, 2 << 20, 9, "running", "healthy"}});
    return model;
}

std::string shown(const TopModel& model, std::size_t width = 140, std::size_t height = 24) {
    std::string out;
    for (const auto& line : model.layout(width, height))
        out += line.text + "\n";
    return out;
}

std::string order(const TopModel& model) {
    std::string out;
    for (const auto& row : model.rows())
        out += row.name;
    return out;
}

TopAction press(TopModel& model, char letter) {
    return model.press(TopKey::other, letter);
}

TEST(Top, ShowsAHeaderAndARowForEachContainer) {
    const auto model = three();
    const auto lines = model.layout(140, 24);
    ASSERT_EQ(lines.size(), 24U);
    EXPECT_EQ(lines[0], (TopLine{"squish top: 3 containers, by processor time", TopLine::Style::title}));
    EXPECT_EQ(lines[1].style, TopLine::Style::header);
    for (const auto* title : {"NAME", "CPU%", "MEM", "LIMIT", "PIDS", "IO R/W", "NET R/W", "STATE"})
        EXPECT_THAT(lines[1].text, HasSubstr(title));
    EXPECT_THAT(lines[2].text, StartsWith("> a      90.0%"));
    EXPECT_EQ(lines[2].style, TopLine::Style::selected);
    EXPECT_THAT(lines[2].text, HasSubstr("878.9K"));
    EXPECT_THAT(lines[3].text, StartsWith("  c      50.0%"));
    EXPECT_THAT(lines[3].text, HasSubstr("running (healthy)"));
    EXPECT_THAT(lines[4].text, HasSubstr("paused"));
    EXPECT_THAT(lines[23].text, HasSubstr("q quit"));
}

TEST(Top, NeverShowsMoreThanTheScreenHolds) {
    auto model = three();
    for (const bool help : {false, true}) {
        if (help)
            press(model, '?');
        for (std::size_t width = 0; width < 150; ++width)
            for (std::size_t height = 0; height < 12; ++height) {
                const auto lines = model.layout(width, height);
                EXPECT_LE(lines.size(), height);
                for (const auto& line : lines)
                    EXPECT_LE(width_of(line.text), width) << width << "x" << height;
            }
    }
}

TEST(Top, DropsColumnsFromTheRight) {
    const auto model = three();
    std::size_t titles = 0;
    for (std::size_t width = 1; width < 140; ++width) {
        const auto header = model.layout(width, 10)[1].text;
        std::size_t now = 0;
        for (const auto* title : {"NAME", "CPU%", "MEM", "LIMIT", "PIDS", "IO R/W", "NET R/W", "STATE"}) {
            if (!header.contains(title))
                break;
            ++now;
        }
        EXPECT_GE(now, titles) << width;
        titles = now;
    }
    EXPECT_EQ(titles, 8U);
    EXPECT_THAT(shown(model, 46), Not(HasSubstr("LIMIT")));
    EXPECT_THAT(shown(model, 46), HasSubstr("MEM"));
    EXPECT_THAT(shown(model, 20), HasSubstr("> a"));
}

TEST(Top, FitsEightyColumnsUpToItsDiskTraffic) {
    EXPECT_THAT(shown(three(), 80), HasSubstr("PIDS"));
    EXPECT_THAT(shown(three(), 80), HasSubstr("IO R/W"));
}

TEST(Top, KeepsTheSelectedRowVisibleInTheSmallestWindow) {
    auto model = three();
    model.press(TopKey::last);
    EXPECT_EQ(shown(model, 3, 1), "> b\n");
    EXPECT_EQ(shown(model, 1, 1), ">\n");
    EXPECT_THAT(shown(model, 80, 2), HasSubstr("> b"));
    model.press(TopKey::first);
    EXPECT_EQ(shown(model, 3, 1), "> a\n");
}

TEST(Top, SortsByEachFigureAndTheOtherWayRound) {
    auto model = three();
    EXPECT_EQ(order(model), "acb");
    press(model, 'm');
    EXPECT_EQ(order(model), "bca");
    press(model, 'p'); // no pause: that is 'P'
    EXPECT_EQ(order(model), "cba");
    press(model, 'n');
    EXPECT_EQ(order(model), "abc");
    press(model, 'r');
    EXPECT_EQ(order(model), "cba");
    press(model, 'c');
    EXPECT_EQ(order(model), "bca");
    press(model, 'r');
    EXPECT_EQ(order(model), "acb");
}

TEST(Top, PutsWhatDoesNotRunLastWhicheverWayRound) {
    TopModel model(true);
    take(model, 1, {{"x", 0, 0, 1, "restarting"}, {"y"}});
    take(model, 2, {{"x", 0, 0, 1, "restarting"}, {"y", 5}});
    EXPECT_EQ(order(model), "yx");
    press(model, 'r');
    EXPECT_EQ(order(model), "yx");
    EXPECT_THAT(shown(model), HasSubstr("restarting"));
}

TEST(Top, KeepsTheSelectionOnItsContainerThroughSortingAndReadings) {
    auto model = three();
    model.press(TopKey::down);
    EXPECT_EQ(model.selected()->name, "c");
    press(model, 'm');
    EXPECT_EQ(model.selected()->name, "c");
    take(model, 3, {{"c", 500'000}, {"d", 900'000}});
    EXPECT_EQ(model.selected()->name, "c");
    take(model, 4, {{"d", 900'000}}); // c has ended
    EXPECT_EQ(model.selected()->name, "d");
    take(model, 5, {});
    EXPECT_EQ(model.selected(), nullptr);
    EXPECT_EQ(press(model, 'K').kind, Kind::none);
    EXPECT_THAT(shown(model), HasSubstr("no container is selected"));
}

TEST(Top, SelectsTheFirstRowUntilAKeyChooses) {
    TopModel model(true);
    take(model, 1, {{"a"}, {"b"}});
    EXPECT_EQ(model.selected()->name, "a");
    take(model, 2, {{"a", 1}, {"b", 500'000}});
    EXPECT_EQ(model.selected()->name, "b");
    press(model, 'n');
    EXPECT_EQ(model.selected()->name, "a");
    press(model, 'k');
    press(model, 'c');
    EXPECT_EQ(model.selected()->name, "a");
}

TEST(Top, MovesTheSelectionWithArrowsAndLettersAndStaysInTheList) {
    auto model = three();
    press(model, 'j');
    press(model, 'j');
    press(model, 'j');
    EXPECT_EQ(model.selected()->name, "b");
    press(model, 'k');
    EXPECT_EQ(model.selected()->name, "c");
    press(model, 'g');
    model.press(TopKey::up);
    EXPECT_EQ(model.selected()->name, "a");
    press(model, 'G');
    EXPECT_EQ(model.selected()->name, "b");
}

TEST(Top, StopsOnlyAfterAYes) {
    auto model = three();
    EXPECT_EQ(press(model, 's').kind, Kind::none);
    EXPECT_THAT(shown(model), HasSubstr("stop 'a'? y/n"));
    EXPECT_EQ(press(model, 'n').kind, Kind::none);
    EXPECT_EQ(press(model, 'y').kind, Kind::none);
    press(model, 's');
    const auto action = press(model, 'y');
    EXPECT_EQ(action.kind, Kind::stop);
    EXPECT_EQ(action.id, "id-a");
    EXPECT_THAT(shown(model), Not(HasSubstr("y/n")));
}

TEST(Top, StopsTheContainerThatWasAskedAboutThoughAnotherIsSelectedByNow) {
    auto model = three();
    press(model, 's');
    take(model, 3, {{"b", 900'000}, {"c", 0}, {"a", 900'000}});
    EXPECT_EQ(press(model, 'y').id, "id-a");
    press(model, 's');
    take(model, 4, {{"b"}});
    EXPECT_EQ(press(model, 'y').kind, Kind::none); // it has ended by itself
}

TEST(Top, KillsPausesAndShowsLogsOfTheSelected) {
    auto model = three();
    EXPECT_EQ(press(model, 'K').kind, Kind::kill);
    EXPECT_EQ(press(model, 'P').kind, Kind::pause);
    EXPECT_EQ(press(model, 'l').kind, Kind::logs);
    press(model, 'G');
    EXPECT_EQ(press(model, ' ').kind, Kind::unpause);
    EXPECT_EQ(press(model, 'q').kind, Kind::quit);
    EXPECT_EQ(press(model, '\0').kind, Kind::none);
}

TEST(Top, HelpsUntilTheNextKey) {
    auto model = three();
    press(model, '?');
    EXPECT_THAT(shown(model), HasSubstr("sort by"));
    EXPECT_EQ(press(model, 'K').kind, Kind::none);
    EXPECT_THAT(shown(model), HasSubstr("NAME"));
    press(model, '?');
    EXPECT_EQ(press(model, 'q').kind, Kind::quit);
}

TEST(Top, SaysWhatHappenedUntilTheNextKey) {
    auto model = three();
    model.say("stop 'a': \033[2Jfailed");
    EXPECT_THAT(shown(model), HasSubstr("stop 'a': \\x1b[2Jfailed"));
    press(model, 'j');
    EXPECT_THAT(shown(model), HasSubstr("q quit"));
}

TEST(Top, MakesNamesFromOutsidePrintable) {
    TopModel model(true);
    take(model, 1, {{"\033]0;evil\a"}});
    EXPECT_THAT(shown(model), HasSubstr("\\x1b]0;evil\\x07"));
}

TEST(Top, EnduresAnswersThatAreNone) {
    TopModel model(true);
    model.take(Json::array(), Json::parse(R"([1, null, {"id": 5}, {}])"));
    EXPECT_THAT(shown(model), HasSubstr("2 containers"));
    model.take(nullptr, nullptr);
    EXPECT_THAT(shown(model), HasSubstr("0 containers"));
}

TEST(Top, RemembersAMinute) {
    TopModel model(false);
    for (int second = 1; second < 200; ++second)
        take(model, second, {{"a", static_cast<std::uint64_t>(second) * 1000}});
    EXPECT_EQ(model.rows()[0].cpu_history.size(), kTopHistory);
    EXPECT_EQ(model.rows()[0].memory_history.size(), kTopHistory);
}

TEST(Sparklines, AreTheLastValuesLowToHigh) {
    EXPECT_EQ(sparkline({0, 50, 100}, 100, 5, true), "  ▁▅█");
    EXPECT_EQ(sparkline({0, 50, 100}, 100, 2, true), "▅█");
    EXPECT_EQ(sparkline({0, 50, 100}, 100, 5, false), "  _=#");
    EXPECT_EQ(sparkline({200, 100}, 100, 2, true), "█▅"); // beyond 100% the largest is the highest
    EXPECT_EQ(sparkline({}, 100, 3, true), "   ");
    EXPECT_EQ(sparkline({0, 0}, 0, 2, true), "▁▁");
}

} // namespace

} // namespace squish::cli
