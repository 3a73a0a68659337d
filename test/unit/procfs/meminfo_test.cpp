#include "samples.h"

#include <gmock/gmock.h>

namespace squish::procfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint64_t kMega = 1 << 20;
constexpr const char* kHost = "MemTotal:        8000000 kB\nMemFree:         3000000 kB\nMemAvailable:    5000000 kB\n"
                              "Buffers:          100000 kB\nCached:          2000000 kB\nSwapTotal:       1000000 kB\n"
                              "SwapFree:         900000 kB\nMemNew:           777777 kB\nHugePages_Total:       3\n"
                              "Hugepagesize:       2048 kB\nDirectMap4k:      123456 kB\n";

TEST(Meminfo, ShowsTheLimitAndWhatIsLeftOfIt) {
    const auto shown = figures(meminfo(kHost, limited_view(CpuSet(3))));
    EXPECT_EQ(shown.at("MemTotal"), 262144U);
    EXPECT_EQ(shown.at("MemFree"), 262144U - 51201); // 50 MiB and one byte of another
    EXPECT_EQ(shown.at("MemAvailable"), 262144U - 51201 + 19 * 1024 + 2048);
    EXPECT_EQ(shown.at("Cached"), 20480U);
    EXPECT_EQ(shown.at("Buffers"), 0U);
    EXPECT_EQ(shown.at("SwapTotal"), 65536U);
    EXPECT_EQ(shown.at("SwapFree"), 65536U - 3072);
}

TEST(Meminfo, HasTheHostsLinesInTheHostsOrderAndNoneOfItsFigures) {
    const auto text = meminfo(kHost, limited_view(CpuSet(3)));
    std::vector<std::string> names;
    for (const auto& line : lines_with(text, ""))
        names.push_back(line.substr(0, line.find(':')));
    EXPECT_THAT(names, ElementsAre("MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapTotal", "SwapFree",
                                   "MemNew", "HugePages_Total", "Hugepagesize", "DirectMap4k"));
    EXPECT_THAT(text, HasSubstr("\nMemNew:                0 kB\nHugePages_Total:       0\nHugepagesize:       2048 kB\n"
                                "DirectMap4k:           0 kB\n"));
}

TEST(Meminfo, ShowsTheHostsTotalWithoutALimit) {
    const auto shown = figures(meminfo(kHost, unlimited_view(CpuSet(3))));
    EXPECT_EQ(shown.at("MemTotal"), 8000000U);
    EXPECT_EQ(shown.at("MemFree"), 8000000U - 51201);
    EXPECT_EQ(shown.at("SwapTotal"), 1000000U);
    EXPECT_EQ(shown.at("SwapFree"), 1000000U - 3072);
}

TEST(Meminfo, ShowsNoMoreThanTheHostHas) {
    auto view = limited_view(CpuSet(3));
    view.own.limits.memory = ~std::uint64_t{0};
    view.own.limits.swap = ~std::uint64_t{0};
    const auto shown = figures(meminfo(kHost, view));
    EXPECT_EQ(shown.at("MemTotal"), 8000000U);
    EXPECT_EQ(shown.at("SwapTotal"), 1000000U);
}

TEST(Meminfo, ShowsNoSwapWhereNoneMayBeUsed) {
    auto view = limited_view(CpuSet(3));
    view.own.limits.swap = 0;
    const auto shown = figures(meminfo(kHost, view));
    EXPECT_EQ(shown.at("SwapTotal"), 0U);
    EXPECT_EQ(shown.at("SwapFree"), 0U);
}

TEST(Meminfo, IsTheHostsTextWhereNothingIsKnown) {
    EXPECT_EQ(meminfo(kHost, plain_view(CpuSet(3))), kHost);
}

