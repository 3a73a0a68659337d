#include "cgroup/limits.h"
#include "cgroup/systemd_properties.h"

#include <gmock/gmock.h>

namespace squish::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const BlockDevice kDisk{8, 0, "/dev/sda"};
const BlockDevice kOther{259, 1, "/dev/nvme0n1"};

ResourceSpec whole_spec() {
    ResourceSpec spec;
    spec.memory = 256 << 20;
    spec.swap = 0;
    spec.cpus = 0.5;
    spec.cpuset = "0-1";
    spec.pids = 64;
    spec.io.read_bps = 10 << 20;
    spec.io.write_iops = 100;
    return spec;
}

TEST(Limits, OfASquishfileBecomeTheKernelsFiles) {
    const auto limits = limits_of(whole_spec(), {kDisk});
    ASSERT_TRUE(limits.has_value()) << limits.error().text();
    EXPECT_THAT(to_files(*limits), ElementsAre(FileWrite{"memory.swap.max", "0"}, FileWrite{"memory.max", "268435456"},
                                               FileWrite{"cpu.max", "50000 100000"}, FileWrite{"cpuset.cpus", "0-1"},
                                               FileWrite{"pids.max", "64"},
                                               FileWrite{"io.max", "8:0 rbps=10485760 wbps=max riops=max wiops=100"}));
    EXPECT_EQ(controllers_of(*limits), (ControllerSet{Controller::cpu, Controller::cpuset, Controller::io,
                                                      Controller::memory, Controller::pids}));
}

TEST(Limits, TheFinerOnesAreWrittenToo) {
    ResourceSpec spec;
    spec.memory_high = 1 << 20;
    spec.memory_low = 4096;
    spec.cpus = 1;
    spec.cpu_burst = std::chrono::milliseconds(20);
    spec.cpu_weight = 7;
    spec.hugetlb = {{"2MB", 2 << 20}};
    const auto limits = limits_of(spec, {});
    ASSERT_TRUE(limits.has_value()) << limits.error().text();
    EXPECT_THAT(to_files(*limits),
                ElementsAre(FileWrite{"memory.low", "4096"}, FileWrite{"memory.high", "1048576"},
                            FileWrite{"cpu.max", "100000 100000"}, FileWrite{"cpu.max.burst", "20000"},
                            FileWrite{"cpu.weight", "7"}, FileWrite{"hugetlb.2MB.max", "2097152"}));
}

TEST(Limits, NoneMeansNothingIsWritten) {
    const auto limits = limits_of({}, {});
    ASSERT_TRUE(limits.has_value());
    EXPECT_FALSE(limits->any());
    EXPECT_THAT(to_files(*limits), IsEmpty());
    EXPECT_THAT(to_properties(*limits), IsEmpty());
    EXPECT_TRUE(controllers_of(*limits).empty());
}

