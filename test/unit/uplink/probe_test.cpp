#include "uplink/probe.h"

#include <gmock/gmock.h>

namespace squish::uplink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Slirp4netnsVersion, IsReadFromItsOutput) {
    const auto versions = parse_version("slirp4netns version 1.2.0\n"
                                        "commit: 656041d45cfca7a4176f6b7eed9e4fe6c11e8383\n"
                                        "libslirp: 4.7.0\n"
                                        "SLIRP_CONFIG_VERSION_MAX: 4\n"
                                        "libseccomp: 2.5.4\n");
    ASSERT_TRUE(versions.has_value());
    EXPECT_EQ(versions->program, "1.2.0");
    EXPECT_EQ(versions->libslirp, "4.7.0");
}

TEST(Slirp4netnsVersion, OldOnesDoNotNameLibslirp) {
    const auto versions =
        parse_version("slirp4netns version 0.3.2\ncommit: 21fdece2737dc24ffa3f01a341b8a6854f8b13b4\n");
    ASSERT_TRUE(versions.has_value());
    EXPECT_EQ(versions->program, "0.3.2");
    EXPECT_EQ(versions->libslirp, "");
}

TEST(Slirp4netnsVersion, OtherProgramsAreNotMistakenForIt) {
    const auto versions = parse_version("pasta 0.0~git20230309\n");
    ASSERT_FALSE(versions.has_value());
    EXPECT_THAT(versions.error().message, HasSubstr("pasta"));
    EXPECT_FALSE(parse_version("").has_value());
}

// From `slirp4netns --help`, 1.2.0, shortened.
constexpr const char* kHelp = "Usage: slirp4netns [OPTION]... PID|PATH [TAPNAME]\n"
                              "User-mode networking for unprivileged network namespaces.\n"
                              "\n"
                              "-c, --configure          bring up the interface\n"
                              "-e, --exit-fd=FD         specify the FD for terminating slirp4netns\n"
                              "-r, --ready-fd=FD        specify the FD to write to when the network is configured\n"
                              "-m, --mtu=MTU            specify MTU (default=1500, max=65521)\n"
                              "-a, --api-socket=PATH    specify API socket path\n"
                              "--disable-host-loopback  prohibit connecting to 127.0.0.1:* on the host namespace\n"
                              "--netns-type=TYPE \t specify network namespace type ([path|pid], default=pid)\n"
                              "--enable-sandbox         create a new mount namespace\n";

TEST(Slirp4netnsHelp, NamesTheOptions) {
    EXPECT_THAT(parse_help(kHelp), ElementsAre("--configure", "--exit-fd", "--ready-fd", "--mtu", "--api-socket",
                                               "--disable-host-loopback", "--netns-type", "--enable-sandbox"));
}

TEST(Slirp4netnsHelp, MissingOptionsAreThoseThatSquishUses) {
    EXPECT_THAT(missing_among(parse_help(kHelp)), ElementsAre("--enable-seccomp", "--enable-ipv6", "--cidr"));
    EXPECT_THAT(missing_among({}), Contains("--disable-host-loopback"));
}

} // namespace
} // namespace squish::uplink