TEST(Meminfo, IsWholeWhateverTheHostsIs) {
    const std::string cut = std::string(kHost).substr(0, 100);
    for (const auto* const host : {"", "\n\n\n", "MemTotal", "garbage: x kB\n", cut.c_str()}) {
        for (const auto& [name, make] : kViews) {
            const auto shown = figures(meminfo(host, make(CpuSet(3))));
            for (const auto* const line : {"MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapTotal",
                                           "SwapFree", "Active", "Inactive", "Shmem", "Slab", "SReclaimable"})
                EXPECT_TRUE(shown.contains(line)) << name << ": " << line << " of " << host;
            EXPECT_LE(shown.at("MemAvailable"), shown.at("MemTotal"));
        }
        EXPECT_EQ(figures(meminfo(host, limited_view(CpuSet(3)))).at("MemTotal"), 262144U);
    }
    EXPECT_EQ(figures(meminfo(cut, plain_view(CpuSet(3)))).at("MemTotal"), 8000000U);
}

TEST(Meminfo, LeavesOutWhatIsNoLine) {
    const auto host = std::string(kHost) + "MemBroken\n: 12 kB\nMem Two: 12 kB\nMemMega: 12 MB\nMemWord: x kB\n";
    for (const auto& [name, make] : kViews)
        EXPECT_THAT(meminfo(host, make(CpuSet(3))), Not(testing::AnyOf(HasSubstr("Broken"), HasSubstr("Mem Two"),
                                                                       HasSubstr("MemMega"), HasSubstr("MemWord"))));
}

TEST(Meminfo, IsWrittenAsTheKernelWritesIt) {
    // As wide as the line that was read, whatever the value.
    for (const auto& sample : samples()) {
        auto view = unlimited_view(sample.cpus());
        view.own.usage = {};
        const auto before = lines_with(sample.text("/proc/meminfo"), "");
        const auto after = lines_with(meminfo(sample.text("/proc/meminfo"), view), "");
        ASSERT_EQ(before.size(), after.size());
        for (std::size_t i = 0; i < before.size(); ++i) {
            if (before[i].size() > std::string_view("MemTotal:       12345678 kB").size())
                continue; // a number that is wider than its column
            EXPECT_EQ(before[i].size(), after[i].size()) << before[i] << "\n" << after[i];
        }
    }
}

TEST(Meminfo, NoPartIsLargerThanTheWhole) {
    auto view = limited_view(CpuSet(3));
    auto& usage = view.own.usage;
    usage.memory = 10 * kMega; // read a moment before the others
    usage.file = usage.shmem = usage.slab_reclaimable = usage.inactive_file = usage.anon = 11 * kMega;
    const auto shown = figures(meminfo("", view));
    EXPECT_EQ(shown.at("Cached"), 10240U);
    EXPECT_EQ(shown.at("SReclaimable"), 0U);
    EXPECT_EQ(shown.at("AnonPages"), 10240U);
    EXPECT_EQ(shown.at("MemAvailable"), 262144U);
}

TEST(NodeMeminfo, SaysWhatMeminfoSays) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto view = make(sample.cpus());
            const auto host = sample.text("/proc/meminfo");
            const auto shown = figures(meminfo(host, view));
            std::map<std::string, std::uint64_t> node;
            for (const auto& line : lines_with(render("node/node0/meminfo", host, view), ""))
                node.merge(figures(line.substr(std::string("Node 0 ").size())));
            EXPECT_EQ(node.at("MemTotal"), shown.at("MemTotal"));
            EXPECT_EQ(node.at("MemFree"), shown.at("MemFree"));
            EXPECT_EQ(node.at("MemUsed") + node.at("MemFree"), node.at("MemTotal"));
            EXPECT_EQ(node.at("FilePages"), shown.at("Cached") + shown.at("Buffers") + shown.at("SwapCached"));
            for (const auto& [line, value] : node) {
                if (line == "MemUsed" || line == "FilePages")
                    continue; // made of others
                EXPECT_EQ(value, shown.at(line)) << line;
            }
        }
    }
}

