#include "cgroup/controllers.h"

#include <gmock/gmock.h>

namespace squish::cgroup {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kRoot = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n";

TEST(Controllers, AreReadAndWritten) {
    const auto set = parse_controllers("cpuset cpu io memory hugetlb pids rdma misc\n");
    EXPECT_EQ(set.text(), "cpu cpuset io memory pids hugetlb");
    EXPECT_TRUE(parse_controllers("").empty());
    EXPECT_TRUE(parse_controllers("memoryx cpus").empty());
    EXPECT_EQ(set.without(parse_controllers("cpu io hugetlb")).text(), "cpuset memory pids");
}

// Captured on Debian 12.
TEST(Mounts, CgroupV2AloneIsUnified) {
    const auto mounts =
        parse_mounts(std::string(kRoot) + "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - "
                                          "cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n");
    EXPECT_EQ(mounts.hierarchy, Hierarchy::unified);
    EXPECT_EQ(mounts.unified, "/sys/fs/cgroup");
    EXPECT_TRUE(mounts.ns_delegate);
}

TEST(Mounts, CgroupV2BesideControllersOfV1IsHybrid) {
    const auto mounts = parse_mounts("33 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                                     "34 25 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
                                     "35 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    EXPECT_EQ(mounts.hierarchy, Hierarchy::hybrid);
    EXPECT_FALSE(mounts.ns_delegate);
}

TEST(Mounts, ANamedHierarchyOfV1HasNoControllers) {
    EXPECT_EQ(parse_mounts("33 25 0:28 / /c rw - cgroup2 none rw\n34 25 0:29 / /s rw - cgroup none rw,name=systemd\n")
                  .hierarchy,
              Hierarchy::unified);
}

TEST(Mounts, WithoutEitherThereIsNone) {
    EXPECT_EQ(parse_mounts(kRoot).hierarchy, Hierarchy::none);
    EXPECT_EQ(parse_mounts("").hierarchy, Hierarchy::none);
    EXPECT_EQ(parse_mounts("1 2 3 - cgroup2\n - \n").hierarchy, Hierarchy::none);
    EXPECT_EQ(parse_mounts("35 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n").hierarchy,
              Hierarchy::legacy);
}

TEST(Mounts, BlanksInAMountPointAreRead) {
    EXPECT_EQ(parse_mounts("29 23 0:26 / /mnt/a\\040b rw - cgroup2 none rw\n").unified, "/mnt/a b");
}

TEST(OwnCgroup, IsThatOfTheUnifiedHierarchy) {
    EXPECT_EQ(parse_own_cgroup("12:memory:/x\n0::/user.slice/a.scope\n"), "/user.slice/a.scope");
    EXPECT_EQ(parse_own_cgroup("12:memory:/x\n"), std::nullopt);
    EXPECT_EQ(parse_own_cgroup("0::/a (deleted)\n"), std::nullopt);
    EXPECT_EQ(parse_own_cgroup("0::/../other\n"), std::nullopt) << "outside of our cgroup namespace";
}

TEST(CgroupPaths, AreComparedByWholeNames) {
    EXPECT_TRUE(is_within("/a/b", "/a"));
    EXPECT_TRUE(is_within("/a", "/a"));
    EXPECT_TRUE(is_within("/a", "/"));
    EXPECT_FALSE(is_within("/ab", "/a"));
    EXPECT_EQ(parent_of("/a/b"), "/a");
    EXPECT_EQ(parent_of("/a"), "/");
    Mounts mounts;
    mounts.root = "/docker/1";
    EXPECT_EQ(below_mount(mounts, "/docker/1/x"), "/x");
    EXPECT_EQ(below_mount(mounts, "/docker/1"), "/");
    EXPECT_EQ(below_mount(mounts, "/docker/12"), std::nullopt);
}

Situation debian() {
    Situation situation;
    situation.hierarchy = Hierarchy::unified;
    situation.kernel = parse_controllers("cpuset cpu io memory hugetlb pids");
    situation.delegated = parse_controllers("cpu memory pids"); // systemd 252's default for users
    situation.user_manager = true;
    situation.uid = 1000;
    situation.user = "jo";
    return situation;
}

TEST(Refusals, OfDebiansDefaultNameTheExactDelegateLine) {
    const auto error = explain_missing({{"cpuset", Controller::cpuset}, {"io", Controller::io}}, debian());
    EXPECT_EQ(error.kind, ErrorKind::unsupported);
    EXPECT_EQ(error.message,
              "[resources] 'cpuset' and 'io' cannot be enforced here: the user manager has not been given "
              "the controller 'cpuset' and 'io'");
    EXPECT_THAT(error.remedy, HasSubstr("systemctl edit user@.service"));
    EXPECT_THAT(error.remedy, HasSubstr("'Delegate=cpu cpuset io memory pids'"));
    EXPECT_THAT(error.remedy, HasSubstr("user@1000.service"));
}

TEST(Refusals, OfCgroupV1NameTheKernelParameters) {
    auto situation = debian();
    for (const auto hierarchy : {Hierarchy::legacy, Hierarchy::hybrid}) {
        situation.hierarchy = hierarchy;
        const auto error = explain_missing({{"memory", Controller::memory}}, situation);
        EXPECT_THAT(error.message, HasSubstr("cgroup v1"));
        EXPECT_THAT(error.remedy, HasSubstr("systemd.unified_cgroup_hierarchy=1"));
    }
    situation.hierarchy = Hierarchy::none;
    EXPECT_THAT(explain_missing({{"memory", Controller::memory}}, situation).remedy, HasSubstr("mount -t cgroup2"));
}

TEST(Refusals, OfAKernelWithoutTheControllerDoNotSendTheUserToSystemd) {
    auto situation = debian();
    situation.kernel = parse_controllers("cpu pids");
    situation.delegated = situation.kernel;
    const auto error = explain_missing({{"memory", Controller::memory}}, situation);
    EXPECT_THAT(error.message, HasSubstr("the kernel does not have the controller 'memory'"));
    EXPECT_THAT(error.remedy, HasSubstr("cgroup_enable=memory"));
}

TEST(Refusals, WithoutAUserManagerSayHowToGetOne) {
    auto situation = debian();
    situation.user_manager = false;
    situation.delegated = {};
    const auto error = explain_missing({{"pids", Controller::pids}}, situation);
    EXPECT_THAT(error.remedy, HasSubstr("loginctl enable-linger jo"));
    situation.delegated = parse_controllers("cpu");
    EXPECT_THAT(explain_missing({{"pids", Controller::pids}}, situation).remedy, HasSubstr("'+pids'"));
}

TEST(Doctor, ExplainsEachController) {
    const auto reports = report_controllers(debian());
    ASSERT_THAT(reports, SizeIs(kControllers.size()));
    for (const auto& report : reports) {
        const bool delegated = debian().delegated.contains(report.controller);
        EXPECT_EQ(report.available, delegated) << to_string(report.controller);
        EXPECT_EQ(report.remedy.empty(), delegated) << to_string(report.controller);
        EXPECT_FALSE(report.found.empty());
    }
}

} // namespace
} // namespace squish::cgroup