TEST(Limits, OfIoNeedADevice) {
    const auto limits = limits_of(whole_spec(), {});
    ASSERT_FALSE(limits.has_value());
    EXPECT_EQ(limits.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(limits.error().message, HasSubstr("no block device"));
}

TEST(Limits, TheSmallestCpuShareIsTheKernelsSmallestQuota) {
    ResourceSpec spec;
    spec.cpus = 0.01;
    EXPECT_EQ(limits_of(spec, {})->cpu->quota, 1000U);
    spec.cpus = 0.001;
    EXPECT_FALSE(limits_of(spec, {}).has_value());
}

TEST(Limits, AChangeWritesOnlyWhatChanges) {
    Limits from, to;
    from.memory_max = to.memory_max = 1 << 20;
    from.pids = 10;
    to.pids = 20;
    EXPECT_THAT(to_files(to, from), ElementsAre(FileWrite{"pids.max", "20"}));
    EXPECT_THAT(to_properties(to, from), ElementsAre(Property{"TasksMax", std::uint64_t{21}}));
}

TEST(Limits, WhatIsTakenBackIsSetToTheKernelsDefault) {
    Limits from;
    from.memory_max = 1 << 20;
    from.memory_low = 4096;
    from.cpu = CpuQuota{50'000, 100'000, 0};
    from.cpu_weight = 50;
    from.cpuset = "1";
    from.io = {{kDisk, {.read_bps = 1000, .write_bps = {}, .read_iops = {}, .write_iops = {}}}};
    from.hugetlb["2MB"] = 4 << 20;
    EXPECT_THAT(to_files({}, from), ElementsAre(FileWrite{"memory.low", "0"}, FileWrite{"memory.max", "max"},
                                                FileWrite{"cpu.max", "max 100000"}, FileWrite{"cpu.weight", "100"},
                                                FileWrite{"cpuset.cpus", "\n"},
                                                FileWrite{"io.max", "8:0 rbps=max wbps=max riops=max wiops=max"},
                                                FileWrite{"hugetlb.2MB.max", "max"}));
}

// kernel/sched/core.c: tg_set_cfs_bandwidth() refuses a quota below the burst in force.
TEST(Limits, ABurstIsTakenBackBeforeAQuotaBelowIt) {
    Limits from, to;
    from.cpu = CpuQuota{50'000, 100'000, 40'000};
    to.cpu = CpuQuota{20'000, 100'000, 10'000};
    EXPECT_THAT(to_files(to, from), ElementsAre(FileWrite{"cpu.max.burst", "0"}, FileWrite{"cpu.max", "20000 100000"},
                                                FileWrite{"cpu.max.burst", "10000"}));
    EXPECT_THAT(to_files(from, to),
                ElementsAre(FileWrite{"cpu.max", "50000 100000"}, FileWrite{"cpu.max.burst", "40000"}));
    to.cpu->burst = 0;
    EXPECT_THAT(to_files(to, from), ElementsAre(FileWrite{"cpu.max.burst", "0"}, FileWrite{"cpu.max", "20000 100000"}));
    EXPECT_THAT(to_files({}, from), ElementsAre(FileWrite{"cpu.max.burst", "0"}, FileWrite{"cpu.max", "max 100000"}));
    to.cpu->quota = 60'000;
    EXPECT_THAT(to_files(to, from), ElementsAre(FileWrite{"cpu.max", "60000 100000"}, FileWrite{"cpu.max.burst", "0"}));
}

TEST(Limits, ContradictionsAreNamed) {
    Limits limits;
    limits.memory_max = 1000;
    limits.memory_high = 2000;
    EXPECT_THAT(check(limits).error().message, HasSubstr("memory_high must not be above memory"));
    limits = {};
    limits.cpu = CpuQuota{50'000, 100'000, 60'000};
    EXPECT_THAT(check(limits).error().message, HasSubstr("cpu_burst"));
    limits = {};
    limits.cpu_weight = 10'001;
    EXPECT_FALSE(check(limits).has_value());
    limits = {};
    limits.cpuset = "0\nmax";
    EXPECT_THAT(check(limits).error().message, HasSubstr("\\x0a"));
    limits = {};
    limits.pids = 0;
    EXPECT_FALSE(check(limits).has_value());
}

TEST(CpuList, IsReadAsTheKernelWritesIt) {
    EXPECT_THAT(parse_cpu_list("0-2,7\n").value(), ElementsAre(0, 1, 2, 7));
    EXPECT_THAT(parse_cpu_list("3,1,1-2").value(), ElementsAre(1, 2, 3));
    for (const auto* wrong : {"", "a", "2-1", "1-2-3", "8192", "-1", "1,,2"})
        EXPECT_FALSE(parse_cpu_list(wrong).has_value()) << wrong;
}

TEST(CpuList, ProcessorsThatAreNotThereAreRefused) {
    EXPECT_TRUE(check_cpuset("0-1", "0-3\n").has_value());
    const auto refused = check_cpuset("1,4", "0-3\n");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(refused.error().text(), HasSubstr("names processor 4"));
    EXPECT_THAT(refused.error().text(), HasSubstr("there are 0-3"));
}

TEST(SystemdProperties, SayTheSameAsTheFiles) {
    const auto limits = limits_of(whole_spec(), {kDisk, kOther});
    EXPECT_THAT(
        to_properties(*limits),
        ElementsAre(
            Property{"MemorySwapMax", std::uint64_t{0}}, Property{"MemoryMax", std::uint64_t{256 << 20}},
            Property{"CPUQuotaPerSecUSec", std::uint64_t{500'000}},
            Property{"CPUQuotaPeriodUSec", std::uint64_t{100'000}},
            Property{"AllowedCPUs", std::vector<std::uint8_t>{3}}, Property{"TasksMax", std::uint64_t{65}},
            Property{"IOReadBandwidthMax", Property::Devices{{"/dev/sda", 10 << 20}, {"/dev/nvme0n1", 10 << 20}}},
            Property{"IOWriteIOPSMax", Property::Devices{{"/dev/sda", 100}, {"/dev/nvme0n1", 100}}}));
}

TEST(SystemdProperties, ProcessorsAreBitsTheLowestFirst) {
    Limits limits;
    limits.cpuset = "1,9";
    EXPECT_THAT(to_properties(limits), ElementsAre(Property{"AllowedCPUs", std::vector<std::uint8_t>{2, 2}}));
    EXPECT_THAT(to_properties({}, limits), ElementsAre(Property{"AllowedCPUs", std::vector<std::uint8_t>{}}));
}

TEST(SystemdProperties, ADeviceThatIsNotLimitedAnyMoreIsNamed) {
    Limits from, to;
    from.io = {{kDisk, {.read_bps = 1000, .write_bps = {}, .read_iops = {}, .write_iops = {}}}};
    to.io = {{kOther, {.read_bps = 500, .write_bps = {}, .read_iops = {}, .write_iops = {}}}};
    EXPECT_THAT(
        to_properties(to, from),
        ElementsAre(Property{"IOReadBandwidthMax", Property::Devices{{"/dev/nvme0n1", 500}, {"/dev/sda", kInfinity}}}));
}

TEST(SystemdProperties, WhatSystemdDoesNotManageIsKnown) {
    Limits limits;
    limits.memory_max = 1 << 20;
    EXPECT_THAT(unknown_to_systemd(limits), IsEmpty());
    limits.hugetlb["2MB"] = 0;
    EXPECT_THAT(unknown_to_systemd(limits), ElementsAre(Need{"hugetlb", Controller::hugetlb}));
}

} // namespace
} // namespace squish::cgroup
