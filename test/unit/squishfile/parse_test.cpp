// What a good squishfile becomes.
#include "expectations.h"

#include <gtest/gtest.h>

namespace squish {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(Parse, ReadsTheTopLevelOfTheFullExample) {
    const auto file = parsed(kFullExample);
    EXPECT_EQ(file.name, "web");
    EXPECT_EQ(file.name_at.line, 1U);
    EXPECT_THAT(file.tables, ElementsAre("layers", "run", "env", "ports", "network", "resources", "security", "procfs",
                                         "restart", "health"));
    EXPECT_EQ(file.restart.policy, RestartPolicy::on_failure);
    EXPECT_EQ(file.restart.max_retries, 5U);
    EXPECT_EQ(file.restart.delay, std::chrono::milliseconds(500));
    EXPECT_EQ(file.restart.max_delay, std::chrono::seconds(30));
}

TEST(Parse, KeepsTheLayersInTheOrderOfTheFile) {
    std::vector<std::string> names;
    for (const auto& layer : parsed(kFullExample).layers)
        names.push_back(layer.name);
    EXPECT_THAT(names, ElementsAre("alpine", "python", "app", "files", "conf", "data", "tool", "bundle"));
}

TEST(Parse, TellsVersionsPathsAndAddressesApart) {
    const auto layers = parsed(kFullExample).layers;
    ASSERT_EQ(layers.size(), 8U);
    EXPECT_EQ(layers[0].source, LayerSpec::Source::version);
    EXPECT_EQ(layers[0].version, "3.20");
    EXPECT_TRUE(layers[0].rootfs);
    EXPECT_EQ(layers[1].version, "~3.11");
    EXPECT_FALSE(layers[1].rootfs);
    EXPECT_EQ(layers[2].source, LayerSpec::Source::path);
    EXPECT_EQ(layers[2].path, "./test/http-asm");
    EXPECT_EQ(layers[2].target, std::nullopt);
    EXPECT_EQ(layers[4].target, "/etc/web.conf");
    EXPECT_FALSE(layers[4].read_write);
    EXPECT_TRUE(layers[5].read_write);
    EXPECT_EQ(layers[6].source, LayerSpec::Source::url);
    EXPECT_EQ(layers[6].url, "https://example.org/tool-1.2.tar.zst");
    EXPECT_EQ(layers[6].sha256, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    EXPECT_EQ(layers[5].at, (Position{9, 1}));
}

TEST(Parse, ReadsThePayload) {
    const auto file = parsed(kFullExample);
    ASSERT_TRUE(file.run);
    EXPECT_EQ(file.run->command, "/app/http-asm");
    EXPECT_THAT(file.run->args, ElementsAre("2000", "/app"));
    EXPECT_EQ(file.run->workdir, "/app");
    EXPECT_EQ(file.run->user, (UserSpec{1000, 1001}));
    EXPECT_THAT(file.env, ElementsAre(Pair("KEY", "value"), Pair("ANOTHER", "zwei")));
    ASSERT_TRUE(file.health);
    EXPECT_THAT(file.health->command, ElementsAre("/bin/wget", "-qO-", "http://127.0.0.1:2000/"));
    EXPECT_EQ(file.health->interval, std::chrono::seconds(5));
    EXPECT_EQ(file.health->timeout, std::chrono::seconds(2));
    EXPECT_EQ(file.health->retries, 4U);
    EXPECT_EQ(file.health->start_period, std::chrono::minutes(1));
}

TEST(Parse, ReadsPortsAndNetwork) {
    const auto file = parsed(kFullExample);
    ASSERT_EQ(file.ports.size(), 2U);
    EXPECT_EQ(to_string(file.ports[0]), "127.0.0.1:42069:2000/tcp");
    EXPECT_EQ(to_string(file.ports[1]), "[::]:5353:53/udp");
    EXPECT_EQ(file.network.mode, NetworkMode::bridge);
    EXPECT_THAT(file.network.networks, ElementsAre("backend"));
    EXPECT_THAT(file.network.aliases, ElementsAre("db"));
}

TEST(Parse, ReadsLimitsSecurityAndProcfs) {
    const auto file = parsed(kFullExample);
    EXPECT_TRUE(file.resources.any());
    EXPECT_EQ(file.resources.memory, 256U << 20);
    EXPECT_EQ(file.resources.swap, 0U);
    EXPECT_EQ(file.resources.cpus, 0.5);
    EXPECT_EQ(file.resources.cpuset, "0-1");
    EXPECT_EQ(file.resources.pids, 64U);
    EXPECT_EQ(file.resources.memory_high, 200U << 20);
    EXPECT_EQ(file.resources.memory_low, 64U << 20);
    EXPECT_EQ(file.resources.cpu_period, std::chrono::milliseconds(50));
    EXPECT_EQ(file.resources.cpu_burst, std::chrono::milliseconds(10));
    EXPECT_EQ(file.resources.cpu_weight, 200U);
    ASSERT_EQ(file.resources.io.size(), 1U);
    EXPECT_EQ(file.resources.io[0].device, "");
    EXPECT_EQ(file.resources.io[0].read_bps, 10U << 20);
    EXPECT_EQ(file.resources.io[0].write_iops, 200U);
    EXPECT_THAT(file.resources.hugetlb, ElementsAre(HugetlbLimit{2U << 20, 64U << 20}));
    EXPECT_EQ(file.security.seccomp, "./profile.json");
    EXPECT_THAT(file.security.capabilities, ElementsAre("CAP_NET_BIND_SERVICE", "CAP_CHOWN"));
    EXPECT_EQ(file.procfs.memory, 128U << 20);
    EXPECT_EQ(file.procfs.cpus, 1.0);
}

TEST(Parse, AcceptsAnEmptyFileAndGivesItTheDefaults) {
    const auto file = parsed("");
    EXPECT_EQ(file, Squishfile{});
    EXPECT_FALSE(file.resources.any());
    EXPECT_EQ(file.network.mode, NetworkMode::bridge);
    EXPECT_EQ(file.security.seccomp, "default");
    EXPECT_EQ(file.procfs.mode, ProcfsSpec::Mode::virtual_);
    EXPECT_EQ(file.restart, RestartSpec{});
    EXPECT_EQ(file.restart.policy, RestartPolicy::no);
}

TEST(Parse, AcceptsEmptyTablesAndRemembersThem) {
    const auto file = parsed("[layers]\n[env]\n[network]\n[resources]\n[security]\n[procfs]\n[restart]\n");
    EXPECT_THAT(file.tables, ElementsAre("layers", "env", "network", "resources", "security", "procfs", "restart"));
}

TEST(Parse, PublishesToTheLoopbackUnlessToldOtherwise) {
    const auto file = parsed("[[ports]]\ncontainer = 80\nhost = 8080\n");
    ASSERT_EQ(file.ports.size(), 1U);
    EXPECT_EQ(file.ports[0].address, "127.0.0.1");
    EXPECT_EQ(file.ports[0].protocol, Protocol::tcp);
    EXPECT_EQ(file.ports[0].at, (Position{1, 1}));
}

TEST(Parse, ReadsRangesAndWhatTheKernelChooses) {
    const auto file = parsed(R"([[ports]]
container = "80-82"
host = "8080-8082"
address = "::"
[[ports]]
container = "90-91"
host = 0
protocol = "udp"
)");
    ASSERT_EQ(file.ports.size(), 5U);
    EXPECT_EQ(to_string(file.ports[2]), "[::]:8082:82/tcp");
    EXPECT_EQ(file.ports[2].at, (Position{1, 1}));
    EXPECT_EQ(to_string(file.ports[4]), "127.0.0.1:0:91/udp");
    EXPECT_EQ(without_positions(parsed_json(to_json(file))), without_positions(file));
}

TEST(Parse, ReadsActivationWhateverTheNetwork) {
    for (const auto* mode : {"bridge", "none", "host"}) {
        const auto file = parsed("[[ports]]\ncontainer = 80\nhost = 8080\nactivation = true\nname = \"web\"\n"
                                 "[network]\nmode = \"" +
                                 std::string(mode) + "\"\n");
        ASSERT_EQ(file.ports.size(), 1U);
        EXPECT_TRUE(file.ports[0].activation);
        EXPECT_EQ(file.ports[0].name, "web");
        EXPECT_EQ(without_positions(parsed_json(to_json(file))), without_positions(file));
    }
}

TEST(Parse, AcceptsPortsThatOnlyLookAlike) {
    const auto file = parsed(R"(ports = [
        { container = 80, host = 8080 },
        { container = 80, host = 8080, protocol = "udp" },
        { container = 80, host = 8080, address = "127.0.0.2" },
        { container = 80, host = 8080, address = "::" },
        { container = 80, host = 8081, address = "0.0.0.0" },
    ])");
    EXPECT_EQ(file.ports.size(), 5U);
}

TEST(Parse, WritesAddressesCanonically) {
    const auto file = parsed("ports = [{ container = 1, host = 1, address = \"0:0:0::1\" }]");
    ASSERT_EQ(file.ports.size(), 1U);
    EXPECT_EQ(file.ports[0].address, "::1");
}

TEST(Parse, ReadsEveryNetworkModeAndRestartPolicy) {
    EXPECT_EQ(parsed("network = { mode = \"none\" }").network.mode, NetworkMode::none);
    EXPECT_EQ(parsed("network = { mode = \"host\" }").network.mode, NetworkMode::host);
    EXPECT_EQ(parsed("restart = { policy = \"always\" }").restart.policy, RestartPolicy::always);
    EXPECT_EQ(parsed("restart = { policy = \"no\" }").restart.policy, RestartPolicy::no);
    EXPECT_EQ(parsed("procfs = { mode = \"host\" }").procfs.mode, ProcfsSpec::Mode::host);
    EXPECT_EQ(parsed("security = { seccomp = \"unconfined\" }").security.seccomp, "unconfined");
}

TEST(Parse, GivesTheGroupTheNumberOfTheUserWhereItIsLeftOut) {
    const auto file = parsed("run = { command = \"id\", user = \"33\" }");
    ASSERT_TRUE(file.run);
    EXPECT_EQ(file.run->user, (UserSpec{33, 33}));
}

TEST(Parse, TakesSizesAsNumbersOfBytesToo) {
    EXPECT_EQ(parsed("resources = { memory = 1048576 }").resources.memory, 1U << 20);
}

TEST(Parse, LetsAnyLayerBeTheRootfsAndAlpineBeNone) {
    const auto file = parsed("[layers]\n"
                             "alpine = { version = \"3.20\", rootfs = false }\n"
                             "mine = { path = \"./tree\", rootfs = true, target = \"/\" }\n");
    ASSERT_EQ(file.layers.size(), 2U);
    EXPECT_FALSE(file.layers[0].rootfs);
    EXPECT_EQ(mount_target(file.layers[0]), "/sdk/alpine");
    EXPECT_TRUE(file.layers[1].rootfs);
}

TEST(Parse, TakesAPathForAlpineAsAnOrdinaryLayer) {
    const auto file = parsed("layers.alpine = \"./alpine\"");
    ASSERT_EQ(file.layers.size(), 1U);
    EXPECT_FALSE(file.layers[0].rootfs);
}

TEST(Parse, CollectsEveryErrorInTheOrderOfTheFile) {
    const auto outcome = parse_toml("nam = \"x\"\n[run]\ncomand = \"x\"\nargs = 3\n[layers]\na = \"b\"\n");
    ASSERT_FALSE(outcome);
    EXPECT_EQ(render("web.toml", outcome.error()),
              "web.toml:1:1: unknown key 'nam'; did you mean 'name'?\n"
              "web.toml:2:1: missing key 'command' in [run]: the program to start; without a [run] table squish finds "
              "it\n"
              "web.toml:3:1: unknown key 'comand' in [run]; did you mean 'command'?\n"
              "web.toml:4:8: 'run.args' must be an array of strings, not an integer\n"
              "web.toml:6:5: 'layers.a' 'b' is neither a path nor a version: write \"./b\" for a path beside the "
              "squishfile; a version requirement is written \"3.20\", \"~3.14\", \"^1.2\", \">=3.18\", \">=1.2 <2\", "
              "\"latest\" or \"*\"\n");
}

TEST(Parse, StopsReportingAfterAHundredErrors) {
    std::string text;
    for (int i = 0; i < 150; ++i)
        text += "zzzzzzzzzz" + std::to_string(i) + " = 1\n";
    const auto outcome = parse_toml(text);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().size(), 101U);
    EXPECT_THAT(outcome.error().back().message, HasSubstr("and 50 more"));
}

