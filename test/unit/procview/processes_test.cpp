#include "procview/processes.h"

#include "fake_machine.h"

#include "procview/cgroups.h"

#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>

namespace squish::procview {
namespace {

using WithoutACgroup = FakeMachine;

procshare::Facts with_figures(procshare::Facts facts) {
    facts.memory = 1 << 20;
    return facts;
}

TEST_F(WithoutACgroup, UseIsTheSumOverAllThatDescend) {
    add({.pid = 10,
         .parent = 1,
         .user = 100,
         .system = 1,
         .ended_user = 50,
         .resident = 20,
         .shared = 5,
         .ids = "10\t1"});
    add({.pid = 11,
         .parent = 10,
         .state = 'R',
         .user = 200,
         .started = 5,
         .resident = 30,
         .shared = 30,
         .ids = "11\t2"});
    add({.pid = 12, .parent = 11, .state = 'D', .started = 9, .resident = 7, .ids = "12\t3"});
    add({.pid = 20, .parent = 1, .user = 4000, .resident = 4000, .ids = "20\t1"});           // somebody else's
    add({.pid = 30, .parent = 1, .system = 2, .started = 7, .resident = 1, .ids = "30\t9"}); // squish exec
    auto all = with_figures(facts("", 10));
    all.roots[1] = 30;
    auto collector = MUST(open());
    const auto view = collector.view(all, kAll);
    const auto& usage = view.own.usage;
    EXPECT_TRUE(view.own_memory);
    EXPECT_TRUE(view.own_usage);
    EXPECT_EQ(usage.memory, 58 * view.page_size);
    EXPECT_EQ(usage.anon, 23 * view.page_size);
    EXPECT_EQ(usage.file, 0U);
    EXPECT_EQ(usage.file_mapped, 35 * view.page_size);
    EXPECT_EQ(usage.cpu_user_us, 350 * 10'000U);
    EXPECT_EQ(usage.cpu_system_us, 3 * 10'000U);
    EXPECT_EQ(usage.tasks, 4U);
    EXPECT_EQ(usage.running, 1U);
    EXPECT_EQ(usage.blocked, 1U);
    EXPECT_EQ(view.own.last_pid, 3U);
    EXPECT_EQ(view.own.limits.memory, 1U << 20);
    EXPECT_EQ(view.own.limits.swap, 0U);
}

TEST_F(WithoutACgroup, AFigureBeyondTheMachineIsTheMachine) {
    auto all = facts("");
    all.memory = UINT64_MAX;
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(all, kAll).own.limits.memory, 8000U * 1024);
}

TEST_F(WithoutACgroup, NoFiguresAreTheHostsButForWhatTellsOfOthers) {
    add({.pid = 10, .parent = 1, .resident = 20, .ids = "10\t1"});
    auto collector = MUST(open());
    const auto view = collector.view(facts("", 10), kAll);
    EXPECT_FALSE(view.own_memory);
    EXPECT_FALSE(view.own_usage);
    EXPECT_FALSE(view.own.limits.own_cpus);
    EXPECT_EQ(view.own.usage.memory, 0U);
    EXPECT_EQ(view.own.usage.tasks, 1U);
    EXPECT_EQ(view.own.usage.running, 1U); // whoever asks
    EXPECT_EQ(view.own.last_pid, 1U);
    EXPECT_FALSE(collector.watches_load());
}

TEST_F(WithoutACgroup, ParentsThatGoRoundInACircleAreCountedOnce) {
    add({.pid = 10, .parent = 12, .resident = 1});
    add({.pid = 11, .parent = 10, .resident = 1});
    add({.pid = 12, .parent = 11, .resident = 1});
    add({.pid = 13, .parent = 13, .resident = 1});
    auto all = with_figures(facts("", 10));
    all.roots[1] = 13;
    all.roots[2] = 10;
    all.roots[3] = -5;
    auto collector = MUST(open());
    EXPECT_EQ(collector.view(all, kAll).own.usage.tasks, 4U);
}

TEST_F(WithoutACgroup, ProcessesThatEndInTheMiddleOrAreTornAreLeftOut) {
    add({.pid = 10, .parent = 1, .resident = 1});
    write("proc/11/stat", "11 (sh) S 10 1 1 0 -1");
    write("proc/12/stat", "");
    std::filesystem::create_directories(at("proc/13"));
    write("proc/14/stat", stat_text({.pid = 14, .parent = 10})); // without statm and status
    write("proc/self", "");
    auto collector = MUST(open());
    const auto view = collector.view(with_figures(facts("", 10)), kAll);
    EXPECT_EQ(view.own.usage.tasks, 2U);
    EXPECT_EQ(view.own.usage.memory, view.page_size);
}

TEST_F(WithoutACgroup, ThreadsAreLookedAtOneByOne) {
    add({.pid = 10, .parent = 1, .threads = 3});
    write("proc/10/task/10/stat", stat_text({.pid = 10, .parent = 1, .state = 'S', .threads = 3}));
    write("proc/10/task/15/stat", stat_text({.pid = 15, .parent = 1, .state = 'R', .threads = 3}));
    write("proc/10/task/16/stat", stat_text({.pid = 16, .parent = 1, .state = 'R', .threads = 3}));
    auto collector = MUST(open());
    const auto usage = collector.view(with_figures(facts("", 10)), kAll).own.usage;
    EXPECT_EQ(usage.tasks, 3U);
    EXPECT_EQ(usage.running, 2U);
}

TEST_F(WithoutACgroup, OfThousandsOfThreadsAPartIsLookedAtAndTheRestIsExtrapolated) {
    std::vector<pid_t> threads;
    for (pid_t pid = 1; pid <= 4 * static_cast<pid_t>(kMaxTasksLookedAt); ++pid)
        threads.push_back(pid);
    for (pid_t pid = 1; pid <= static_cast<pid_t>(kMaxTasksLookedAt); ++pid)
        write("proc/" + std::to_string(pid) + "/stat", stat_text({.pid = pid, .state = pid % 2 == 0 ? 'R' : 'S'}));
    const DirFd proc(::open(at("proc").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto tasks = Processes(proc.get()).look_at(threads);
    EXPECT_EQ(tasks.count, 4 * kMaxTasksLookedAt);
    EXPECT_EQ(tasks.running, 2 * kMaxTasksLookedAt);
}

TEST_F(WithoutACgroup, CpuTimesNeverGoBack) {
    add({.pid = 10, .parent = 1, .user = 100});
    add({.pid = 11, .parent = 10, .user = 500});
    auto collector = MUST(open());
    const auto all = with_figures(facts("", 10));
    EXPECT_EQ(collector.view(all, procfs::kCpu).own.usage.cpu_user_us, 600U * 10'000);
    std::filesystem::remove_all(at("proc/11")); // and nobody waited for it
    auto usage = collector.view(all, kAll).own.usage;
    while (usage.tasks > 1)
        usage = collector.view(all, kAll).own.usage;
    EXPECT_EQ(usage.cpu_user_us, 600U * 10'000);
}

} // namespace
} // namespace squish::procview
