#include "uplink/slirp4netns.h"

#include <cerrno>
#include <gmock/gmock.h>

namespace squish::uplink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Slirp4netnsArguments, AreTheHardenedOnes) {
    Slirp4netnsOptions options;
    options.api_socket = "/run/user/1000/squish/slirp.sock";
    EXPECT_THAT(slirp4netns_arguments(42, options, 3, 4),
                ElementsAre("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox",
                            "--enable-seccomp", "--ready-fd=3", "--exit-fd=4",
                            "--api-socket=/run/user/1000/squish/slirp.sock", "42", "tap0"));
}

TEST(Slirp4netnsArguments, WithoutAnApiSocketNoneIsMade) {
    EXPECT_THAT(slirp4netns_arguments(42, {}, 3, 4), Not(Contains(StartsWith("--api-socket"))));
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
