#include "engine/events.h"

#include "../os/scratch.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <sys/stat.h>

namespace squish {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Events : public test::Scratch {
protected:
    [[nodiscard]] std::size_t lines() const {
        return static_cast<std::size_t>(std::ranges::count(text_of(file_), '\n'));
    }
    void append(const std::string& bytes) const { std::ofstream(file_, std::ios::app) << bytes; }
    std::string file_ = at("events");
};

std::vector<std::uint64_t> numbers(const EventLog& log) {
    std::vector<std::uint64_t> out;
    for (const auto& event : log.backlog())
        out.push_back(event.number);
    return out;
}

constexpr auto kLine = R"({"number":7,"time":"2023-11-14T22:13:20.123456Z","type":"exit","id":"a","name":"web",)"
                       R"("attributes":{"reason":"oom","code":"137"}})";

TEST_F(Events, AreLinesOfJson) {
    const Event event{7, 1'700'000'000'123'456, "exit", "a", "web", {{"reason", "oom"}, {"code", "137"}}};
    EXPECT_EQ(to_json(event), kLine);
    const auto parsed = parse_event(kLine);
    ASSERT_TRUE(parsed) << parsed.error().text();
    EXPECT_EQ(*parsed, event);
}

TEST_F(Events, ThatAreNotTextAreWrittenAllTheSame) {
    const Event event{1, 0, "health", "a", "b", {{"output", "\xff\n"}}};
    const auto line = to_json(event);
    EXPECT_THAT(line, HasSubstr("\xef\xbf\xbd\\n"));
    EXPECT_TRUE(parse_event(line));
}

TEST_F(Events, AreReadStrictly) {
    const auto with = [](std::string_view old_part, std::string_view new_part) {
        std::string line = kLine;
        return line.replace(line.find(old_part), old_part.size(), new_part);
    };
    ASSERT_TRUE(parse_event(with("2023", "2024")));
    for (const auto& wrong :
         {std::string(), std::string("[]"), std::string("{}"), std::string(1 << 20, '['), with(":7", ":0"),
          with(":7", ":-7"), with(":7", ":\"7\""), with(":7", ":7.5"), with(":7", ":18446744073709551615"),
          with("2023-11-14", "2023-11-31"), with("2023", "x"), with("456Z", "456"), with("456Z", "45Z"),
          with("\"exit\"", "1"), with("\"web\"", "null"), with("\"137\"", "137"), with("\"id\"", "\"ID\""),
          with("{\"reason\":\"oom\",\"code\":\"137\"}", "[]")})
        EXPECT_FALSE(parse_event(wrong)) << wrong.substr(0, 200);
}

TEST_F(Events, AreNumberedDatedAndTold) {
    EventLog log("");
    std::vector<Event> told;
    const auto subscription = log.subscribe([&](const Event& event) { told.push_back(event); });
    log.add("start", "a", "web");
    log.add("exit", "a", "web", {{"code", "0"}});
    ASSERT_THAT(told, SizeIs(2));
    EXPECT_EQ(told[0].number, 1U);
    EXPECT_EQ(told[1].number, 2U);
    EXPECT_EQ(told[1].type, "exit");
    EXPECT_EQ(told[1].attributes[0].second, "0");
    EXPECT_GT(told[0].time, 1'700'000'000'000'000);
    EXPECT_GE(told[1].time, told[0].time);
    EXPECT_THAT(log.backlog(), ElementsAre(told[0], told[1]));
}

TEST_F(Events, AListenerIsNotToldOnceItsSubscriptionHasEnded) {
    EventLog log("");
    int told = 0;
    {
        const auto subscription = log.subscribe([&](const Event&) { ++told; });
        log.add("start", "a", "a");
    }
    log.add("exit", "a", "a");
    EXPECT_EQ(told, 1);
}

TEST_F(Events, AListenerMayEndItsOwnSubscriptionWhileItIsTold) {
    EventLog log("");
    std::optional<EventLog::Subscription> subscription;
    int told = 0;
    const std::string held(100, 'x'); // in the listener's own closure, which must outlive the call
    std::string seen;
    subscription = log.subscribe([&, held](const Event&) {
        subscription.reset();
        seen = held;
        ++told;
    });
    log.add("start", "a", "a");
    log.add("exit", "a", "a");
    EXPECT_EQ(told, 1);
    EXPECT_EQ(seen, held);
}

TEST_F(Events, AListenerMayEndTheSubscriptionOfOneThatHasNotBeenToldYet) {
    EventLog log("");
    std::optional<EventLog::Subscription> second;
    std::vector<std::string> told;
    const auto first = log.subscribe([&](const Event& event) {
        told.push_back("first " + event.type);
        second.reset();
    });
    second = log.subscribe([&](const Event& event) { told.push_back("second " + event.type); });
    const auto third = log.subscribe([&](const Event& event) { told.push_back("third " + event.type); });
    log.add("start", "a", "a");
    EXPECT_THAT(told, ElementsAre("first start", "third start"));
}

TEST_F(Events, AListenerThatComesWhileAnotherIsToldIsToldOfTheNext) {
    EventLog log("");
    std::optional<EventLog::Subscription> late;
    std::vector<std::string> told;
    const auto first = log.subscribe([&](const Event&) {
        if (!late)
            late = log.subscribe([&](const Event& event) { told.push_back(event.type); });
    });
    log.add("start", "a", "a");
    log.add("exit", "a", "a");
    EXPECT_THAT(told, ElementsAre("exit"));
}

TEST_F(Events, ASubscriptionMayOutliveTheLog) {
    std::optional<EventLog> log(std::in_place, "");
    const auto subscription = log->subscribe([](const Event&) {});
    log.reset();
}

TEST_F(Events, OutliveTheLogInItsFile) {
    std::deque<Event> before;
    {
        EventLog log(file_);
        log.add("start", "a", "web");
        log.add("exit", "a", "web", {{"code", "137"}, {"reason", "oom"}});
        before = log.backlog();
    }
    struct stat info{};
    ASSERT_EQ(::stat(file_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
    EventLog again(file_);
    EXPECT_EQ(again.backlog(), before);
    again.add("remove", "a", "web");
    EXPECT_THAT(numbers(again), ElementsAre(1, 2, 3));
    EXPECT_EQ(lines(), 3U);
}

TEST_F(Events, AreKeptUpToALimitInMemoryAndInTheFile) {
    EventLog log(file_);
    for (std::size_t i = 0; i < 2 * kMaxBacklog; ++i)
        log.add("start", "a", "web");
    EXPECT_THAT(log.backlog(), SizeIs(kMaxBacklog));
    EXPECT_EQ(lines(), 2 * kMaxBacklog);
    log.add("exit", "a", "web"); // one more than twice
    EXPECT_EQ(lines(), kMaxBacklog);
    EXPECT_EQ(log.backlog().back().number, 2 * kMaxBacklog + 1);
    log.add("remove", "a", "web");
    EXPECT_EQ(lines(), kMaxBacklog + 1);
    const EventLog again(file_);
    EXPECT_EQ(again.backlog(), log.backlog());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1); // no temporary file
}

TEST_F(Events, DamagedLinesAreSkippedAndGoneWithTheNextEvent) {
    {
        EventLog log(file_);
        log.add("start", "a", "web");
        log.add("exit", "a", "web");
    }
    append("nonsense\n\n{\"number\":3}\n" + std::string(1, '\0') + "\n");
    append(std::string(kLine) + "\n");                 // 7
    append(std::string(kLine) + "\n");                 // again: its number does not grow
    append(R"({"number":8,"time":"2023-11-14T22:13)"); // broken off
    EventLog log(file_);
    EXPECT_THAT(numbers(log), ElementsAre(1, 2, 7));
    log.add("remove", "a", "web");
    EXPECT_THAT(numbers(log), ElementsAre(1, 2, 7, 8));
    EXPECT_EQ(lines(), 4U);
    EXPECT_THAT(numbers(EventLog(file_)), ElementsAre(1, 2, 7, 8));
}

TEST_F(Events, ALineThatLacksItsEndIsNotContinued) {
    append(kLine); // whole, but who knows
    EventLog log(file_);
    log.add("start", "a", "web");
    EXPECT_EQ(lines(), 1U);
    EXPECT_THAT(EventLog(file_).backlog(), SizeIs(1));
}

TEST_F(Events, AreHadWithoutAFileThatCanBeWritten) {
    EventLog log(folder_ + "/nobody/made/this");
    log.add("start", "a", "web");
    EXPECT_THAT(numbers(log), ElementsAre(1));
    std::filesystem::create_directory(file_);
    EventLog folder(file_);
    folder.add("start", "a", "web");
    EXPECT_THAT(numbers(folder), ElementsAre(1));
}

TEST_F(Events, AreKeptAgainOnceTheFileCanBeWritten) {
    const auto later = folder_ + "/later";
    EventLog log(later + "/events");
    log.add("start", "a", "web");
    std::filesystem::create_directory(later);
    log.add("exit", "a", "web");
    EXPECT_THAT(numbers(EventLog(later + "/events")), ElementsAre(1, 2));
}

TEST_F(Events, AnEmptyFileIsNoDamage) {
    append("");
    EventLog log(file_);
    EXPECT_THAT(log.backlog(), IsEmpty());
    log.add("start", "a", "web");
    EXPECT_EQ(lines(), 1U);
}

} // namespace
} // namespace squish
