#include "uplink/pasta.h"

#include <gmock/gmock.h>

namespace squish::uplink {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

TEST(PastaVersion, ItsDateIsReadHoweverItIsPackaged) {
    EXPECT_EQ(parse_pasta_date("pasta 2024_08_21.1d6142f\nCopyright Red Hat\n"), 20240821U);
    EXPECT_EQ(parse_pasta_date("pasta 0.0~git20250503.587980c-2\n"), 20250503U);
    EXPECT_EQ(parse_pasta_date("pasta 0^20240906.g6b38f07-1.fc40.x86_64\n"), 20240906U);
}

TEST(PastaVersion, ThatOfDebian12SaysNone) {
    EXPECT_EQ(parse_pasta_date("pasta unknown version\nCopyright Red Hat\n20240821\n"), std::nullopt);
    EXPECT_EQ(parse_pasta_date(""), std::nullopt);
    EXPECT_EQ(parse_pasta_date("passt 2024_08_21.1d6142f"), std::nullopt) << "another program";
    EXPECT_EQ(parse_pasta_date("pasta 123456789012"), std::nullopt);
    EXPECT_EQ(parse_pasta_date("pasta 20249999"), std::nullopt) << "no date";
    EXPECT_EQ(parse_pasta_date("pasta 2024_08"), std::nullopt);
}

// Every option that we use, as a help text would name it.
std::string whole_help() {
    std::string help;
    for (const auto purpose : {Purpose::way_out, Purpose::host_loopback}) {
        Options options;
        options.purpose = purpose;
        for (const auto& argument : pasta_arguments(1, options, "/pid"))
            if (argument.starts_with("--"))
                help += "  " + argument + "\n";
    }
    return help;
}

TEST(PastaProbe, TakesOneThatIsNewEnoughAndKnowsOurOptions) {
    const auto probe = judge_pasta("/usr/bin/pasta", "pasta 2024_08_21.1d6142f\n", whole_help());
    ASSERT_TRUE(probe.has_value()) << probe.error().text();
    EXPECT_EQ(probe->date, kLeastPasta);
    EXPECT_EQ(probe->version, "pasta 2024_08_21.1d6142f");
}

TEST(PastaProbe, RefusesOneThatIsTooOldAndSaysWhatToDo) {
    const auto probe = judge_pasta("/usr/bin/pasta", "pasta 0.0~git20240820.1d6142f-1\n", whole_help());
    ASSERT_FALSE(probe.has_value());
    EXPECT_EQ(probe.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(probe.error().message, "'/usr/bin/pasta' is of 20240820: those before 20240821 are not reliable");
    EXPECT_THAT(probe.error().remedy, HasSubstr("driver = \"slirp4netns\""));
}

TEST(PastaProbe, RefusesOneThatDoesNotSayHowOldItIs) {
    const auto probe = judge_pasta("/usr/bin/pasta", "pasta unknown version\n\x1b[31m", whole_help());
    ASSERT_FALSE(probe.has_value());
    EXPECT_THAT(probe.error().message, HasSubstr("does not say of which date it is ('pasta unknown version'"));
    EXPECT_THAT(probe.error().message, Not(HasSubstr("\x1b")));
}

TEST(PastaProbe, RefusesOneThatLacksAnOption) {
    auto help = whole_help();
    const std::string option = "--map-host-loopback";
    help.replace(help.find(option), option.size(), "");
    const auto probe = judge_pasta("/usr/bin/pasta", "pasta 2025_01_21.4f2c8e7\n", help);
    ASSERT_FALSE(probe.has_value());
    EXPECT_THAT(probe.error().message, HasSubstr("does not know the option --map-host-loopback"));
}

std::string text_of(const std::vector<std::string>& arguments) {
    std::string text;
    for (const auto& argument : arguments)
        text += argument + " ";
    return text;
}

TEST(PastaArguments, KeepTheHostsLoopbackOutOfReach) {
    const auto arguments = pasta_arguments(42, {}, "/state/tap0.pid");
    const auto text = text_of(arguments);
    EXPECT_THAT(arguments, IsSupersetOf({"--foreground", "--config-net", "--no-map-gw"}));
    EXPECT_THAT(arguments, Not(Contains("--map-host-loopback")));
    for (const auto* pair : {"--ns-ifname tap0 ", "--address 10.0.2.100 ", "--gateway 10.0.2.2 ",
                             "--dns-forward 10.0.2.3 ", "--mtu 65520 ", "--pid /state/tap0.pid ", "--tcp-ports none ",
                             "--udp-ports none ", "--tcp-ns none ", "--udp-ns none "})
        EXPECT_THAT(text, HasSubstr(pair));
    EXPECT_EQ(arguments.back(), "42");
}

TEST(PastaArguments, ForTheHostsLoopbackNothingIsConfiguredAndNoNameServerIsThere) {
    Options options;
    options.purpose = Purpose::host_loopback;
    const auto arguments = pasta_arguments(42, options, "/state/tap1.pid");
    EXPECT_THAT(text_of(arguments), HasSubstr("--map-host-loopback 10.0.3.2 "));
    EXPECT_THAT(text_of(arguments), HasSubstr("--ns-ifname tap1 "));
    EXPECT_THAT(arguments, Not(Contains("--config-net")));
    EXPECT_THAT(arguments, Not(Contains("--dns-forward")));
}

TEST(DefaultRoute, IsFoundInTheKernelsTable) {
    const std::string table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
                              "tap0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                              "tap1\t0003000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    EXPECT_TRUE(has_default_route(table, "tap0"));
    EXPECT_FALSE(has_default_route(table, "tap1"));
    EXPECT_FALSE(has_default_route(table, "tap"));
    EXPECT_FALSE(has_default_route("", "tap0"));
}

} // namespace
} // namespace squish::uplink