TEST(Parse, NeverRepeatsControlCharactersFromTheFile) {
    const auto outcome = parse_toml("\"\\u001b[31mred\" = 1");
    EXPECT_THAT(complaints(outcome), HasSubstr("unknown key '\\x1b[31mred'"));
    EXPECT_THAT(render("a\nb", {{{1, 2}, "x"}}), "a\\x0ab:1:2: x\n");
}

TEST(Parse, AcceptsTextBeyondAsciiInStringsKeysAndComments) {
    const auto file = parsed("# größer\n[env]\n\"ключ\" = 'ü' # ü\nB = \"\"\"a\\\n ü\"\"\"\n");
    EXPECT_THAT(file.env, ElementsAre(Pair("ключ", "ü"), Pair("B", "aü")));
}

TEST(Parse, LeavesOutThePositionWhereThereIsNone) {
    EXPECT_EQ(render("request", {{{}, "x"}, {{3, 4}, "y"}}), "request: x\nrequest:3:4: y\n");
}

TEST(Limits, RefuseWhatIsTooLarge) {
    EXPECT_THAT(complaints(parse_toml(std::string(kMaxSquishfileBytes + 1, '\n'))), HasSubstr("too large"));
    EXPECT_THAT(complaints(parse_json(std::string(kMaxSquishfileBytes + 1, ' '))), HasSubstr("too large"));
    parsed(std::string(kMaxSquishfileBytes, '\n'));
}

