// What holds for every container, whatever its limits and whatever its counters say.
#include "procfs/cpu_folder.h"
#include "procfs/cpuinfo.h"
#include "procfs/meminfo.h"
#include "procfs/pressure.h"
#include "procfs/stat.h"
#include "procfs/swaps.h"
#include "procfs/sysinfo.h"
#include "procfs/version.h"
#include "procfs/vmstat.h"
#include "views.h"

#include <fstream>
#include <gmock/gmock.h>
#include <random>

namespace squish::procfs::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kRounds = 60;

const std::string& host_text(const std::string& name) {
    static std::map<std::string, std::string> texts;
    auto& text = texts[name];
    if (text.empty()) {
        std::ifstream in(SQUISH_GOLDEN "/linux-6.1-debian/" + name, std::ios::binary);
        text = {std::istreambuf_iterator<char>(in), {}};
    }
    return text;
}

class Random {
public:
    std::uint64_t below(std::uint64_t limit) {
        return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(bits_);
    }
    bool coin() { return below(2) == 0; }
    // Up to 2 GB, often 0, sometimes absurd.
    std::uint64_t bytes() {
        const auto kind = below(10);
        if (kind == 0)
            return 0;
        return kind == 1 ? ~std::uint64_t{0} - below(4096) : below(2048 * kMb);
    }

private:
    std::mt19937_64 bits_{20261122};
};

Usage any_usage(Random& random) {
    Usage usage;
    auto& memory = usage.memory;
    for (auto* const part : {&memory.current,
                             &memory.anon,
                             &memory.cache,
                             &memory.shmem,
                             &memory.mapped,
                             &memory.dirty,
                             &memory.writeback,
                             &memory.active_anon,
                             &memory.inactive_anon,
                             &memory.active_file,
                             &memory.inactive_file,
                             &memory.unevictable,
                             &memory.slab_reclaimable,
                             &memory.slab_unreclaimable,
                             &memory.kernel_stack,
                             &memory.page_tables,
                             &memory.percpu,
                             &memory.anon_huge,
                             &memory.shmem_huge,
                             &memory.file_huge,
                             &memory.swap})
        *part = random.bytes();
    usage.uptime_us = random.below(1'000'000'000'000);
    usage.tasks = {.all = random.below(100000),
                   .running = random.below(100),
                   .blocked = random.below(10),
                   .forks = random.below(1000),
                   .switches = random.below(1000),
                   .last_pid = random.below(1000)};
    for (auto& load : usage.load.fixed)
        load = random.below(200 * kLoadOne);
    return usage;
}

