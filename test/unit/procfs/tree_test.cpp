#include "samples.h"

#include <gmock/gmock.h>

namespace squish::procfs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

View three_of_many() {
    return limited_view(parse_cpu_list("0-31"));
} // 2, 3 and 18

TEST(CpuLists, AreWrittenAsTheKernelWritesThem) {
    for (const auto* const list : {"", "0", "0-1", "0,2", "0-2,5", "1,3,5-7,1023", "0-1023"})
        EXPECT_EQ(cpu_list(parse_cpu_list(list)), list);
    EXPECT_EQ(cpu_list(parse_cpu_list("0-2,5\n")), "0-2,5");
    EXPECT_EQ(cpu_list(parse_cpu_list("5,1,0,2")), "0-2,5");
}

TEST(CpuLists, WhatIsNoListIsEmpty) {
    for (const auto* const text : {"x", "1,", ",1", "1-", "-1", "3-1", "1--2", "1 2", "0x1", "1,,2", "+1", "0-1:1/2"})
        EXPECT_TRUE(parse_cpu_list(text).none()) << text;
    EXPECT_TRUE(parse_cpu_list("1024,99999999999999999999").none());
    EXPECT_EQ(cpu_list(parse_cpu_list("1022-99999999999999999999")), "1022-1023");
}

TEST(CpuMasks, AreWrittenAsTheKernelWritesThem) {
    EXPECT_EQ(cpu_mask(parse_cpu_list("0"), 1), "1");
    EXPECT_EQ(cpu_mask(parse_cpu_list("0-3,5"), 8), "2f");
    EXPECT_EQ(cpu_mask(parse_cpu_list("0-3,5"), 64), "00000000,0000002f");
    EXPECT_EQ(cpu_mask(parse_cpu_list("33"), 36), "2,00000000");
    EXPECT_EQ(cpu_mask({}, 0), "0");
    EXPECT_EQ(cpu_mask(parse_cpu_list("33"), 1), "2,00000000"); // no CPU is lost
    EXPECT_LT(cpu_mask({}, ~std::size_t{0}).size(), 3000U);
}

TEST(Tree, ListsTheCpusThatAreShown) {
    const auto view = three_of_many();
    for (const auto* const file : {"cpu/online", "cpu/possible", "cpu/present", "node/node0/cpulist"})
        EXPECT_EQ(render(file, "0-31\n", view), "2-3,18\n");
    EXPECT_EQ(render("cpu/offline", "", view), "\n");
    EXPECT_EQ(render("cpu/kernel_max", "8191\n", view), "8191\n");
    EXPECT_EQ(render("node/node0/cpumap", "0-31\n", view), "0004000c\n");
    EXPECT_THAT(list("cpu", view), ElementsAre("online", "possible", "present", "offline", "isolated", "kernel_max",
                                               "cpu2", "cpu3", "cpu18"));
}

TEST(Tree, HasOneNodeWithAll) {
    const auto view = three_of_many();
    EXPECT_THAT(list("node", view),
                ElementsAre("online", "possible", "has_cpu", "has_memory", "has_normal_memory", "node0"));
    EXPECT_THAT(list("node/node0", view), ElementsAre("meminfo", "cpulist", "cpumap", "distance"));
    for (const auto* const file : {"node/online", "node/possible", "node/has_cpu", "node/has_memory"})
        EXPECT_EQ(render(file, "0-1\n", view), "0\n");
    EXPECT_EQ(render("node/node0/distance", "10 21\n", view), "10\n");
    EXPECT_FALSE(find("node/node1", view));
    EXPECT_EQ(find("node/node0", view)->host_path, "/sys/devices/system/node"); // whose only one may be node8
    EXPECT_EQ(find("node/node0/meminfo", view)->host_path, "/proc/meminfo");    // a node's would be a part
    EXPECT_EQ(find("node/node0/meminfo", view)->needs, kMemory);
}

TEST(Tree, NeighboursAreThoseThatAreShown) {
    const auto view = three_of_many();
    EXPECT_EQ(render("cpu/cpu2/topology/thread_siblings_list", "2,18\n", view), "2,18\n");
    EXPECT_EQ(render("cpu/cpu3/topology/thread_siblings_list", "3,19\n", view), "3\n");
    EXPECT_EQ(render("cpu/cpu3/topology/thread_siblings", "00000000,00080008\n", view), "00000000,00000008\n");
    EXPECT_EQ(render("cpu/cpu3/topology/package_cpus", "ffffffff\n", view), "0004000c\n");
    EXPECT_EQ(render("cpu/cpu3/cache/index3/shared_cpu_list", "0-7,16-23\n", view), "2-3,18\n");
    EXPECT_EQ(render("cpu/cpu3/cache/index3/shared_cpu_map", "00ff00ff\n", view), "0004000c\n");
    EXPECT_EQ(render("cpu/cpu3/cache/index3/size", "11264K\n", view), "11264K\n");
    EXPECT_EQ(render("cpu/cpu3/topology/core_id", "3\n", view), "3\n");
    EXPECT_EQ(render("cpu/cpu3/online", "1\n", view), "1\n");
}

