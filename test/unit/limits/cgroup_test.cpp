#include "fake_cgroups.h"

#include "os/process.h"

#include <csignal>
#include <gmock/gmock.h>
#include <unistd.h>

namespace squish::limits {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

using Cgroups = FakeCgroups;

Setting memory_max(const char* value) {
    return {Controller::memory, "memory.max", value, "memory"};
}
Setting pids_max(const char* value) {
    return {Controller::pids, "pids.max", value, "pids"};
}

TEST_F(Cgroups, ApplyWritesEachSetting) {
    make("c", {{"memory.max", "max\n"}, {"pids.max", "max\n"}});
    EXPECT_OK(apply(folder("c").get(), {memory_max("4096"), pids_max("5")}));
    EXPECT_EQ(value("c/memory.max"), "4096");
    EXPECT_EQ(value("c/pids.max"), "5");
}

TEST_F(Cgroups, PutsBackWhatItWroteWhereOneFails) {
    make("c", {{"memory.max", "8192\n"}, {"pids.max", "max\n"}});
    const auto applied = apply(
        folder("c").get(),
        {memory_max("4096"), pids_max("5"), memory_max("0"), {Controller::cpu, "cpu.max.burst", "7", "cpu_burst"}});
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(applied.error().message, "[resources] cpu_burst: this kernel has no cpu.max.burst");
    EXPECT_EQ(value("c/memory.max"), "8192");
    EXPECT_EQ(value("c/pids.max"), "max");
}

TEST_F(Cgroups, TheErrorNamesKeyAndValue) {
    make("c", {{"memory.max", "max\n"}});
    std::filesystem::remove(at("c/memory.max"));
    std::filesystem::create_symlink("/dev/null", at("c/memory.max")); // no cgroup has links
    const auto applied = apply(folder("c").get(), {memory_max("4096")});
    ASSERT_FALSE(applied);
    EXPECT_THAT(applied.error().message, HasSubstr("[resources] memory: '4096' in memory.max: "));
}

TEST_F(Cgroups, ASettingThatNobodyAskedForIsLeftOutWhereThereIsNoSuchFile) {
    make("c", {{"memory.max", "max\n"}});
    EXPECT_OK(
        apply(folder("c").get(), {memory_max("4096"), {Controller::memory, "memory.swap.max", "4096", "swap", true}}));
    EXPECT_EQ(value("c/memory.max"), "4096");
    EXPECT_FALSE(apply(folder("c").get(), {{Controller::memory, "memory.swap.max", "4096", "swap"}}));
}

TEST_F(Cgroups, OfIoMaxOnlyTheDevicesOwnLineIsPutBack) {
    make("c");
    put("c/io.max", "8:16 rbps=1 wbps=2 riops=3 wiops=4\n8:1 rbps=9 wbps=max riops=max wiops=max\n");
    const auto applied = apply(folder("c").get(), {{Controller::io, "io.max", "8:1 rbps=5", "io"}, pids_max("1")});
    ASSERT_FALSE(applied);
    EXPECT_EQ(value("c/io.max"), "8:1 rbps=9 wbps=max riops=max wiops=max");
    // One that had no limit.
    put("c/io.max", "8:16 rbps=1 wbps=2 riops=3 wiops=4\n");
    ASSERT_FALSE(apply(folder("c").get(), {{Controller::io, "io.max", "8:1 rbps=5", "io"}, pids_max("1")}));
    EXPECT_EQ(value("c/io.max"), "8:1 rbps=max wbps=max riops=max wiops=max");
}

TEST_F(Cgroups, EnablesControllersOneByOne) {
    make("c");
    put("c/cgroup.subtree_control", "memory\n");
    const auto cgroup = folder("c");
    ASSERT_OK(enable(cgroup.get(), {Controller::memory}));
    EXPECT_EQ(value("c/cgroup.subtree_control"), "memory") << "it was on";
    ASSERT_OK(enable(cgroup.get(), {Controller::cpu, Controller::memory, Controller::pids}));
    EXPECT_EQ(value("c/cgroup.subtree_control"), "+pids") << "the last write, by itself";
}

TEST_F(Cgroups, KillsProcessByProcessWhereTheKernelHasNoFileForIt) {
    auto child = MUST(os::clone_process(0));
    if (child.pid == 0)
        for (;;)
            ::pause();
    make("c", {{"cgroup.procs", "2147483647\n"}});
    make("c/payload", {{"cgroup.procs", std::to_string(child.pid) + "\n"}});
    std::filesystem::remove(at("c/cgroup.kill"));
    EXPECT_OK(kill_all(folder("c").get()));
    EXPECT_TRUE(os::wait_ended(child.pidfd.get(), 60'000));
    EXPECT_EQ(os::exit_code(MUST(os::reap(child.pidfd.get())).status), 128 + SIGKILL);
    EXPECT_EQ(value("c/cgroup.freeze"), "0");
}

TEST_F(Cgroups, MovesTheAnchorBeforeTheControllersAreOn) {
    make("outer", {{"cgroup.procs", "4711\n"}});
    make("outer/anchor");
    make("outer/payload");
    const auto made = Cgroup::make_inner(at("outer"), {Controller::memory, Controller::pids}, Filesystem::any);
    ASSERT_OK(made);
    EXPECT_EQ(value("outer/anchor/cgroup.procs"), "4711");
    EXPECT_EQ(value("outer/cgroup.subtree_control"), "+pids") << "the last of them";
    EXPECT_TRUE(*made);
    EXPECT_EQ(made->path(), at("outer"));
    EXPECT_TRUE(Cgroup::open(at("outer"), Filesystem::any));
}

TEST_F(Cgroups, WithoutAnAnchorThereIsNoCgroupForOne) {
    make("outer");
    ASSERT_OK(Cgroup::make_inner(at("outer"), {Controller::memory}, Filesystem::any));
    EXPECT_TRUE(exists("outer/payload"));
    EXPECT_FALSE(exists("outer/anchor"));
}

TEST_F(Cgroups, WhatIsOnAnotherFileSystemIsNoCgroup) {
    make("outer");
    make("outer/payload");
    const auto opened = Cgroup::open(at("outer"));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(opened.error().message, HasSubstr("is no cgroup of version 2"));
    EXPECT_FALSE(remove_tree(at("outer")));
}

TEST_F(Cgroups, NoLinkIsFollowed) {
    make("real");
    make("real/payload");
    std::filesystem::create_directory_symlink(at("real"), at("link"));
    EXPECT_FALSE(open_folder(at("link"), Filesystem::any));
    EXPECT_FALSE(open_folder(at("link/payload"), Filesystem::any));
    std::filesystem::create_directories(at("other"));
    std::filesystem::create_directory_symlink(at("real/payload"), at("other/payload"));
    EXPECT_FALSE(Cgroup::open(at("other"), Filesystem::any));
    put("real/secret", "s");
    EXPECT_FALSE(read_value(folder("real/payload").get(), "../secret"));
}

TEST_F(Cgroups, FreezingIsWrittenAndWaitedFor) {
    make("c", {{"cgroup.events", "populated 1\nfrozen 1\n"}});
    const auto cgroup = folder("c");
    EXPECT_OK(run(set_frozen(cgroup.get(), true)));
    EXPECT_EQ(value("c/cgroup.freeze"), "1");
    EXPECT_TRUE(MUST(is_frozen(cgroup.get())));
    put("c/cgroup.events", "populated 1\nfrozen 0\n");
    EXPECT_OK(run(set_frozen(cgroup.get(), false)));
    EXPECT_FALSE(MUST(is_frozen(cgroup.get())));
}

TEST_F(Cgroups, WhatCannotBeFrozenInTimeGoesOn) {
    make("c", {{"cgroup.events", "populated 1\nfrozen 0\n"}});
    const auto frozen = run(set_frozen(folder("c").get(), true, std::chrono::milliseconds(0)));
    ASSERT_FALSE(frozen);
    EXPECT_EQ(frozen.error().kind, ErrorKind::unavailable);
    EXPECT_EQ(value("c/cgroup.freeze"), "0");
}

TEST_F(Cgroups, KillsByTheKernelsOwnFile) {
    make("c");
    EXPECT_OK(kill_all(folder("c").get()));
    EXPECT_EQ(value("c/cgroup.kill"), "1");
}

TEST_F(Cgroups, RemovesWhatIsBeneathHoweverDeep) {
    std::string deep = "c";
    for (int i = 0; i < 200; ++i)
        deep += "/d";
    std::filesystem::create_directories(at(deep));
    std::filesystem::create_directories(at("c/a/b"));
    std::filesystem::create_directories(at("kept"));
    EXPECT_OK(remove_tree(at("c"), Filesystem::any));
    EXPECT_FALSE(exists("c"));
    EXPECT_TRUE(exists("kept"));
    EXPECT_OK(remove_tree(at("c"), Filesystem::any)) << "what is not there is fine";
}

TEST_F(Cgroups, ListsProcessesAndChildren) {
    make("c", {{"cgroup.procs", "1\n22\nx\n99999999999\n"}});
    make("c/one");
    make("c/two");
    EXPECT_THAT(MUST(processes_in(folder("c").get())), ElementsAre(1, 22));
    EXPECT_THAT(MUST(children_of(folder("c").get())), UnorderedElementsAre("one", "two"));
}

} // namespace
} // namespace squish::limits
