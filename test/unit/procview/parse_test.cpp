#include "procview/parse.h"

#include <gmock/gmock.h>

namespace squish::procview {
namespace {

TEST(ParseStat, TheNameOfAProcessSaysNothingOfIt) {
    const auto stat =
        parse_process_stat("42 (a) R 1 (x) D 7 42 42 0 -1 4194304 10 20 3 4 11 12 13 14 20 0 5 0 777 1 2\n");
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->state, 'D');
    EXPECT_EQ(stat->parent, 7);
    EXPECT_EQ(stat->minor_faults, 30U);
    EXPECT_EQ(stat->major_faults, 7U);
    EXPECT_EQ(stat->user, 24U);
    EXPECT_EQ(stat->system, 26U);
    EXPECT_EQ(stat->threads, 5U);
    EXPECT_EQ(stat->started, 777U);
}

TEST(ParseStat, ATextThatIsCutOffIsNoProcess) {
    const std::string whole = "42 (a) D 7 42 42 0 -1 4194304 10 20 3 4 11 12 13 14 20 0 5 0 777 1 2\n";
    for (std::size_t size = 0; size + 8 < whole.size(); ++size)
        EXPECT_FALSE(parse_process_stat(whole.substr(0, size))) << size;
    EXPECT_FALSE(parse_process_stat(std::string(10000, ')')));
}

TEST(ParseStatm, SharedPagesAreNeverMoreThanThoseThatAreResident) {
    EXPECT_EQ(parse_statm("900 30 10 1 0 5 0\n").resident, 30U);
    EXPECT_EQ(parse_statm("900 30 10 1 0 5 0\n").shared, 10U);
    EXPECT_EQ(parse_statm("900 30 40 1 0 5 0\n").shared, 30U);
    EXPECT_EQ(parse_statm("").resident, 0U);
}

TEST(ParseIds, OfEachNamespaceFromTheOutermostOn) {
    EXPECT_THAT(parse_namespace_ids("Name:\tx\nNSpid:\t4711\t12\t1\nNSpgid:\t5\n"), testing::ElementsAre(4711, 12, 1));
    EXPECT_THAT(parse_namespace_ids("Name:\tx\n"), testing::IsEmpty());
    EXPECT_THAT(parse_namespace_ids("NSpid:\t4711\t1x,\t1\n"), testing::ElementsAre(4711)); // torn
}

TEST(ParseIds, AreNumbersAboveZeroAndNoMoreThanAskedFor) {
    EXPECT_THAT(parse_ids("1\n0\nx\n99999999999999999999\n-4\n7\n8\n", 2), testing::ElementsAre(1, 7));
}

TEST(ParseIoStat, ALineThatIsNoDeviceIsLeftOut) {
    const auto devices = parse_io_stat("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
                                       "x rbytes=1\n254:0\n4294967296:0 rbytes=9\n");
    ASSERT_EQ(devices.size(), 2U);
    EXPECT_EQ(devices[0].major, 8U);
    EXPECT_EQ(devices[0].minor, 16U);
    EXPECT_EQ(devices[0].read_bytes, 1U);
    EXPECT_EQ(devices[0].written_bytes, 2U);
    EXPECT_EQ(devices[0].reads, 3U);
    EXPECT_EQ(devices[0].writes, 4U);
    EXPECT_EQ(devices[1].major, 254U);
}

TEST(ParseMeminfo, IsBytes) {
    EXPECT_EQ(parse_meminfo("MemTotalX: 5 kB\nMemTotal:       12 kB\n", "MemTotal:"), 12288U);
    EXPECT_EQ(parse_meminfo("MemTotal: 18446744073709551615 kB\n", "MemTotal:"), 0U);
    EXPECT_EQ(parse_meminfo("", "MemTotal:"), 0U);
}

TEST(ParseMemoryStat, FiguresThatAreNotNamedStay) {
    procfs::Usage usage;
    usage.shmem = 5;
    parse_memory_stat("anon 1\nfile 2\nslab_reclaimable 3\nworkingset_refault_anon 77\npgfault 4\n", usage);
    EXPECT_EQ(usage.anon, 1U);
    EXPECT_EQ(usage.file, 2U);
    EXPECT_EQ(usage.slab_reclaimable, 3U);
    EXPECT_EQ(usage.page_faults, 4U);
    EXPECT_EQ(usage.shmem, 5U);
}

} // namespace
} // namespace squish::procview
