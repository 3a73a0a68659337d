#include "uplink/slirp4netns.h"

#include <cerrno>
#include <gmock/gmock.h>

namespace squish::uplink {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Slirp4netnsArguments, AreTheHardenedOnes) {
    EXPECT_THAT(slirp4netns_arguments(42, {}, 3, 4),
                ElementsAre("slirp4netns", "--mtu=65520", "--enable-sandbox", "--enable-seccomp", "--ready-fd=3",
                            "--exit-fd=4", "--configure", "--disable-host-loopback", "42", "tap0"));
}

// Configured by slirp4netns it would be the default route of all.
TEST(Slirp4netnsArguments, ForTheHostsLoopbackItIsANetworkOfItsOwnAndNotConfigured) {
    Options options;
    options.purpose = Purpose::host_loopback;
    options.mtu = 1500;
    EXPECT_THAT(slirp4netns_arguments(42, options, 3, 4),
                ElementsAre("slirp4netns", "--mtu=1500", "--enable-sandbox", "--enable-seccomp", "--ready-fd=3",
                            "--exit-fd=4", "--cidr=10.0.3.0/24", "42", "tap1"));
}

TEST(Slirp4netnsArguments, Ipv6IsForTheWayOutAlone) {
    Options options;
    options.ipv6 = true;
    EXPECT_THAT(slirp4netns_arguments(42, options, 3, 4),
                ElementsAre("slirp4netns", "--mtu=65520", "--enable-sandbox", "--enable-seccomp", "--ready-fd=3",
                            "--exit-fd=4", "--configure", "--disable-host-loopback", "--enable-ipv6", "42", "tap0"));
    options.purpose = Purpose::host_loopback;
    EXPECT_THAT(slirp4netns_arguments(42, options, 3, 4), Not(::testing::Contains("--enable-ipv6")));
}

// Captured on Linux 6.18: a prefix, what the kernel says where there is no route, an `unreachable default`, and lo's.
TEST(HostsIpv6, IsThereWhereADefaultRouteLeadsOut) {
    const std::string elsewhere =
        "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 "
        "00000100 00000001 00000000 00000001     eth0\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 "
        "ffffffff 00000001 00000000 00200200       lo\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 "
        "00000400 00000001 00000000 00000201     eth0\n";
    EXPECT_FALSE(has_default_route6(""));
    EXPECT_FALSE(has_default_route6("what is this\n"));
    EXPECT_FALSE(has_default_route6(elsewhere));
    EXPECT_TRUE(has_default_route6(elsewhere +
                                   "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
                                   "fe800000000000000000000000000001 00000400 00000001 00000000 00450003 "
                                   "    eth0\n"));
}

TEST(Slirp4netnsEnd, NamesTheOptionThatAnOldOneDoesNotKnow) {
    const auto error = explain_end("slirp4netns: unrecognized option '--enable-seccomp'\n");
    EXPECT_EQ(error.kind, ErrorKind::unsupported);
    EXPECT_THAT(error.message, HasSubstr("too old: slirp4netns: unrecognized option '--enable-seccomp'"));
    EXPECT_THAT(error.remedy, HasSubstr("apt install slirp4netns"));
}

TEST(Slirp4netnsEnd, ShowsTheLineThatSaysWhy) {
    const auto error = explain_end("WARNING: Support for seccomp is experimental\n"
                                   "/proc/999999/ns/net: No such file or directory\n"
                                   "child failed(1)\n");
    EXPECT_EQ(error.kind, ErrorKind::unavailable);
    EXPECT_EQ(error.message, "slirp4netns ended at start: /proc/999999/ns/net: No such file or directory");
}

TEST(Slirp4netnsEnd, SaysSoWhereThereAreNoWords) {
    EXPECT_EQ(explain_end("").message, "slirp4netns ended at start: it did not say why");
    EXPECT_EQ(explain_end("WARNING: Support for seccomp is experimental\nchild failed(1)\n").message,
              "slirp4netns ended at start: it did not say why");
}

TEST(Slirp4netnsEnd, ForeignTextCannotSteerATerminal) {
    EXPECT_THAT(explain_end("\x1b[31mred\n").message, Not(HasSubstr("\x1b")));
}

TEST(TunDevice, EachFailureHasItsRemedy) {
    const auto closed = explain_tun(EACCES, 020600);
    EXPECT_EQ(closed.kind, ErrorKind::unsupported);
    EXPECT_EQ(closed.text(), "'/dev/net/tun' is not accessible: its mode is 0600 (as root: chmod 0666 /dev/net/tun)");
    EXPECT_THAT(explain_tun(ENOENT, 0).text(), HasSubstr("does not exist (as root: modprobe tun)"));
    EXPECT_THAT(explain_tun(ENODEV, 020666).text(), HasSubstr("no driver"));
    EXPECT_THAT(explain_tun(EMFILE, 020666).text(), HasSubstr("Too many open files"));
}

} // namespace
} // namespace squish::uplink
