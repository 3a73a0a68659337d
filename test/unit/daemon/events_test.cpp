// GET /v1/events.
#include "served.h"

#include <gmock/gmock.h>

namespace squish::daemon {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class Telling : public Served {
protected:
    explicit Telling(Limits limits = {}) : Served(limits) {}
    void happen(const std::string& type) {
        on_loop([&] { fake_.log.add(type, "a", "web", {{"code", "0"}}); });
    }
    // Each with about so many bytes, in one go: no reader comes in between.
    void happen_often(std::size_t count, std::size_t bytes = 1) {
        on_loop([&] {
            for (std::size_t i = 0; i < count; ++i)
                fake_.log.add("health", "a", "web", {{"output", std::string(bytes, 'x')}});
        });
    }
    Client reader(const std::string& query) const {
        auto client = connect();
        client.send("GET /v1/events" + query + " HTTP/1.1\r\n\r\n");
        return client;
    }
};

// The numbers of the events in an answer.
std::vector<std::string> numbers(std::string_view answer) {
    constexpr std::string_view kKey = R"({"number":)";
    std::vector<std::string> out;
    for (auto at = answer.find(kKey); at != std::string_view::npos; at = answer.find(kKey, at + 1)) {
        const auto begin = at + kKey.size();
        out.emplace_back(answer.substr(begin, answer.find(',', begin) - begin));
    }
    return out;
}

TEST_F(Telling, EndsAfterWhatHasHappened) {
    EXPECT_THAT(ask("GET", "/v1/events"), HasSubstr("\r\n\r\n0\r\n\r\n"));
    happen("start");
    happen("exit");
    const auto answer = ask("GET", "/v1/events?follow=false");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/x-ndjson\r\n"));
    EXPECT_THAT(answer, HasSubstr(R"("type":"start","id":"a","name":"web","attributes":{"code":"0"}})"
                                  "\n{"));
    EXPECT_THAT(answer, ::testing::EndsWith("\r\n0\r\n\r\n"));
    EXPECT_THAT(numbers(answer), ElementsAre("1", "2"));
}

TEST_F(Telling, TellsWhatIsAskedFor) {
    for (int i = 0; i < 5; ++i)
        happen("start");
    EXPECT_THAT(numbers(ask("GET", "/v1/events?since=3")), ElementsAre("4", "5"));
    EXPECT_THAT(numbers(ask("GET", "/v1/events?backlog=2")), ElementsAre("4", "5"));
    EXPECT_THAT(numbers(ask("GET", "/v1/events?since=2&backlog=2")), ElementsAre("4", "5"));
    EXPECT_THAT(numbers(ask("GET", "/v1/events?since=4&backlog=99")), ElementsAre("5"));
    EXPECT_THAT(numbers(ask("GET", "/v1/events?backlog=0")), IsEmpty());
    EXPECT_THAT(numbers(ask("GET", "/v1/events?since=18446744073709551615")), IsEmpty());
    for (const auto* wrong : {"since=-1", "since=x", "since=18446744073709551616", "backlog=all", "follow=2", "tail=1"})
        EXPECT_THAT(ask("GET", std::string("/v1/events?") + wrong), StartsWith("HTTP/1.1 400")) << wrong;
}

TEST_F(Telling, GoesOnWithWhatHappens) {
    happen("start");
    auto client = reader("?follow=true");
    EXPECT_THAT(numbers(client.read("}\n")), ElementsAre("1"));
    happen("pause");
    EXPECT_THAT(client.read("}\n"), HasSubstr(R"("type":"pause")"));
    happen("unpause");
    EXPECT_THAT(client.read("}\n"), HasSubstr(R"("type":"unpause")"));
    auto late = reader("?follow=true&backlog=0");
    EXPECT_THAT(late.read("\r\n\r\n"), Not(HasSubstr("unpause")));
    happen("exit");
    EXPECT_THAT(numbers(late.read("}\n")), ElementsAre("4"));
    EXPECT_THAT(numbers(client.read("}\n")), ElementsAre("4"));
}

TEST_F(Telling, WaitsForEventsThatAreYetToComeByTheirNumber) {
    happen("start");
    auto client = reader("?follow=true&since=2");
    EXPECT_THAT(client.read("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
    happen("exit");
    happen("remove");
    EXPECT_THAT(numbers(client.read("}\n")), ElementsAre("3"));
}

TEST_F(Telling, AReaderWhoHangsUpIsForgotten) {
    for (int i = 0; i < 2000; ++i) { // more than there may be at once
        auto client = reader("?follow=true");
        if (i % 100 == 0) {
            EXPECT_THAT(client.read("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
        }
    }
    happen("start");
    EXPECT_THAT(numbers(ask("GET", "/v1/events")), ElementsAre("1"));
}

TEST_F(Telling, OneWhoIsTooSlowIsToldWhatWasLostAndMayComeAgain) {
    auto client = reader("?follow=true");
    EXPECT_THAT(client.read("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
    happen_often(kMaxBacklog + 3);
    const auto rest = client.read("0\r\n\r\n");
    EXPECT_THAT(numbers(rest), ElementsAre("3"));
    EXPECT_THAT(rest, HasSubstr(R"("type":"lost","id":"","name":"","attributes":{"events":"3"}})"));
    const auto again = numbers(ask("GET", "/v1/events?since=3"));
    EXPECT_EQ(again.size(), kMaxBacklog);
    EXPECT_EQ(again.front(), "4");
}

// With little time for each piece of an answer.
class Slow : public Telling {
protected:
    Slow() : Telling(limits()) {}
    static Limits limits() {
        Limits limits;
        limits.write = std::chrono::milliseconds(200);
        return limits;
    }
};

TEST_F(Slow, AReaderWhoDoesNotReadIsCutOffAndHindersNobody) {
    auto lazy = reader("?follow=true");
    EXPECT_THAT(lazy.read("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
    // Far more than a socket holds.
    happen_often(kMaxBacklog, 8192);
    auto diligent = reader("?follow=true&backlog=1");
    EXPECT_THAT(numbers(diligent.read("}\n")), ElementsAre(std::to_string(kMaxBacklog)));
    happen("exit");
    EXPECT_THAT(diligent.read("\"exit\""), HasSubstr("\"exit\""));
    pollfd state{lazy.fd(), POLLHUP, 0}; // for the hang-up alone, however much there is to read
    EXPECT_EQ(::poll(&state, 1, 10'000), 1);
}

} // namespace

} // namespace squish::daemon
