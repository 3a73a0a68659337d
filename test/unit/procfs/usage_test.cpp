// What a container uses, read from its processes and from its cgroup.
#include "procfs/usage_from_cgroup.h"
#include "procfs/usage_from_proc.h"

#include <gmock/gmock.h>

namespace squish::procfs {
namespace {

// Of a shell, Linux 6.18, with the name changed to what a hostile process may call itself.
constexpr std::string_view kStat =
    "6341 (a) R 1 (b) S 0 (c) D 6307 6307 5097 0 -1 4194304 100 250 3 4 12 34 56 78 20 0 2 0 4651342 3133440 409 "
    "18446744073709551615 94791407972352 94791407992233 140726511450496 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";
constexpr std::string_view kStatus = "Name:\tcat\nState:\tR (running)\nNSpid:\t6341\t17\nVmPTE:\t      44 kB\n"
                                     "RssAnon:\t     112 kB\nRssFile:\t    1624 kB\nRssShmem:\t       8 kB\n"
                                     "VmSwap:\t       4 kB\nThreads:\t2\nvoluntary_ctxt_switches:\t5\n"
                                     "nonvoluntary_ctxt_switches:\t6\n";
constexpr std::string_view kRollup =
    "559f23c6a000-7ffc99783000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:                1764 kB\nPss:                 268 kB\nPss_Anon:            112 kB\n"
    "Pss_File:            156 kB\nPss_Shmem:             2 kB\nSwapPss:               3 kB\n";

TEST(ProcessStat, ANameCannotForgeFields) {
    const auto stat = parse_process_stat(kStat);
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->pid, 6341U);
    EXPECT_EQ(stat->state, 'D');
    EXPECT_EQ(stat->user, 12U);
    EXPECT_EQ(stat->waited_system, 78U);
    EXPECT_EQ(stat->threads, 2U);
    EXPECT_EQ(stat->started, 4651342U);
    EXPECT_EQ(stat->rss_pages, 409U);
    for (const auto* const gone :
         {"", "1", "1 (x", "1 (x) ", "1 (x) R 1 2", "x (y) R 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2"})
        EXPECT_FALSE(parse_process_stat(gone)) << gone;
}

TEST(Processes, AreAddedUp) {
    const std::vector<ProcessTexts> two = {
        {.stat = kStat, .status = kStatus, .smaps_rollup = kRollup, .statm = {}},
        {.stat = kStat, .status = kStatus, .smaps_rollup = {}, .statm = {}},
        {.stat = "", .status = kStatus, .smaps_rollup = kRollup, .statm = {}}, // has gone
    };
    const auto sum = sum_processes(two);
    EXPECT_EQ(sum.cpu.user, 2 * (12 + 56) * 10'000U);
    EXPECT_EQ(sum.cpu.system, 2 * (34 + 78) * 10'000U);
    EXPECT_EQ(sum.memory.anon, (112 + 112) * 1024U);
    EXPECT_EQ(sum.memory.cache, (156 + 2 + 1624 + 8) * 1024U);
    EXPECT_EQ(sum.memory.shmem, (2 + 8) * 1024U);
    EXPECT_EQ(sum.memory.swap, (3 + 4) * 1024U);
    EXPECT_EQ(sum.memory.current, sum.memory.anon + sum.memory.cache + 2 * 44 * 1024);
    EXPECT_EQ(sum.tasks.all, 4U);
    EXPECT_EQ(sum.tasks.blocked, 2U);
    EXPECT_EQ(sum.tasks.running, 0U);
    EXPECT_EQ(sum.tasks.switches, 22U);
    EXPECT_EQ(sum.tasks.last_pid, 17U);
    EXPECT_EQ(sum.events.page_faults, 700U);
}

TEST(Processes, MemoryComesFromStatmWhereNothingElseIsToBeRead) {
    const std::vector<ProcessTexts> one = {
        {.stat = kStat, .status = {}, .smaps_rollup = {}, .statm = "765 437 409 5 0 123 0\n"}};
    const auto sum = sum_processes(one);
    EXPECT_EQ(sum.memory.anon, 28 * 4096U);
    EXPECT_EQ(sum.memory.cache, 409 * 4096U);
    const std::vector<ProcessTexts> less = {{.stat = kStat, .status = {}, .smaps_rollup = {}, .statm = "no"}};
    EXPECT_EQ(sum_processes(less).memory.anon, 409 * 4096U);
}

TEST(Cgroup, Version2) {
    constexpr std::string_view kMemoryStat =
        "anon 100\nfile 200\nkernel 60\nkernel_stack 10\npagetables 20\npercpu 1\nsock 0\nshmem 50\nfile_mapped 30\n"
        "file_dirty 3\nfile_writeback 4\nanon_thp 5\ninactive_anon 70\nactive_anon 80\ninactive_file 90\nactive_file "
        "60\n"
        "unevictable 7\nslab_reclaimable 11\nslab_unreclaimable 12\nslab 23\npgfault 1000\npgmajfault 10\n";
    const auto memory = parse_memory_stat(kMemoryStat, "400\n", "16\n");
    EXPECT_EQ(memory.current, 400U);
    EXPECT_EQ(memory.anon, 100U);
    EXPECT_EQ(memory.cache, 200U);
    EXPECT_EQ(memory.page_tables, 20U);
    EXPECT_EQ(memory.slab_unreclaimable, 12U);
    EXPECT_EQ(memory.swap, 16U);
    const auto events = parse_memory_events(kMemoryStat, "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n");
    EXPECT_EQ(events.page_faults, 1000U);
    EXPECT_EQ(events.oom_kills, 1U);
    const auto cpu = parse_cpu_stat("usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 0\n");
    EXPECT_EQ(cpu.user, 20U);
    EXPECT_EQ(cpu.system, 10U);
    const auto io =
        parse_io_stat("254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=3 dios=4\n7:1 \nnonsense\n:1 x\n");
    ASSERT_EQ(io.size(), 2U);
    EXPECT_EQ(io[0].write_bytes, 8192U);
    EXPECT_EQ(io[0].discards, 4U);
    EXPECT_EQ(io[1].major, 7U);
}

TEST(Cgroup, Version1) {
    const auto memory =
        parse_memory_stat("cache 1\nrss 2\ninactive_anon 3\ntotal_cache 200\ntotal_rss 100\n"
                          "total_shmem 50\ntotal_swap 16\ntotal_inactive_anon 70\ntotal_mapped_file 30\n",
                          "400\n", "");
    EXPECT_EQ(memory.anon, 100U);
    EXPECT_EQ(memory.cache, 200U);
    EXPECT_EQ(memory.inactive_anon, 70U);
    EXPECT_EQ(memory.swap, 16U);
    const auto cpu = parse_cpuacct("user 30\nsystem 10\n", "404000000\n", "400000000 4000000 \n");
    EXPECT_EQ(cpu.user + cpu.system, 404'000U);
    EXPECT_EQ(cpu.system, 101'000U);
    EXPECT_THAT(cpu.per_cpu, ::testing::ElementsAre(400'000U, 4'000U));
}

} // namespace
} // namespace squish::procfs
