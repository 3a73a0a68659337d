#include "limits/machine.h"

#include <gmock/gmock.h>
#include <string>
#include <vector>

namespace squish::limits {
namespace {

using ::testing::HasSubstr;

const std::string kId = "0123456789abcdef0123456789abcdef";

TEST(FindMount, OfAUnifiedSystem) {
    const auto* text = "22 27 0:20 / /sys rw,nosuid - sysfs sysfs rw\n"
                       "31 22 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
                       "rw,nsdelegate,memory_recursiveprot\n";
    EXPECT_EQ(find_cgroup2(text), (CgroupMount{"/sys/fs/cgroup", "/"}));
}

TEST(FindMount, OfAHybridSystem) {
    const auto* text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
                       "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
                       "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    EXPECT_EQ(find_cgroup2(text), (CgroupMount{"/sys/fs/cgroup/unified", "/"}));
}

TEST(FindMount, TheWholeHierarchyBeforeAPartOfIt) {
    const auto* text = "9 1 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
                       "8 1 0:27 / /mnt/with\\040blank rw shared:1 master:2 - cgroup2 cgroup2 rw\n"
                       "7 1 0:27 /../.. /outside rw - cgroup2 cgroup2 rw\n";
    EXPECT_EQ(find_cgroup2(text), (CgroupMount{"/mnt/with blank", "/"}));
    EXPECT_EQ(find_cgroup2("9 1 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"),
              (CgroupMount{"/sys/fs/cgroup", "/docker/abc"}));
}

TEST(FindMount, NothingInATextWithoutOne) {
    EXPECT_EQ(find_cgroup2(""), std::nullopt);
    EXPECT_EQ(find_cgroup2("32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup2 rw,cpu\n"), std::nullopt);
    EXPECT_EQ(find_cgroup2("32 - cgroup2 x"), std::nullopt);
}

TEST(OwnCgroup, IsTheOneOfVersion2) {
    EXPECT_EQ(own_cgroup("4:memory:/a\n0::/user.slice/user-1000.slice/session-1.scope\n"),
              "/user.slice/user-1000.slice/session-1.scope");
    EXPECT_EQ(own_cgroup("0::/\n"), "/");
    EXPECT_EQ(own_cgroup("4:memory:/a\n"), std::nullopt);
    EXPECT_EQ(own_cgroup("0::/../other\n"), std::nullopt) << "outside of our cgroup namespace";
}

TEST(Folder, IsThePathBelowTheMount) {
    Machine machine{{"/sys/fs/cgroup", "/"}, "/a"};
    EXPECT_EQ(*machine.folder_of("/user.slice/x"), "/sys/fs/cgroup/user.slice/x");
    EXPECT_EQ(*machine.folder_of("/"), "/sys/fs/cgroup");
    EXPECT_FALSE(machine.folder_of("relative"));
    EXPECT_FALSE(machine.folder_of("/a/../../etc"));
    EXPECT_FALSE(machine.folder_of(""));
    machine.mount.root = "/docker/abc";
    EXPECT_EQ(*machine.folder_of("/docker/abc/x"), "/sys/fs/cgroup/x");
    EXPECT_EQ(*machine.folder_of("/docker/abc"), "/sys/fs/cgroup");
    EXPECT_FALSE(machine.folder_of("/docker/abcdef"));
    EXPECT_FALSE(machine.folder_of("/x"));
}

TEST(Names, OnlyIdsAndInstancesBecomePartOfAPath) {
    EXPECT_TRUE(is_id(kId));
    EXPECT_TRUE(is_instance("00ff00ff"));
    const std::vector<std::string> wrong_ones{"", kId + "0", kId.substr(1), "../../../../../../../../etc/x/yz",
                                              "0123456789ABCDEF0123456789abcdef"};
    for (const auto& wrong : wrong_ones)
        EXPECT_FALSE(is_id(wrong)) << wrong;
    EXPECT_FALSE(is_instance("0"));
    EXPECT_FALSE(is_instance("../../.."));
}

TEST(Names, SayWhoseTheyAre) {
    EXPECT_EQ(cgroup_name("00ff00ff", kId), "squish-00ff00ff-" + kId);
    EXPECT_EQ(id_in("squish-00ff00ff-" + kId + ".scope", "00ff00ff", ".scope"), kId);
    EXPECT_EQ(id_in("squish-00ff00ff-" + kId, "00ff00ff", ""), kId);
    const std::vector<std::string> others{"squish-00ff00fe-" + kId + ".scope", "squish-00ff00ff-keeper-12.scope" + kId,
                                          "squish-00ff00ff-" + kId, "squish-00ff00ff-.scope", ""};
    for (const auto& other : others)
        EXPECT_EQ(id_in(other, "00ff00ff", ".scope"), std::nullopt) << other;
}

TEST(ThisMachine, HasACgroup2OrSaysWhatToDo) {
    const auto machine = this_machine();
    if (machine)
        EXPECT_THAT(machine->mount.point, HasSubstr("/"));
    else
        EXPECT_THAT(machine.error().remedy, HasSubstr("systemd.unified_cgroup_hierarchy=1"));
}

} // namespace
} // namespace squish::limits
