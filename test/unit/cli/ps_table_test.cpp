#include "cli/ps_table.h"

#include <gmock/gmock.h>

namespace squish::cli {

namespace {

TEST(PsTable, HasAHeaderWhateverRuns) {
    EXPECT_EQ(ps_table(Json::array(), 0), "ID  NAME  PID  STATE  CREATED  PORTS  COMMAND\n");
}

TEST(PsTable, ShowsOneContainerPerLineIdFirst) {
    const auto containers = Json::parse(R"([
        {"id": "0123456789abcdef", "name": "web", "pid": 42, "state": "running", "created_at": "2023-11-14T22:13:20.123456Z", "exit": null,
         "ports": [{"address": "127.0.0.1", "host": 8080, "container": 80, "protocol": "tcp"},
                   {"address": "::", "host": 53, "container": 53, "protocol": "udp"}], "command": "/app/web 80"},
        {"id": "fedcba9876543210", "name": "x", "pid": 0, "state": "exited", "created_at": null,
         "exit": {"code": 137, "signal": 9, "reason": "killed"}, "ports": [], "command": "/bin/\u001b[31mred"}])");
    EXPECT_EQ(
        ps_table(containers, 1'700'000'007),
        "ID                NAME  PID  STATE                 CREATED  PORTS                                   COMMAND\n"
        "0123456789abcdef  web   42   running               7s ago   127.0.0.1:8080->80/tcp,[::]:53->53/udp  /app/web "
        "80\n"
        "fedcba9876543210  x     -    exited (137, killed)  -        -                                       "
        "/bin/\\x1b[31mred\n");
}

TEST(PsTable, ShowsHealthBesideTheStateOfWhatRuns) {
    const auto state = [](const char* json) { return state_text(Json::parse(json)); };
    EXPECT_EQ(state(R"({"state": "running", "health": null})"), "running");
    EXPECT_EQ(state(R"({"state": "running", "health": "healthy", "exit": null})"), "running (healthy)");
    EXPECT_EQ(state(R"({"state": "running", "health": "unhealthy"})"), "running (unhealthy)");
    EXPECT_EQ(state(R"({"state": "running", "health": "starting"})"), "running (health: starting)");
    EXPECT_EQ(state(R"({"state": "paused", "health": "healthy"})"), "paused (healthy)");
    EXPECT_EQ(state(R"({"state": "paused"})"), "paused");
    EXPECT_EQ(state(R"({"state": "restarting", "exit": {"code": 1, "reason": "exited"}})"), "restarting (1)");
    EXPECT_EQ(state(R"({"state": "exited", "health": "healthy", "exit": {"code": 137, "reason": "oom"}})"),
              "exited (137, oom)");
}

TEST(PsTable, ShortensALongCommandByCharacters) {
    std::string command;
    for (int i = 0; i < 100; ++i)
        command += "ä";
    const auto table = ps_table(Json::array({{{"id", "i"}, {"command", command}}}), 0);
    EXPECT_THAT(table, ::testing::EndsWith("ää…\n"));
    EXPECT_LT(table.size(), 300U);
}

TEST(Ages, AreShort) {
    EXPECT_EQ(age_text(-5), "0s ago");
    EXPECT_EQ(age_text(119), "119s ago");
    EXPECT_EQ(age_text(120), "2m ago");
    EXPECT_EQ(age_text(7200), "2h ago");
    EXPECT_EQ(age_text(2 * 86400), "2d ago");
}

TEST(Times, AreReadBack) {
    EXPECT_EQ(seconds_of("2023-11-14T22:13:20.123456Z"), 1'700'000'000);
    EXPECT_EQ(seconds_of("yesterday"), 0);
    EXPECT_EQ(seconds_of(""), 0);
}

} // namespace

} // namespace squish::cli