Limits any_limits(Random& random) {
    Limits limits;
    if (random.below(5) != 0)
        limits.memory = random.below(20'000) * kMb;
    if (random.coin())
        limits.swap = random.below(8'000) * kMb;
    if (random.coin())
        limits.milli_cpus = random.below(10'000);
    if (random.coin()) {
        limits.cpuset.emplace();
        for (std::uint32_t cpu = 0; cpu < 8; ++cpu)
            if (random.coin())
                limits.cpuset->push_back(cpu);
    }
    return limits;
}

struct Case {
    Limits limits;
    View view;
};
Case any_case(Random& random) {
    static const auto host = read_host(host_text("meminfo"), host_text("online"));
    const auto limits = any_limits(random);
    return {.limits = limits, .view = make_view(limits, any_usage(random), host)};
}

TEST(ProcfsProperties, MemoryAddsUp) {
    Random random;
    const auto& host = host_text("meminfo");
    for (int i = 0; i < kRounds; ++i) {
        const auto each = any_case(random);
        auto file = keys_of(meminfo(host, each.view));
        ASSERT_EQ(file.size(), keys_of(host).size()) << "no line is lost or made up";
        ASSERT_LE(file["MemAvailable"], file["MemTotal"]);
        ASSERT_LE(file["SwapFree"], file["SwapTotal"]);
        ASSERT_GT(file["MemTotal"], 0U);
        if (!each.limits.memory) {
            ASSERT_EQ(file["MemFree"], keys_of(host)["MemFree"]);
            continue;
        }
        const auto total = std::min<std::uint64_t>(*each.limits.memory / 1024, 16303428);
        ASSERT_EQ(file["MemTotal"], std::max<std::uint64_t>(total, 1));
        const auto known = file["AnonPages"] + file["Cached"] + file["Buffers"] + file["Slab"] + file["KernelStack"] +
                           file["PageTables"] + file["Percpu"];
        ASSERT_LE(file["MemFree"] + known, file["MemTotal"]) << "free and used overlap";
        ASSERT_GE(file["MemAvailable"], file["MemFree"]);
        ASSERT_LE(file["Shmem"], file["Cached"]);
        ASSERT_LE(file["Mapped"], file["Cached"]);
        ASSERT_LE(file["Active(anon)"] + file["Inactive(anon)"], file["AnonPages"] + file["Shmem"]);
        ASSERT_LE(file["Active(file)"] + file["Inactive(file)"], file["Cached"] - file["Shmem"]);
        ASSERT_EQ(file["Active"], file["Active(anon)"] + file["Active(file)"]);
        ASSERT_EQ(file["Inactive"], file["Inactive(anon)"] + file["Inactive(file)"]);
        ASSERT_LE(file["Active"] + file["Inactive"] + file["Unevictable"], file["AnonPages"] + file["Cached"]);
        ASSERT_EQ(file["Slab"], file["SReclaimable"] + file["SUnreclaim"]);
        ASSERT_EQ(file["DirectMap1G"] + file["HugePages_Total"] + file["VmallocUsed"], 0U) << "the host's";
    }
}

TEST(ProcfsProperties, NodeSwapsAndSysinfoAgreeWithMeminfo) {
    Random random;
    for (int i = 0; i < kRounds; ++i) {
        const auto each = any_case(random);
        const auto rendered = meminfo(host_text("meminfo"), each.view);
        auto file = keys_of(rendered);
        auto node = keys_of(node_meminfo(host_text("node0/meminfo"), rendered));
        for (const auto& [key, number] : node) {
            if (key == "MemUsed")
                ASSERT_EQ(number, file["MemTotal"] - file["MemFree"]);
            else if (key == "FilePages")
                ASSERT_EQ(number, file["Cached"] + file["Buffers"] + file["SwapCached"]);
            else
                ASSERT_EQ(number, file[key]) << key;
        }
        std::istringstream lines(swaps(host_text("swaps"), each.view));
        std::string header;
        std::getline(lines, header);
        std::string name;
        std::string type;
        std::uint64_t size = 0;
        std::uint64_t used = 0;
        lines >> name >> type >> size >> used;
        ASSERT_EQ(size, file["SwapTotal"]);
        ASSERT_EQ(used, file["SwapTotal"] - file["SwapFree"]);

        struct ::sysinfo host = {};
        host.totalram = 16303428UL * 1024 / 4096;
        host.mem_unit = 4096;
        const auto info = sysinfo_of(host, each.view);
        ASSERT_EQ(info.totalram * info.mem_unit / 1024, file["MemTotal"]);
        if (each.limits.memory) {
            ASSERT_EQ(info.freeram / 1024, file["MemFree"]);
            ASSERT_EQ(info.sharedram / 1024, file["Shmem"]);
            ASSERT_EQ(info.bufferram / 1024, file["Buffers"]);
            ASSERT_EQ(info.totalswap / 1024, file["SwapTotal"]);
            ASSERT_EQ(info.freeswap / 1024, file["SwapFree"]);
        }
        ASSERT_EQ(std::to_string(info.uptime), uptime(each.view).substr(0, uptime(each.view).find('.')));
    }
}

std::size_t count(const std::string& text, const std::string& start) {
    std::size_t found = 0;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        found += line.starts_with(start) && line.size() > start.size() &&
                 std::isdigit(static_cast<unsigned char>(line[start.size()])) != 0;
    return found;
}

TEST(ProcfsProperties, EveryFileHasAsManyCpus) {
    Random random;
    for (int i = 0; i < kRounds; ++i) {
        const auto each = any_case(random);
        std::uint64_t cpus = 8;
        if (each.limits.cpuset && !each.limits.cpuset->empty())
            cpus = each.limits.cpuset->size();
        if (each.limits.milli_cpus)
            cpus = std::min(cpus, std::max<std::uint64_t>((*each.limits.milli_cpus + 999) / 1000, 1));
        ASSERT_EQ(each.view.cpus.size(), cpus);
        ASSERT_EQ(count(stat(host_text("stat"), each.view), "cpu"), cpus);
        ASSERT_EQ(count(cpuinfo(host_text("cpuinfo"), each.view), "processor\t: "), cpus);
        ASSERT_EQ(parse_cpu_list(cpu_list("0-7\n", each.view)), each.view.cpus);
        ASSERT_EQ(cpu_folder({"cpu0", "cpu1", "cpu2", "cpu3", "cpu4", "cpu5", "cpu6", "cpu7"}, each.view).size(), cpus);
        ASSERT_EQ(cpu_folder({"cpufreq", "cpuidle", "online"}, each.view).size(), 3U);
        ASSERT_EQ(parse_cpu_mask(cpu_mask_within("ff\n", each.view)), each.view.cpus);
        ASSERT_EQ(parse_cpu_mask(cpu_mask("55\n", each.view)), each.view.cpus) << "one node has them all";
        ASSERT_EQ(parse_cpu_list(cpu_list_within("0,2,4,6\n", each.view)),
                  common_cpus(each.view.cpus, CpuSet{0, 2, 4, 6}));
    }
}

TEST(ProcfsProperties, NothingOfTheHostPasses) {
    const auto view =
        make_view(some_limits()["one-cpu-256M"], some_usage(), read_host(host_text("meminfo"), host_text("online")));
    for (const auto& text : {meminfo(host_text("meminfo"), view), stat(host_text("stat"), view),
                             vmstat(host_text("vmstat"), view), swaps(host_text("swaps"), view)})
        for (const auto* const figure : {"16303428", "3999740", "5242880", "40218312", "18234671", "318220",
                                         "1795190000", "712331201", "dm-1", "/srv", "778560", "88231", "401233"})
            EXPECT_THAT(text, Not(HasSubstr(figure)));
    EXPECT_EQ(version("Linux version 6.1.0 (root@secret-name) (gcc 12) #1 SMP\n"),
              "Linux version 6.1.0 (squish@squish) (gcc 12) #1 SMP\n");
}

TEST(ProcfsProperties, WhatIsMalformedIsTheHostsText) {
    const auto view = make_view(some_limits()["one-cpu-256M"], some_usage(), {});
    for (const std::string text : {"", "\n", "MemTotal", "MemTotal:\n", "cpu0", "processor\n", "a b c\n\n\n", "\0x"}) {
        EXPECT_EQ(meminfo(text, view), text);
        EXPECT_EQ(stat(text, view), text) << "no CPU is known here";
        EXPECT_EQ(cpuinfo(text, view), text);
        EXPECT_EQ(version(text), text);
        EXPECT_EQ(cpu_list(text, view), text);
    }
    EXPECT_EQ(cpu_list_within("0-x\n", view), "0-x\n");
    EXPECT_EQ(cpu_mask_within("zz\n", view), "zz\n");
    EXPECT_EQ(vmstat("nonsense\n", view), "nonsense\n");
    EXPECT_EQ(pressure("", {}),
              "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    // One bad line does not spoil the others.
    const auto mixed = meminfo("MemTotal: 16303428 kB\nMemFree garbage\nDirty:  18446744073709551616 kB\n", view);
    EXPECT_EQ(mixed, "MemTotal:   262144 kB\nMemFree garbage\nDirty:  18446744073709551616 kB\n");
}

TEST(Pressure, ReadsWhatItWrites) {
    const auto& host = host_text("pressure/io");
    const auto read = parse_pressure(host);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->some, (PressureLine{.avg10 = 12, .avg60 = 34, .avg300 = 105, .total = 41223312}));
    EXPECT_EQ(pressure(host, *read), host);
    for (const auto* const bad :
         {"", "some\n", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
          "some avg10=0.0 avg60=0.00 avg300=0.00 total=0\n", "some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n"})
        EXPECT_FALSE(parse_pressure(bad)) << bad;
}

} // namespace
} // namespace squish::procfs::testing