TEST(Tree, ACpuIsItsOwnNeighbourWhateverTheHostSays) {
    const auto view = three_of_many();
    for (const auto* const host : {"", "\n", "garbage", "0-1", "99999999999999999999"}) {
        EXPECT_EQ(render("cpu/cpu3/topology/core_cpus_list", host, view), "3\n");
        EXPECT_EQ(parse_cpu_list(render("cpu/cpu3/topology/core_cpus_list", host, view)).count(), 1U);
    }
    EXPECT_EQ(render("cpu/cpu3/topology/core_cpus", "zz,1", view), "8\n");
    EXPECT_LT(render("cpu/cpu3/topology/core_cpus", std::string(1 << 20, '0'), view).size(), 3000U);
}

TEST(Tree, WhatIsListedIsThere) {
    const auto view = three_of_many();
    std::vector<std::string> open = {"cpu", "node"};
    std::size_t found = 0;
    while (!open.empty()) {
        const auto path = open.back();
        open.pop_back();
        const auto node = find(path, view);
        ASSERT_TRUE(node) << path;
        ++found;
        if (node->kind == Node::Kind::file) {
            EXPECT_TRUE(render(path, "", view).ends_with('\n')) << path;
            EXPECT_THAT(list(path, view), IsEmpty());
            continue;
        }
        EXPECT_EQ(render(path, "", view), "");
        EXPECT_TRUE(node->host_path.starts_with("/sys/devices/system/"));
        for (const auto& name : list(path, view))
            open.push_back(path + "/" + name);
    }
    EXPECT_GT(found, 3U * 140);
}

TEST(Tree, OnlyExactNamesAreThere) {
    const auto view = three_of_many();
    for (const auto* const path : {"",
                                   "/",
                                   "cpu/",
                                   "/cpu",
                                   "cpu//online",
                                   "cpu/online/",
                                   "cpu/online/x",
                                   "cpu/.",
                                   "cpu/..",
                                   "..",
                                   "../cpu",
                                   "cpu/../cpu",
                                   "cpu/../../../etc/shadow",
                                   "cpu/cpu3/../cpu3/online",
                                   "cpu/cpu",
                                   "cpu/cpu0",
                                   "cpu/cpu4",
                                   "cpu/cpu03",
                                   "cpu/cpu3 ",
                                   "cpu/cpu+3",
                                   "cpu/cpu-3",
                                   "cpu/cpu999",
                                   "cpu/cpu1024",
                                   "cpu/cpu4294967299",
                                   "cpu/cpu18446744073709551619",
                                   "cpu/Cpu3",
                                   "cpu/uevent",
                                   "cpu/vulnerabilities",
                                   "cpu/cpu3/topology/ppin",
                                   "cpu/cpu3/cache/index",
                                   "cpu/cpu3/cache/index00",
                                   "cpu/cpu3/cache/index10",
                                   "cpu/cpu3/cache/index0/shared_cpu_list/x",
                                   "cpu/cpu3/cache/index0/uevent",
                                   "cpu/cpu3/node0",
                                   "node/node00",
                                   "node/node0/cpu3",
                                   "node/node0/memory0",
                                   "proc/meminfo"}) {
        EXPECT_FALSE(find(path, view)) << path;
        EXPECT_THAT(list(path, view), IsEmpty()) << path;
        EXPECT_EQ(render(path, "0-31\n", view), "") << path;
    }
    EXPECT_FALSE(find(std::string(1 << 20, 'c'), view));
    EXPECT_FALSE(find(std::string_view("cpu/online\0", 11), view));
    EXPECT_FALSE(find(std::string_view("cpu/cpu3\0/online", 16), view));
}

TEST(Tree, IsNeverWithoutACpu) {
    EXPECT_EQ(render("cpu/online", "", View{}), "0\n");
    View view;
    view.host_cpus = parse_cpu_list("4-5");
    EXPECT_EQ(render("cpu/online", "", view), "4-5\n");
    EXPECT_THAT(list("cpu", view), IsSupersetOf({"cpu4", "cpu5"}));
}

} // namespace
} // namespace squish::procfs