TEST(NodeMeminfo, IsWrittenAsTheKernelWritesIt) {
    const auto text = render("node/node0/meminfo", kHost, limited_view(CpuSet(3)));
    EXPECT_THAT(text, testing::StartsWith("Node 0 MemTotal:         262144 kB\nNode 0 MemFree:          210943 kB\n"
                                          "Node 0 MemUsed:           51201 kB\n"));
    EXPECT_THAT(text, HasSubstr("\nNode 0 HugePages_Total:     0\n"));
}

TEST(Vmstat, CountsPages) {
    const auto shown = figures(vmstat("nr_free_pages 999\nnr_anon_pages 1\nnr_kernel_stack 1\npgfault 5\npgmajfault 5\n"
                                      "pgpgin 77\nnr_news 8\n",
                                      limited_view(CpuSet(3))));
    EXPECT_EQ(shown.at("nr_free_pages"), (262144U - 51201) / 4);
    EXPECT_EQ(shown.at("nr_anon_pages"), 22U * 256);
    EXPECT_EQ(shown.at("nr_kernel_stack"), 80U); // kB
    EXPECT_EQ(shown.at("pgfault"), 12345U);
    EXPECT_EQ(shown.at("pgmajfault"), 67U);
    EXPECT_EQ(shown.at("pgpgin"), 0U);
    EXPECT_EQ(shown.at("nr_news"), 0U);
}

TEST(Vmstat, CountsThePagesOfThisMachine) {
    auto view = limited_view(CpuSet(3));
    view.page_size = 65536;
    EXPECT_EQ(vmstat("nr_anon_pages 1\n", view), "nr_anon_pages 352\n");
}

TEST(Vmstat, SaysWhatIsFreeOfTheHostWithoutALimit) {
    auto view = unlimited_view(CpuSet(3));
    EXPECT_EQ(vmstat("nr_free_pages 999\n", view), "nr_free_pages 999\n");
    view.host_memory = 100 * kMega;
    EXPECT_EQ(vmstat("nr_free_pages 999\n", view), "nr_free_pages 12799\n");
}

TEST(Vmstat, HasWhatProgramsLookForWhateverTheHostsIs) {
    for (const auto& [name, make] : kViews)
        for (const auto* const line : {"nr_free_pages", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault"})
            EXPECT_TRUE(figures(vmstat("nonsense\n\n", make(CpuSet(3)))).contains(line));
}

TEST(Swaps, NamesNoneOfTheHostsDisks) {
    const std::string header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    const auto host = header + "/dev/nvme0n1p3                          partition\t999420\t\t20992\t\t-2\n" +
                      "/swap\\040file\\040(deleted)                file\t\t1000\t\t8\t\t-3\n";
    EXPECT_EQ(swaps(host, plain_view(CpuSet(3))),
              header + "none                                    virtual\t\t1000420\t\t21000\t\t-2\n");
    EXPECT_EQ(swaps(host, limited_view(CpuSet(3))),
              header + "none                                    virtual\t\t65536\t\t3072\t\t-2\n");
    EXPECT_EQ(swaps(header, limited_view(CpuSet(3))), header);
    EXPECT_EQ(swaps("", plain_view(CpuSet(3))), header);
}

TEST(Swaps, AreOfTheSizeThatMeminfoSays) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto view = make(sample.cpus());
            const auto lines = lines_with(swaps(sample.text("/proc/swaps"), view), "none ");
            const auto shown = figures(meminfo(sample.text("/proc/meminfo"), view));
            if (shown.at("SwapTotal") == 0) {
                EXPECT_THAT(lines, IsEmpty());
                continue;
            }
            ASSERT_EQ(lines.size(), 1U);
            std::istringstream words(lines[0]);
            std::string file, type;
            std::uint64_t size = 0, used = 0;
            words >> file >> type >> size >> used;
            EXPECT_EQ(size, shown.at("SwapTotal")) << sample.name;
            EXPECT_EQ(size - used, shown.at("SwapFree")) << sample.name;
        }
    }
}

} // namespace
} // namespace squish::procfs
