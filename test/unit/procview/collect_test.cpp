#include "procview/collect.h"

#include "fake_machine.h"

#include "procview/cgroups.h"
#include "procview/clock.h"

#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <sys/resource.h>

namespace squish::procview {
namespace {

class InACgroup : public FakeMachine {
protected:
    static constexpr const char* kPath = "/user.slice/app.slice/c.scope/payload";

    void SetUp() override {
        FakeMachine::SetUp();
        file("memory.current", "500000\n");
        file("memory.stat", "anon 300000\nfile 150000\nshmem 1000\ninactive_file 100000\nkernel_stack 4096\n");
        file("memory.max", "1000000\n");
        file("memory.swap.current", "2000\n");
        file("memory.swap.max", "max\n");
        file("cpu.stat", "usage_usec 30\nuser_usec 10\nsystem_usec 20\n");
        file("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n");
        file("cgroup.threads", "10\n11\n12\n");
        file("cpu.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n");
        add({.pid = 10, .parent = 1, .started = 1, .ids = "10\t1"});
        add({.pid = 11, .parent = 10, .state = 'R', .started = 2, .ids = "11\t2"});
        add({.pid = 12, .parent = 10, .state = 'R', .started = 3, .ids = "12\t3\t1"});
    }
    void file(const std::string& name, const std::string& text) const {
        write("cgroup" + std::string(kPath) + "/" + name, text);
    }
    static procshare::Facts mine() { return facts(kPath, 10); }
};

TEST_F(InACgroup, WhatIsUsedIsWhatTheKernelCounts) {
    auto collector = MUST(open());
    const auto view = collector.view(mine(), kAll);
    const auto& own = view.own;
    EXPECT_TRUE(view.own_memory);
    EXPECT_TRUE(view.own_usage);
    EXPECT_TRUE(own.limits.own_cpus);
    EXPECT_EQ(own.usage.memory, 500000U);
    EXPECT_EQ(own.usage.anon, 300000U);
    EXPECT_EQ(own.usage.inactive_file, 100000U);
    EXPECT_EQ(own.usage.swap, 2000U);
    EXPECT_EQ(own.usage.cpu_user_us, 10U);
    EXPECT_EQ(own.usage.cpu_system_us, 20U);
    EXPECT_EQ(own.limits.memory, 1000000U);
    EXPECT_EQ(own.limits.swap, 2000U * 1024); // all of the host's
    EXPECT_EQ(own.usage.tasks, 3U);
    EXPECT_EQ(own.usage.running, 2U);
    EXPECT_EQ(own.last_pid, 3U); // as init's namespace has it, not as one that it made itself
    ASSERT_EQ(own.devices.size(), 1U);
    EXPECT_EQ(own.devices[0].writes, 4U);
    EXPECT_THAT(own.pressure_cpu.value_or(""), testing::StartsWith("some avg10=1.00"));
    EXPECT_FALSE(own.pressure_io);
}

TEST_F(InACgroup, OnlyWhatIsAskedForIsCollected) {
    auto collector = MUST(open());
    const auto view = collector.view(mine(), procfs::kNothing);
    EXPECT_TRUE(view.own_memory);
    EXPECT_EQ(view.own.usage.memory, 0U);
    EXPECT_EQ(view.own.usage.tasks, 0U);
    EXPECT_TRUE(view.own.devices.empty());
    EXPECT_FALSE(collector.watches_load());
}

TEST_F(InACgroup, FiguresAreReadAnewEachTime) {
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(mine(), kAll).own.usage.memory, 500000U);
    file("memory.current", "7\n");
    file("memory.max", "max\n");
    const auto own = collector.view(mine(), kAll).own;
    EXPECT_EQ(own.usage.memory, 7U);
    EXPECT_EQ(own.limits.memory, std::nullopt);
}

TEST_F(InACgroup, TheLeastLimitUpToTheRootCounts) {
    write("cgroup/user.slice/memory.max", "400000\n");
    write("cgroup/user.slice/memory.swap.max", "max\n");
    write("cgroup/user.slice/app.slice/memory.max", "max\n");
    write("cgroup/user.slice/app.slice/c.scope/memory.max", "600000\n");
    write("cgroup/user.slice/app.slice/c.scope/memory.swap.max", "3000\n");
    write("cgroup/memory.max", "1\n"); // there is none at the root of a real one
    auto collector = MUST(open());
    const auto limits = collector.view(mine(), kAll).own.limits;
    EXPECT_EQ(limits.memory, 400000U);
    EXPECT_EQ(limits.swap, 3000U);
}

TEST_F(InACgroup, AFigureIsForWhereNoLimitStands) {
    auto all = mine();
    all.memory = 2000000;
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(all, kAll).own.limits.memory, 1000000U);
    file("memory.max", "max\n");
    EXPECT_EQ(collector.view(all, kAll).own.limits.memory, 2000000U);
}