TEST(Limits, HoldForTheNumberOfLayersPortsVariablesAndArguments) {
    std::string layers = "[layers]\n", ports = "ports = [", env = "[env]\n", args = "[run]\ncommand = \"x\"\nargs = [";
    for (std::size_t i = 0; i <= kMaxLayers; ++i)
        layers += "l" + std::to_string(i) + " = \"1\"\n";
    for (std::size_t i = 0; i <= kMaxPorts; ++i)
        ports += "{ container = 1, host = " + std::to_string(i + 1) + " }, ";
    for (std::size_t i = 0; i <= kMaxEnv; ++i)
        env += "V" + std::to_string(i) + " = \"\"\n";
    for (std::size_t i = 0; i <= kMaxArgs; ++i)
        args += "\"\", ";
    EXPECT_THAT(complaints(parse_toml(layers)), HasSubstr("'layers' has too many entries: 129, at most 128"));
    EXPECT_THAT(complaints(parse_toml(ports + "]")), HasSubstr("'ports' has too many elements: 1025, at most 1024"));
    EXPECT_THAT(complaints(parse_toml(env)), HasSubstr("'env' has too many entries: 4097, at most 4096"));
    EXPECT_THAT(complaints(parse_toml(args + "]")), HasSubstr("'run.args' has too many elements: 4097, at most 4096"));
}

