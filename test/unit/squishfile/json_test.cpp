// The JSON spelling: the same rules, no positions, and the way back.
#include "expectations.h"

#include <gtest/gtest.h>

namespace squish {
namespace {

using testing::HasSubstr;

void expect_round_trip(const Squishfile& file) {
    const auto json = to_json(file);
    EXPECT_EQ(parsed_json(json), without_positions(file)) << json;
}

TEST(Json, SurvivesTheRoundTripOfTheFullExample) {
    expect_round_trip(parsed(kFullExample));
}

TEST(Json, SurvivesTheRoundTripOfSmallFiles) {
    for (const std::string_view text : {
             "",
             "[env]\n[layers]\n[security]",
             "env.A = '1'\nlayers.x = '*'",
             "layers.alpine = { version = '3.20', rootfs = false }",
             "layers.mine = { path = './x', rootfs = true }",
             "layers.tool = { url = 'http://h/x', rootfs = true }",
             "run = { command = 'x', user = '0' }",
             "resources = { cpus = 0.1, memory = '1.5G' }",
             "resources.io = {}",
             "resources.io = [{ read_bps = 1 }, { device = '/dev/disk/by-id/x', write_iops = 2 }]",
             "resources.hugetlb = { '2M' = 0, '1G' = '3G' }",
             "resources = { memory_high = 1, memory_low = 0, cpu_weight = 1 }",
             "resources = { cpus = 2, cpu_period = '1s', cpu_burst = '2s' }",
             "restart = { policy = 'no', max_retries = 3 }",
             "restart = { policy = 'on-failure', delay = '1ms', max_delay = '1ms' }",
             "health = { command = ['x'], timeout = '1ms', retries = 1000, start_period = '0s' }",
             "health = { command = ['x'], start_period = '24h' }",
             "ports = []",
             "network.mode = 'none'",
             "network.mode = 'host'",
             "procfs.mode = 'host'",
             "procfs.cpus = 2.5",
             "restart.policy = 'always'",
             "restart.policy = 'no'",
             "security.seccomp = 'unconfined'",
             "security.io_uring = true",
             "security = { io_uring = false }",
             "security.tmp_noexec = true",
             "security.ids = 'own'",
             "security.ids = 'user'",
             "health = { command = ['x'], interval = '1ms' }",
             "env.'schlüssel \\ \"' = \"\\n\\t\\u0001\\U0001f980\"",
         }) {
        SCOPED_TRACE(text);
        expect_round_trip(parsed(text));
    }
}

TEST(Json, SurvivesTheRoundTripAfterThePathsWereResolved) {
    auto file = parsed(kFullExample);
    resolve_paths(file, "/nowhere/at/all", "/nowhere/else");
    expect_round_trip(file);
}

TEST(Json, WritesWhatWasAddedToAFileAfterItWasRead) {
    auto file = parsed("[layers]\n");
    file.env.emplace_back("DEBUG", "1");
    file.ports.push_back(*parse_port("8080:80"));
    file.run = RunSpec{.command = "x", .args = {}, .workdir = {}, .user = {}, .at = {}};
    const auto again = parsed_json(to_json(file));
    EXPECT_EQ(again.env, file.env);
    EXPECT_EQ(again.ports, file.ports);
    EXPECT_EQ(again.run, file.run);
}

TEST(Json, LeavesOutATableWhoseContentWasTakenAway) {
    auto file = parsed("[run]\ncommand = 'x'\n[health]\ncommand = ['x']");
    file.run.reset();
    file.health.reset();
    EXPECT_EQ(to_json(file), "{}");
}

TEST(Json, ReplacesBytesThatAreNoText) {
    Squishfile file;
    file.env.emplace_back("A", "\xff");
    EXPECT_EQ(parsed_json(to_json(file)).env[0].second, "\xef\xbf\xbd");
}

TEST(Json, ReadsWhatTheFirstSquishPosted) {
    const auto file = parsed_json(R"({"run":{"command":"/app/http-asm","args":["2000","/app"]},
        "layers":{"alpine":{"version":"3.14","path":null,"target":null,"rw":false},
                  "app":{"version":null,"path":"/home/me/test/http-asm","target":null,"rw":false},
                  "data":{"version":null,"path":"/home/me/data","target":"/data","rw":true}},
        "env":{"KEY":"value"},"ports":[{"container":2000,"host":42069,"protocol":"tcp"}]})");
    ASSERT_EQ(file.layers.size(), 3U);
    EXPECT_TRUE(file.layers[0].rootfs);
    EXPECT_EQ(file.layers[1].path, "/home/me/test/http-asm");
    EXPECT_TRUE(file.layers[2].read_write);
    EXPECT_EQ(file.layers[2].at, Position{});
    EXPECT_EQ(file.ports.size(), 1U);
}

TEST(Json, KeepsTheOrderOfTheDocument) {
    const auto file = parsed_json(R"({"env": {"Z": "1", "A": "2"}, "layers": {"z": "1", "b": "2"}})");
    EXPECT_EQ(file.env.front().first, "Z");
    EXPECT_EQ(file.layers.front().name, "z");
    EXPECT_THAT(file.tables, testing::ElementsAre("env", "layers"));
}

TEST(Json, NamesTheKeyPathInsteadOfAPosition) {
    struct Case {
        std::string_view json, message;
    };
    constexpr Case kCases[] = {
        {R"({"ports": [{"container": 1, "host": 1}, {"container": 2, "host": "x"}]})",
         "f: 'ports[1].host' must be an integer, not a string\n"},
        {R"({"ports": [{"container": 1}]})", "f: missing key 'host' in 'ports[0]': the port to publish it at\n"},
        {R"({"ports": [{"container": 1, "host": 1}, {"container": 1, "host": 1}]})",
         "f: 'ports[1]' publishes 127.0.0.1:1:1/tcp, but that port is taken by 127.0.0.1:1:1/tcp\n"},
        {R"({"ports": {}})", "f: 'ports' must be an array of tables, each one headed [[ports]], not a table\n"},
        {R"({"run": {"comand": "x", "command": "y"}})", "f: unknown key 'comand' in 'run'; did you mean 'command'?\n"},
        {R"({"nam": 1})", "f: unknown key 'nam'; did you mean 'name'?\n"},
        {R"({"layers": {"x": {"path": "x", "target": "/proc/x"}}})", "f: 'layers.x.target' must not lie in /proc"},
        {R"({"env": {"A": 1}})", "f: 'env.A' must be a string (in quotes), not an integer\n"},
        {R"({"env": ["A=1"]})", "f: 'env' must be a table, not an array\n"},
        {R"({"run": {"command": "x", "args": [null]}})", "f: 'run.args[0]' must be a string, not null\n"},
        {R"({"resources": {"pids": 1e3}})", "f: 'resources.pids' must be an integer, not a float\n"},
        {R"({"resources": {"pids": 18446744073709551615}})", "f: 'resources.pids' must be an integer, not a float\n"},
        {R"({"resources": {"memory": "1Q"}})", "f: 'resources.memory' '1Q' is not a size"},
    };
    for (const auto& [json, message] : kCases) {
        SCOPED_TRACE(json);
        EXPECT_THAT(complaints(parse_json(json)), HasSubstr(message));
    }
}

TEST(Json, RefusesWhatIsNoJsonOrNoObject) {
    struct Case {
        std::string_view json, message;
    };
    constexpr Case kCases[] = {
        {"", "not valid JSON: parse error at line 1, column 1"},
        {"{", "not valid JSON: parse error at line 1, column 2"},
        {"{\n\"name\": }", "not valid JSON: parse error at line 2, column 9"},
        {"{} x", "not valid JSON"},
        {"{\"name\": \"\xff\"}", "not valid JSON"},
        {"{\"name\": \"a\nb\"}", "not valid JSON"},
        {"{'name': 1}", "not valid JSON"},
        {"{\"a\": 1e999}", "not valid JSON"},
        {"{\"a\": 1,}", "not valid JSON"},
        {"// no\n{}", "not valid JSON"},
        {"[]", "must be an object, not an array"},
        {"null", "must be an object, not null"},
        {"\"x\"", "must be an object, not a string"},
        {"3", "must be an object, not an integer"},
        {R"({"name": "a", "name": "b"})", "the key 'name' is given twice"},
        {R"({"env": {"A": "1", "B": "", "A": null}})", "the key 'A' is given twice"},
        {R"({"name": "a\u0000b"})", "'name' contains a NUL byte"},
    };
    for (const auto& [json, message] : kCases) {
        SCOPED_TRACE(json);
        EXPECT_THAT(complaints(parse_json(json)), HasSubstr(message));
    }
}

TEST(Json, LimitsDepthAndNumberOfValues) {
    EXPECT_THAT(complaints(parse_json(std::string(500'000, '['))), HasSubstr("nested too deeply: at most 32 levels"));
    std::string objects;
    for (int i = 0; i < 100'000; ++i)
        objects += "{\"a\":";
    EXPECT_THAT(complaints(parse_json(objects)), HasSubstr("nested too deeply"));
    std::string values = "{\"a\": [0";
    for (int i = 0; i < 70'000; ++i)
        values += ",0";
    EXPECT_THAT(complaints(parse_json(values + "]}")), HasSubstr("too many values"));
}

} // namespace
} // namespace squish