TEST_F(InACgroup, WithoutTheMemoryControllerMemoryIsTheHosts) {
    for (const auto* const name :
         {"memory.current", "memory.stat", "memory.max", "memory.swap.current", "memory.swap.max"})
        std::filesystem::remove(at("cgroup" + std::string(kPath) + "/" + name));
    auto collector = MUST(open());
    const auto view = collector.view(mine(), kAll);
    EXPECT_FALSE(view.own_memory);
    EXPECT_TRUE(view.own_usage);
    EXPECT_EQ(view.own.usage.cpu_user_us, 10U);
}

TEST_F(InACgroup, WhenItIsGoneNothingOfTheHostIsShown) {
    std::filesystem::remove_all(at("cgroup/user.slice"));
    auto collector = MUST(open());
    const auto view = collector.view(mine(), kAll);
    EXPECT_TRUE(view.own_memory);
    EXPECT_TRUE(view.own_usage);
    EXPECT_EQ(view.own.usage.memory, 0U);
    EXPECT_EQ(view.own.usage.cpu_user_us, 0U);
}

TEST_F(InACgroup, TornFilesLeaveWhatWasReadLast) {
    auto collector = MUST(open());
    (void) collector.view(mine(), kAll);
    file("memory.current", "");
    file("memory.stat", "anon");
    file("cpu.stat", "");
    file("io.stat", "8:\n");
    file("cgroup.threads", "");
    const auto own = collector.view(mine(), kAll).own;
    EXPECT_EQ(own.usage.memory, 500000U);
    EXPECT_EQ(own.usage.anon, 0U);
    EXPECT_EQ(own.usage.cpu_user_us, 10U);
    EXPECT_TRUE(own.devices.empty());
}

TEST_F(InACgroup, ItsOwnCgroupsBeneathCountAsWell) {
    file("inner/cgroup.threads", "13\n");
    file("inner/deeper/cgroup.threads", "14\n");
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(mine(), kAll).own.usage.tasks, 5U);
}

