// What a container may use and what it uses, over the API.
#include "served.h"

#include <gmock/gmock.h>

namespace squish::daemon {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Limiting = Served;

TEST_F(Limiting, ChangesLimitsAndAnswersWithThoseInEffect) {
    on_loop([&] {
        auto& resources = fake_.add("a", "one").resources;
        resources.memory = 1 << 20;
        resources.pids = 10;
    });
    const auto answer = ask("POST", "/v1/containers/one/update", R"({"memory": "max", "pids": 20, "cpus": 0.5})");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr(R"({"id":"a","resources":{"cpus":0.5,"pids":20}})"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/update", R"({"memory": "2M", "cpus": null})"),
                HasSubstr(R"("resources":{"memory":"2097152","pids":20}})"));
    on_loop([&] {
        EXPECT_EQ(fake_.all.at("a").info.resources.memory, 2U << 20);
        EXPECT_FALSE(fake_.all.at("a").info.resources.cpus);
    });
}

TEST_F(Limiting, RefusesChangesThatMakeNoSense) {
    on_loop([&] { fake_.add("a", "one").resources.memory = 1 << 20; });
    EXPECT_THAT(ask("POST", "/v1/containers/a/update", R"({"memroy": "1M"})"), HasSubstr("memroy"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/update", R"({"memory": 0})"), HasSubstr("'memory' must not be 0"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/update", "{}"), HasSubstr("changes nothing"));
    for (const std::string body :
         {"", "[]", "null", "7", R"("max")", R"({"memory": true})", R"({"memory": "much"})", R"({"pids": "20"})",
          R"({"cpus": -1})", R"({"cpus": "0.5"})", R"({"io": 1})", R"({"io": {"device": "sda", "read_bps": 1}})",
          R"({"cpuset": "1-"})", R"({"unknown": null})", R"({"memory": "1M")", R"({"resources": {"memory": "1M"}})",
          R"({"memory_low": "2M"})"}) // more than memory, which stays
        EXPECT_THAT(ask("POST", "/v1/containers/a/update", body), StartsWith("HTTP/1.1 400")) << body;
    const std::string deep = R"({"io": )" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
    EXPECT_THAT(ask("POST", "/v1/containers/a/update", deep), StartsWith("HTTP/1.1 400"));
    const std::string wide = R"({"cpuset": ")" + std::string((2 << 20) - 100, '1') + "\"}";
    EXPECT_THAT(ask("POST", "/v1/containers/a/update", wide), StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(ask("POST", "/v1/containers/nobody/update", R"({"memory": "1M"})"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/update?memory=1M", R"({"memory": "1M"})"), StartsWith("HTTP/1.1 400"));
    on_loop([&] { EXPECT_EQ(fake_.all.at("a").info.resources.memory, 1U << 20); });
}

TEST_F(Limiting, SaysWhyALimitCannotBeHad) {
    on_loop([&] {
        fake_.add("a", "one");
        fake_.refuse_update = Error{ErrorKind::unsupported, "io is not delegated", "systemctl edit user@.service", 0};
    });
    const auto answer = ask("POST", "/v1/containers/a/update", R"({"memory": "1M"})");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 501"));
    EXPECT_THAT(answer, HasSubstr(R"("remedy":"systemctl edit user@.service")"));
}

TEST_F(Limiting, PausesAndLetsGoOn) {
    on_loop([&] { fake_.add("a", "one"); });
    EXPECT_THAT(ask("POST", "/v1/containers/one/pause"), HasSubstr(R"({"id":"a"})"));
    EXPECT_THAT(ask("GET", "/v1/containers"), HasSubstr(R"("state":"paused")"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/pause"), StartsWith("HTTP/1.1 409"));
    EXPECT_THAT(ask("POST", "/v1/containers/a/unpause"), HasSubstr(R"({"id":"a"})"));
    EXPECT_THAT(ask("GET", "/v1/containers/a"), HasSubstr(R"("state":"running")"));
    EXPECT_THAT(ask("POST", "/v1/containers/nobody/pause"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(ask("POST", "/v1/containers/nobody/unpause"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(ask("GET", "/v1/containers/a/pause"), HasSubstr("allows POST only"));
}

TEST_F(Limiting, ShowsLimitsHealthAndRestarts) {
    on_loop([&] { fake_.add("a", "one"); });
    const auto bare = ask("GET", "/v1/containers/a");
    for (const auto* part :
         {R"("health":null)", R"("restarts":0)", R"("resources":{})", R"("limits":null)", R"("oom_kills":null)"})
        EXPECT_THAT(bare, HasSubstr(part));
    on_loop([&] {
        auto& info = fake_.all.at("a").info;
        info.state = ContainerState::restarting;
        info.resources.memory = 4096;
        info.limits_driver = "direct";
        info.cgroup = "/sys/fs/cgroup/squish/squish-0-a";
        info.restarts = 3;
        info.oom_kills = 2;
        info.health = HealthInfo{HealthInfo::Status::starting, 0, 0, 0, ""};
    });
    EXPECT_THAT(ask("GET", "/v1/containers/a"),
                HasSubstr(R"("health":{"status":"starting","failing_streak":0,"checked_at":null,"last_code":null,)"));
    on_loop([&] {
        fake_.all.at("a").info.health =
            HealthInfo{HealthInfo::Status::unhealthy, 4, 1'700'000'000'123'456, 124, "no \xff"};
    });
    const auto whole = ask("GET", "/v1/containers/a");
    for (const auto* part :
         {R"("state":"restarting")", R"("resources":{"memory":"4096"})", R"("oom_kills":2)", R"("restarts":3)",
          R"("limits":{"driver":"direct","cgroup":"/sys/fs/cgroup/squish/squish-0-a"})",
          R"("health":{"status":"unhealthy","failing_streak":4,"checked_at":"2023-11-14T22:13:20.123456Z",)"
          "\"last_code\":124,\"last_output\":\"no \xef\xbf\xbd\"}"})
        EXPECT_THAT(whole, HasSubstr(part));
    const auto list = ask("GET", "/v1/containers");
    EXPECT_THAT(list, HasSubstr(R"("health":"unhealthy","restarts":3)"));
}

ContainerFigures figures_of(const std::string& id) {
    ContainerFigures one;
    one.id = id;
    one.name = "name-" + id;
    one.time_us = 123;
    one.cpus = 6;
    one.figures.cpu_us = 10;
    one.figures.memory = 100;
    one.figures.memory_cache = 30;
    return one;
}

TEST_F(Limiting, ShowsWhatContainersUse) {
    on_loop([&] {
        auto one = figures_of("a");
        one.figures.memory_limit = 4096;
        one.figures.oom_kills = 1;
        one.figures.cpu_pressure = limits::Pressure{{1.5, 0.25, 0, 77}, {}};
        one.network = limits::NetworkFigures{5, 6, 1, 1};
        auto two = figures_of("b");
        two.figures.source = limits::Figures::Source::proc;
        two.figures.memory_cache = 200; // read a moment later
        fake_.figures = {one, two};
    });
    const auto answer = ask("GET", "/v1/stats");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    for (const auto* part :
         {R"("cpus":6,"containers":[{"id":"a","name":"name-a","source":"cgroup","time_us":123,"cpu_usage_us":10,)",
          R"("memory":100,"memory_cache":30,"memory_used":70,"memory_limit":4096,"memory_peak":null,"swap":null,)",
          R"("network_received":5,"network_sent":6,"oom_kills":1,)",
          R"("pressure":{"cpu":{"some":{"avg10":1.5,"avg60":0.25,"avg300":0.0,"total_us":77},"full":{"avg10":0.0,)",
          R"("memory":null,"io":null}},{"id":"b","name":"name-b","source":"proc",)", R"("memory_used":0)",
          R"("network_received":null,"network_sent":null)"})
        EXPECT_THAT(answer, HasSubstr(part));
    EXPECT_THAT(answer, ::testing::ContainsRegex(R"re(\{"time":"20[0-9]{2}-[0-9T:.-]+Z","cpus")re"));
    on_loop([&] { EXPECT_THAT(fake_.asked_for, IsEmpty()); });
}

TEST_F(Limiting, ShowsWhatTheseContainersUseOnceEach) {
    on_loop([&] {
        fake_.add("a", "one");
        fake_.add("b", "two");
        fake_.figures = {figures_of("a"), figures_of("b")};
    });
    const auto answer = ask("GET", "/v1/stats?containers=two,b");
    EXPECT_THAT(answer, HasSubstr(R"("id":"b")"));
    EXPECT_THAT(answer, ::testing::Not(HasSubstr(R"("id":"a")")));
    on_loop([&] { EXPECT_THAT(fake_.asked_for, ElementsAre("b")); });
    EXPECT_THAT(ask("GET", "/v1/stats?containers=two,nobody"), StartsWith("HTTP/1.1 404"));
    for (const auto* wrong : {"", "?containers=", "?containers=,", "?containers=a,", "?container=a"})
        EXPECT_THAT(ask("GET", std::string("/v1/stats") + wrong), StartsWith(*wrong ? "HTTP/1.1 400" : "HTTP/1.1 200"))
            << wrong;
}

TEST_F(Limiting, KnowsTheMachinesProcessorsWhereNothingRuns) {
    EXPECT_THAT(ask("GET", "/v1/stats"),
                HasSubstr("\"cpus\":" + std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) + ",\"containers\":[]}"));
}

} // namespace

} // namespace squish::daemon