TEST(Limits, HoldForOneStringAndOneVariable) {
    const auto with = [](std::string_view key, std::size_t size) {
        return std::string(key) + " = [\"" + std::string(size, 'x') + "\"]";
    };
    parsed("run.command = \"x\"\n" + with("run.args", kMaxStringBytes - 1));
    EXPECT_THAT(complaints(parse_toml("run.command = \"x\"\n" + with("run.args", kMaxStringBytes))),
                HasSubstr("'run.args[0]' is too long: at most 131071 bytes"));
    parsed("env.K = \"" + std::string(kMaxStringBytes - 3, 'x') + "\"");
    EXPECT_THAT(complaints(parse_toml("env.K = \"" + std::string(kMaxStringBytes - 2, 'x') + "\"")),
                HasSubstr("'env.K' is too long: name and value together at most 131070 bytes"));
}

TEST(Limits, HoldForPathsAndTargets) {
    const std::string deep(4096, 'x');
    EXPECT_THAT(complaints(parse_toml("layers.a = \"./" + deep + "\"")), HasSubstr("'layers.a' is too long"));
    EXPECT_THAT(complaints(parse_toml("layers.a = { path = \"x\", target = \"/" + deep + "\" }")),
                HasSubstr("'layers.a.target' is too long"));
    EXPECT_THAT(complaints(parse_toml("run.command = \"/" + deep + "\"")), HasSubstr("'run.command' is too long"));
    EXPECT_THAT(complaints(parse_toml("run = { command = \"x\", workdir = \"/" + deep + "\" }")),
                HasSubstr("'run.workdir' is too long"));
    EXPECT_THAT(complaints(parse_toml("layers.a = { url = \"https://h/" + deep + "\", target = \"/x\" }")),
                HasSubstr("'layers.a.url' is too long"));
}