TEST_F(InACgroup, APathThatLeadsElsewhereIsNotFollowed) {
    write("elsewhere/memory.current", "77\n");
    std::filesystem::create_directory_symlink(at("elsewhere"), at("cgroup/link"));
    Cgroups cgroups(DirFd(::open(at("cgroup").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
    for (const auto* const path : {"/../elsewhere", "/link", "elsewhere", "/", "", "//user.slice", "/user.slice/",
                                   "/./user.slice", "/user.slice/../../elsewhere"})
        EXPECT_EQ(cgroups.find(1, path), nullptr) << path;
    EXPECT_NE(cgroups.find(1, "/user.slice"), nullptr);
    std::string deep;
    for (int i = 0; i < 300; ++i)
        deep += "/a";
    EXPECT_EQ(cgroups.find(1, deep), nullptr);
}

TEST_F(InACgroup, OnlySoManyAreKeptOpen) {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    const auto most = std::min<std::size_t>(Cgroups::kMaxOpen, limit.rlim_cur / 2 / Cgroups::kDescriptorsOfOne);
    Cgroups cgroups(DirFd(::open(at("cgroup").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
    for (procshare::Key key = 1; key <= 2 * Cgroups::kMaxOpen; ++key)
        ASSERT_NE(cgroups.find(key, kPath), nullptr) << key;
    EXPECT_EQ(cgroups.open_count(), most);
    cgroups.forget(2 * Cgroups::kMaxOpen);
    EXPECT_EQ(cgroups.open_count(), most - 1);
}

TEST_F(InACgroup, AShortageOfDescriptorsIsSurvived) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit few{40, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    auto collector = MUST(open());
    std::vector<procfs::View> views;
    for (procshare::Key key = 1; key <= 20; ++key) {
        auto all = mine();
        all.key = key;
        views.push_back(collector.view(all, procfs::kMemory));
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    for (const auto& view : views) {
        EXPECT_TRUE(view.own_memory);
        EXPECT_EQ(view.own.usage.memory, 500000U);
        EXPECT_EQ(view.own.limits.memory, 1000000U);
    }
}

TEST_F(InACgroup, LoadThatNobodyCountedIsWhatRunsNow) {
    auto all = mine();
    all.started_ns = 1; // long ago
    auto collector = MUST(open());
    const auto own = collector.view(all, kAll).own;
    EXPECT_GT(own.load[0], 0U);
    EXPECT_LE(own.load[0], 200U);
    EXPECT_TRUE(collector.watches_load());
    collector.tick();
    collector.forget(all.key);
    EXPECT_FALSE(collector.watches_load());
    collector.tick();
}

using OfTheMachine = FakeMachine;

TEST_F(OfTheMachine, CpusAreThoseThatAreItsOwnAndOnline) {
    auto all = facts("");
    all.own_cpus = 1;
    all.cpus[0] = 0b110110;
    auto collector = MUST(open());
    auto view = collector.view(all, 0);
    EXPECT_EQ(view.own.limits.cpus.to_ulong(), 0b0110U);
    EXPECT_TRUE(view.own.limits.own_cpus);
    all.cpus[0] = 0b110000; // none of them is online
    EXPECT_EQ(collector.view(all, 0).own.limits.cpus.to_ulong(), 0b1111U);
    all.cpus = {};
    EXPECT_EQ(collector.view(all, 0).own.limits.cpus.to_ulong(), 0b1111U);
}

TEST_F(OfTheMachine, WithoutAnyListThereIsOneCpu) {
    std::filesystem::remove_all(at("sys/devices"));
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(facts(""), 0).own.limits.cpus.to_ulong(), 1U);
}

TEST_F(OfTheMachine, UptimeStartsWithTheContainer) {
    auto all = facts("");
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(all, 0).uptime_ns, 0U);
    all.started_ns = now_ns() - 5 * kSecond;
    all.started_at = 1'700'000'000'999'999;
    const auto view = collector.view(all, 0);
    EXPECT_GE(view.uptime_ns, 5 * kSecond);
    EXPECT_LT(view.uptime_ns, 60 * kSecond);
    EXPECT_EQ(view.started_at, 1'700'000'000);
    all.started_ns = UINT64_MAX;
    EXPECT_EQ(collector.view(all, 0).uptime_ns, 0U);
}

TEST_F(OfTheMachine, TextsAreReadAnewThroughTheSameDescriptor) {
    auto collector = MUST(open());
    EXPECT_THAT(collector.host_text("/proc/meminfo"), testing::StartsWith("MemTotal:        8000 kB"));
    put("proc/meminfo", "x");
    EXPECT_EQ(collector.host_text("/proc/meminfo"), "x");
    EXPECT_EQ(collector.host_text("/sys/devices/system/cpu/online"), "0-3\n");
}

TEST_F(OfTheMachine, WhatIsNotThereIsEmptyAndNothingElseIsReached) {
    write("secret", "s");
    auto collector = MUST(open());
    for (const auto* const path :
         {"/proc/slabinfo", "/proc/../secret", "/sys/../secret", "/etc/passwd", "", "/proc/", "/sys/devices"})
        EXPECT_EQ(collector.host_text(path), "") << path;
}

TEST_F(OfTheMachine, ATextThatNeverEndsIsCutOff) {
    write("proc/stat", std::string(3 << 20, 'x'));
    auto collector = MUST(open());
    EXPECT_EQ(collector.host_text("/proc/stat").size(), std::size_t{1} << 20);
}

TEST_F(OfTheMachine, ThereNeedBeNoCgroups) {
    auto collector = MUST(Collector::open(at("proc"), at("sys"), at("nowhere")));
    EXPECT_FALSE(collector.view(facts(""), kAll).own_memory);
    EXPECT_FALSE(Collector::open(at("nowhere"), at("sys"), at("cgroup")));
}

} // namespace
} // namespace squish::procview
