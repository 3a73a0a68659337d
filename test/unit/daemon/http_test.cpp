#include "daemon/config.h"
#include "daemon/http.h"
#include "daemon/signals.h"
#include "daemon/views.h"

#include <csignal>
#include <gmock/gmock.h>

namespace squish::daemon {

namespace {

using ::testing::HasSubstr;

TEST(Targets, AreDecodedPieceByPiece) {
    const auto target = parse_target("/v1/x%2Fy?a=b%20c&d&e=%26");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->path, "/v1/x%2Fy"); // decoded by the router, segment by segment
    EXPECT_EQ(target->query.get("a"), "b c");
    EXPECT_EQ(target->query.get("d"), "");
    EXPECT_EQ(target->query.get("e"), "&");
    EXPECT_FALSE(target->query.get("f"));
}

TEST(Targets, MayBeMalformed) {
    EXPECT_FALSE(parse_target("x"));
    EXPECT_FALSE(parse_target("/?a=%4"));
    EXPECT_FALSE(parse_target("/?%00=1"));
    EXPECT_FALSE(percent_decode("%"));
    EXPECT_FALSE(percent_decode("%g0"));
    EXPECT_EQ(percent_decode("%c3%a4+"), "\xc3\xa4+");
}

TEST(Queries, AreChecked) {
    const Query query{{{"yes", ""}, {"no", "false"}, {"bad", "maybe"}, {"n", "12"}, {"big", "99999999999999999999"}}};
    EXPECT_TRUE(*query.flag("yes"));
    EXPECT_FALSE(*query.flag("no"));
    EXPECT_FALSE(*query.flag("absent"));
    EXPECT_FALSE(query.flag("bad"));
    EXPECT_EQ(*query.number("n", 12), 12U);
    EXPECT_FALSE(query.number("n", 11));
    EXPECT_FALSE(query.number("big", ~0ULL));
}

TEST(Signals, HaveNamesAndNumbers) {
    EXPECT_EQ(signal_number("TERM"), SIGTERM);
    EXPECT_EQ(signal_number("SIGTERM"), SIGTERM);
    EXPECT_EQ(signal_number("sigkill"), SIGKILL);
    EXPECT_EQ(signal_number("9"), 9);
    EXPECT_EQ(signal_number("RTMIN+1"), SIGRTMIN + 1);
    for (const auto* wrong : {"", "0", "65", "-1", "SIG", "TERMINATE", "RTMIN+99", "RTMIN-1", "9 "})
        EXPECT_FALSE(signal_number(wrong)) << wrong;
}

TEST(Views, ShowTimesAsText) {
    EXPECT_EQ(time_view(1'700'000'000'123'456).dump(), "\"2023-11-14T22:13:20.123456Z\"");
    EXPECT_TRUE(time_view(0).is_null());
}

TEST(Views, SurviveTextThatIsNoUtf8) {
    ContainerInfo info;
    info.command = "a\xff";
    EXPECT_THAT(dump(summary_view(info)), HasSubstr("\"command\":\"a\xef\xbf\xbd\""));
}

TEST(Config, HasDefaults) {
    const auto config = parse_config("", "squishd.toml");
    ASSERT_TRUE(config);
    EXPECT_EQ(config->log_limit, 16U << 20);
    EXPECT_EQ(config->uplink_mtu, 9000U);
    EXPECT_TRUE(read_config("/nonexistent/squishd.toml"));
}

TEST(Config, IsRead) {
    const auto config = parse_config("log_limit = \"1M\"\nspare_cells = 0\n[uplink]\nmtu = 1500\n", "squishd.toml");
    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->log_limit, 1U << 20);
    EXPECT_EQ(config->spare_cells, 0U);
    EXPECT_EQ(config->uplink_mtu, 1500U);
    EXPECT_EQ(config->uplink_driver, uplink::Choice::automatic);
}

TEST(Config, NamesTheUplinksDriver) {
    const auto driver = [](const char* name) {
        const auto config = parse_config("[uplink]\ndriver = \"" + std::string(name) + "\"\n", "squishd.toml");
        EXPECT_TRUE(config) << name;
        return config ? config->uplink_driver : uplink::Choice::automatic;
    };
    EXPECT_EQ(driver("pasta"), uplink::Choice::pasta);
    EXPECT_EQ(driver("slirp4netns"), uplink::Choice::slirp4netns);
    EXPECT_EQ(driver("auto"), uplink::Choice::automatic);
    const auto wrong = parse_config("[uplink]\ndriver = \"passt\"\n", "squishd.toml");
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr("squishd.toml:2:"));
    EXPECT_THAT(wrong.error().message, HasSubstr("\"auto\", \"slirp4netns\" or \"pasta\""));
    EXPECT_FALSE(parse_config("[uplink]\ndriver = 1\n", "squishd.toml"));
}

TEST(Config, SaysWhetherThereIsIpv6ToTheOutside) {
    const auto ipv6 = [](const std::string& value) {
        const auto config = parse_config("[uplink]\nipv6 = " + value + "\n", "squishd.toml");
        EXPECT_TRUE(config) << value;
        return config ? config->uplink_ipv6 : uplink::Ipv6::automatic;
    };
    EXPECT_EQ(parse_config("", "squishd.toml")->uplink_ipv6, uplink::Ipv6::automatic);
    EXPECT_EQ(ipv6("\"auto\""), uplink::Ipv6::automatic);
    EXPECT_EQ(ipv6("true"), uplink::Ipv6::on);
    EXPECT_EQ(ipv6("false"), uplink::Ipv6::off);
    for (const auto* wrong : {"\"yes\"", "1"}) {
        const auto refused = parse_config("[uplink]\nipv6 = " + std::string(wrong) + "\n", "squishd.toml");
        ASSERT_FALSE(refused) << wrong;
        EXPECT_THAT(refused.error().message, HasSubstr("squishd.toml:2:"));
        EXPECT_THAT(refused.error().message, HasSubstr("\"auto\", true or false"));
    }
}

TEST(Config, SaysWhoMakesCgroups) {
    const auto limits = [](const std::string& table) {
        const auto config = parse_config("[limits]\n" + table, "squishd.toml");
        EXPECT_TRUE(config) << config.error().text();
        return config ? config->limits : limits::Config{};
    };
    EXPECT_EQ(parse_config("", "squishd.toml")->limits.driver, limits::Choice::automatic);
    EXPECT_EQ(limits("").driver, limits::Choice::automatic);
    EXPECT_EQ(limits("driver = \"auto\"").driver, limits::Choice::automatic);
    EXPECT_EQ(limits("driver = \"systemd\"").driver, limits::Choice::systemd);
    EXPECT_EQ(limits("driver = \"none\"").driver, limits::Choice::none);
    const auto direct = limits("driver = \"direct\"\ncgroup = \"/sys/fs/cgroup/squish/of me/\"");
    EXPECT_EQ(direct.driver, limits::Choice::direct);
    EXPECT_EQ(direct.cgroup, "/sys/fs/cgroup/squish/of me");
    EXPECT_EQ(limits("cgroup = \"/sys/fs/cgroup/squish\"").cgroup, "/sys/fs/cgroup/squish");
}

TEST(Config, RefusesCgroupsThatCannotBe) {
    for (const auto* wrong :
         {"driver = \"cgroupfs\"", "driver = 1", "drivers = \"none\"", "cgroup = \"\"", "cgroup = \"squish\"",
          "cgroup = \"/sys/fs/cgroup\"", "cgroup = \"/sys/fs/cgroup/\"", "cgroup = \"/sys/fs/cgroup/../x\"",
          "cgroup = \"/sys/fs/cgroup/a//b\"", "cgroup = \"/sys/fs/cgroup/a/./b\"", "cgroup = \"/home/cgroup\"",
          "cgroup = [\"/sys/fs/cgroup/a\"]", "driver = \"systemd\"\ncgroup = \"/sys/fs/cgroup/a\"",
          "cgroup = \"/sys/fs/cgroup/a\"\ndriver = \"none\""})
        EXPECT_FALSE(parse_config("[limits]\n" + std::string(wrong), "squishd.toml")) << wrong;
    EXPECT_FALSE(parse_config("limits = \"none\"", "squishd.toml"));
    EXPECT_FALSE(parse_config("[limits]\ncgroup = \"/sys/fs/cgroup/" + std::string(5000, 'a') + "\"", "squishd.toml"));
    const auto near_miss = parse_config("[limits]\ndriver = \"sytemd\"\n", "squishd.toml");
    ASSERT_FALSE(near_miss);
    EXPECT_THAT(near_miss.error().text(), HasSubstr("squishd.toml:2:"));
    EXPECT_THAT(near_miss.error().text(), HasSubstr("did you mean 'systemd'?"));
}

TEST(Config, NamesMirrorsAndSources) {
    const auto config = parse_config("[layers]\nalpine_mirrors = [\"https://a.example/alpine/\"]\n"
                                     "[[layers.sources]]\nname = \"ours\"\nurl = \"http://b.example\"\n",
                                     "squishd.toml");
    ASSERT_TRUE(config) << config.error().text();
    EXPECT_THAT(config->layers.alpine_mirrors, ::testing::ElementsAre("https://a.example/alpine"));
    ASSERT_EQ(config->layers.sources.size(), 1U);
    EXPECT_EQ(config->layers.sources[0].name, "ours");
    EXPECT_EQ(config->layers.sources[0].url, "http://b.example");
    EXPECT_FALSE(parse_config("", "squishd.toml")->layers.alpine_mirrors.empty());
    for (const char* wrong :
         {"[layers]\nalpine_mirrors = [\"ftp://a\"]\n", "[[layers.sources]]\nname = \"x\"\n",
          "[[layers.sources]]\nurl = \"http://x\"\nkey = \"nonsense\"\n", "[layers]\nmirrors = []\n"})
        EXPECT_FALSE(parse_config(wrong, "squishd.toml")) << wrong;
}

TEST(Config, NamesTheLineAndTheNearestKey) {
    const auto unknown = parse_config("log_limit = \"1M\"\nspare_cell = 1\n", "squishd.toml");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().kind, ErrorKind::invalid);
    EXPECT_THAT(unknown.error().message, HasSubstr("squishd.toml:2:1: "));
    EXPECT_THAT(unknown.error().message, HasSubstr("did you mean 'spare_cells'?"));
    for (const auto* wrong : {"log_limit = \"1\"", "log_limit = true", "spare_cells = -1", "spare_cells = 65",
                              "uplink = 1", "[uplink]\nmtu = 1", "log_limit = ", "log_limit = \"2T\""})
        EXPECT_FALSE(parse_config(wrong, "squishd.toml")) << wrong;
}

} // namespace

} // namespace squish::daemon
