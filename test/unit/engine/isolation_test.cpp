// What inspect says of a container's isolation, from texts of the kernel.
#include "engine/isolation.h"

#include <gmock/gmock.h>

namespace squish {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(IsolationText, Status) {
    IsolationInfo out;
    const std::string_view text =
        "Name:\tsleep\nPid:\t4711\nNSpid:\t4711\t2\nGroups:\t 5 100 \nCapInh:\t0000000000000000\n"
        "CapPrm:\t0000000000000021\nCapEff:\t8000000000000021\nCapBnd:\t0000000000000400\n"
        "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
    read_status(text, out);
    EXPECT_THAT(out.capabilities["inheritable"], IsEmpty());
    EXPECT_THAT(out.capabilities["permitted"], ElementsAre("CAP_CHOWN", "CAP_KILL"));
    EXPECT_THAT(out.capabilities["effective"], ElementsAre("CAP_CHOWN", "CAP_KILL", "CAP_63"));
    EXPECT_THAT(out.capabilities["bounding"], ElementsAre("CAP_NET_BIND_SERVICE"));
    EXPECT_THAT(out.capabilities, SizeIs(5));
    EXPECT_THAT(out.groups, ElementsAre(5U, 100U));
    EXPECT_TRUE(out.no_new_privileges);
    EXPECT_EQ(out.seccomp_mode, 2);
    EXPECT_EQ(out.seccomp_filters, 1);
    EXPECT_EQ(innermost_pid(text), 2U);
    EXPECT_EQ(innermost_pid("Name:\tx\n"), 0U);
    EXPECT_EQ(innermost_pid("NSpid:\n"), 0U);
}

TEST(IsolationText, MountsAndWhatCoversTheKernelsFiles) {
    IsolationInfo out;
    read_mounts("501 500 0:51 / / ro,nosuid,nodev,relatime - overlay squish ro,lowerdir=/a:/b\n"
                "502 501 0:60 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
                "503 502 0:61 /file /proc/kcore ro,nosuid,nodev,noexec - tmpfs none ro\n"
                "504 502 0:60 /sys /proc/sys ro,nosuid,nodev,noexec - proc proc rw\n"
                "505 502 0:62 /folder /sys/firmware ro,nosuid shared:7 master:3 - tmpfs none ro\n"
                "506 501 8:1 /home/x /a\\040b\\134c rw,nosuid,nodev - ext4 /dev/sda1 rw\n"
                "507 501 0:63 /file /app/file ro,nosuid,nodev - tmpfs none ro\n"
                "malformed\n\n1 2 3 - x\n",
                out);
    ASSERT_THAT(out.mounts, SizeIs(7));
    EXPECT_EQ(out.mounts[0], (IsolationInfo::Mount{"/", "overlay", {"ro", "nosuid", "nodev", "relatime"}, ""}));
    EXPECT_EQ(out.mounts[4].propagation, "shared:7 master:3");
    EXPECT_EQ(out.mounts[5].target, "/a b\\c");
    EXPECT_THAT(out.masked, ElementsAre("/proc/kcore", "/sys/firmware"));
    EXPECT_THAT(out.frozen, ElementsAre("/proc/sys"));
}

TEST(IsolationText, MapsAndLimits) {
    using Extent = IsolationInfo::IdExtent;
    EXPECT_THAT(read_id_map("         0       1000          1\n         1     100000      65536\nx\n"),
                ElementsAre(Extent{0, 1000, 1}, Extent{1, 100000, 65536}));
    using Limit = IsolationInfo::Limit;
    EXPECT_THAT(read_limits("Limit                     Soft Limit           Hard Limit           Units     \n"
                            "Max core file size        0                    0                    bytes     \n"
                            "Max open files            1024                 524288               files     \n"
                            "Max nice priority         0                    0                    \n"
                            "Max short\n"),
                ElementsAre(Limit{"core file size", "0", "0", "bytes"}, Limit{"open files", "1024", "524288", "files"},
                            Limit{"nice priority", "0", "0", ""}));
}

TEST(IsolationText, AProcessThatIsNoInitHasNone) {
    const auto own = read_isolation(::getpid());
    ASSERT_TRUE(own) << own.error().text();
    EXPECT_FALSE(*own);
}

} // namespace
} // namespace squish