TEST(Limits, KeepDeepNestingFromOverflowingTheStack) {
    std::string dotted = "a";
    for (int i = 0; i < 200'000; ++i)
        dotted += ".a";
    EXPECT_THAT(complaints(parse_toml(dotted + " = 1")), HasSubstr("f:1:34: too many dots in keys"));
    EXPECT_THAT(complaints(parse_toml("[" + dotted + "]")), HasSubstr("too many dots in keys"));
    EXPECT_THAT(complaints(parse_toml("a = " + std::string(100'000, '['))), HasSubstr("not valid TOML"));
    std::string tables = "x = ";
    for (int i = 0; i < 100'000; ++i)
        tables += "{a=";
    EXPECT_THAT(complaints(parse_toml(tables)), HasSubstr("f:1:"));
}

TEST(Limits, BoundTheNumberOfValues) {
    std::string commas = "a = [";
    for (int i = 0; i < 70'000; ++i)
        commas += "1,";
    EXPECT_THAT(complaints(parse_toml(commas + "]")), HasSubstr("too many values"));
    std::string dots;
    for (int i = 0; i < 20'000; ++i)
        dots += "a.b" + std::to_string(i) + "=1\n";
    EXPECT_THAT(complaints(parse_toml(dots)), HasSubstr("f:16385:2: too many dots"));
}

TEST(Limits, IgnoreDotsAndCommasInStringsAndComments) {
    const std::string many(20'000, '.');
    const std::string commas(70'000, ',');
    const auto file = parsed("# " + many + commas + "\n[env]\nA = \"" + many + "\"\nB = '" + many + "\\'\nC = \"\"\"" +
                             many + "\"\" \\\"\"\"\"\"\"\nD = '''" + many + "'' '''''\nE = \"\\\"" + commas + "\"\n");
    ASSERT_EQ(file.env.size(), 5U);
    EXPECT_EQ(file.env[2].second, many + "\"\" \"\"\"");
    EXPECT_EQ(file.env[3].second, many + "'' ''");
}

} // namespace
} // namespace squish
