#include "limits/settings.h"

#include <chrono>
#include <gmock/gmock.h>

namespace squish::limits {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<Device> kDisks{{8, 0, "/dev/sda"}, {259, 0, "/dev/nvme0n1"}};

// "memory.max=4096 …", in order.
std::vector<std::string> written(const ResourceSpec& wanted, const ResourceSpec& before = {}) {
    const auto settings = settings_of(wanted, before, kDisks);
    if (!settings)
        return {settings.error().text()};
    std::vector<std::string> out;
    for (const auto& setting : *settings)
        out.push_back(setting.file + "=" + setting.value);
    return out;
}

std::string refused(const ResourceSpec& wanted) {
    const auto checked = check(wanted);
    if (checked)
        return "accepted";
    EXPECT_EQ(checked.error().kind, ErrorKind::invalid);
    return checked.error().message;
}

TEST(Settings, NothingIsWrittenWhereNothingIsAskedFor) {
    EXPECT_THAT(written({}), IsEmpty());
    EXPECT_THAT(controllers_of({}), IsEmpty());
}

TEST(Settings, MemoryIsRoundedDownToPages) {
    ResourceSpec wanted;
    wanted.memory = 1'000'000;
    wanted.swap = 4097;
    EXPECT_THAT(written(wanted), ElementsAre("memory.max=999424", "memory.swap.max=4096"));
}

TEST(Settings, MemoryAloneLimitsSwapAsMuchWhereThereIsSwap) {
    ResourceSpec wanted;
    wanted.memory = 64 << 20;
    const auto settings = settings_of(wanted, {}, {});
    ASSERT_TRUE(settings);
    ASSERT_EQ(settings->size(), 2U);
    EXPECT_EQ((*settings)[0], (Setting{Controller::memory, "memory.max", "67108864", "memory"}));
    EXPECT_EQ((*settings)[1], (Setting{Controller::memory, "memory.swap.max", "67108864", "swap", true}));
}

TEST(Settings, SwapThatWasAskedForMustBeThere) {
    ResourceSpec wanted;
    wanted.swap = 0;
    const auto settings = settings_of(wanted, {}, {});
    ASSERT_TRUE(settings);
    EXPECT_THAT(*settings, ElementsAre(Setting{Controller::memory, "memory.swap.max", "0", "swap"}));
}

TEST(Settings, ThresholdsOfMemory) {
    ResourceSpec wanted;
    wanted.memory_high = 8 << 20;
    wanted.memory_low = 4 << 20;
    EXPECT_THAT(written(wanted), ElementsAre("memory.low=4194304", "memory.high=8388608"));
    EXPECT_THAT(written({}, wanted), ElementsAre("memory.low=0", "memory.high=max"));
}

TEST(Settings, CpusAreAQuotaOfThePeriod) {
    ResourceSpec wanted;
    wanted.cpus = 0.5;
    EXPECT_THAT(written(wanted), ElementsAre("cpu.max=50000 100000"));
    wanted.cpu_period = 20ms;
    EXPECT_THAT(written(wanted), ElementsAre("cpu.max=10000 20000"));
    EXPECT_THAT(written({}, wanted), ElementsAre("cpu.max=max 100000"));
    wanted.cpus.reset();
    EXPECT_THAT(written(wanted), ElementsAre("cpu.max=max 20000"));
}

// The kernel refuses a quota below the burst, and a burst above the quota.
TEST(Settings, ABurstIsLiftedBeforeTheQuotaChangesAndSetAfterIt) {
    ResourceSpec before, wanted;
    before.cpus = 2;
    before.cpu_burst = 150ms;
    wanted.cpus = 0.5;
    wanted.cpu_burst = 30ms;
    wanted.cpu_weight = 50;
    EXPECT_THAT(written(wanted, before),
                ElementsAre("cpu.max.burst=0", "cpu.max=50000 100000", "cpu.max.burst=30000", "cpu.weight=50"));
    EXPECT_THAT(written({}, wanted), ElementsAre("cpu.max.burst=0", "cpu.max=max 100000", "cpu.weight=100"));
}

TEST(Settings, CpusetAndPids) {
    ResourceSpec wanted;
    wanted.cpuset = "0-1,3";
    wanted.pids = 10;
    EXPECT_THAT(written(wanted), ElementsAre("cpuset.cpus=0-1,3", "pids.max=10"));
    EXPECT_THAT(written({}, wanted), ElementsAre("cpuset.cpus=", "pids.max=max"));
}

TEST(Settings, IoWithoutADeviceMeansEachDisk) {
    ResourceSpec wanted;
    wanted.io = {{"", 1 << 20, {}, {}, 100}};
    EXPECT_THAT(written(wanted), ElementsAre("io.max=8:0 rbps=1048576 wbps=max riops=max wiops=100",
                                             "io.max=259:0 rbps=1048576 wbps=max riops=max wiops=100"));
}

TEST(Settings, AnEntryWithADeviceStandsForAllThatIsSaidOfIt) {
    ResourceSpec wanted;
    wanted.io = {{"/dev/sda", {}, 4096, {}, {}}, {"", 1 << 20, {}, {}, {}}};
    EXPECT_THAT(written(wanted), ElementsAre("io.max=8:0 rbps=max wbps=4096 riops=max wiops=max",
                                             "io.max=259:0 rbps=1048576 wbps=max riops=max wiops=max"));
}

TEST(Settings, ADeviceThatIsNoLongerNamedIsNoLongerLimited) {
    ResourceSpec before, wanted;
    before.io = {{"", 1 << 20, {}, {}, {}}};
    wanted.io = {{"/dev/nvme0n1", {}, {}, 5, {}}};
    EXPECT_THAT(written(wanted, before), ElementsAre("io.max=8:0 rbps=max wbps=max riops=max wiops=max",
                                                     "io.max=259:0 rbps=max wbps=max riops=5 wiops=max"));
}

TEST(Settings, ADeviceThatWasTakenOutMeanwhileIsNoError) {
    ResourceSpec before, wanted;
    before.io = {{"/dev/squish-no-such-disk", 1, {}, {}, {}}};
    wanted.pids = 1;
    EXPECT_THAT(written(wanted, before), ElementsAre("pids.max=1"));
}

TEST(Settings, WhatIsNoBlockDeviceIsRefusedByItsName) {
    const auto device = find_device("/dev/null");
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().kind, ErrorKind::invalid);
    EXPECT_EQ(device.error().message, "[resources] io: '/dev/null' is no block device");
    EXPECT_EQ(find_device("/dev/squish-none").error().message,
              "[resources] io: '/dev/squish-none': No such file or directory");
}

TEST(Settings, IoOnAMachineWithoutDisksIsRefused) {
    ResourceSpec wanted;
    wanted.io = {{"", 1, {}, {}, {}}};
    const auto settings = settings_of(wanted, {}, {});
    ASSERT_FALSE(settings);
    EXPECT_EQ(settings.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(settings.error().remedy, HasSubstr("device ="));
}

TEST(Settings, TheMachinesDisksAreNoMemoryAndNoFiles) {
    for (const auto& disk : machine_disks()) {
        EXPECT_THAT(disk.path, ::testing::StartsWith("/dev/"));
        EXPECT_THAT(disk.path, Not(HasSubstr("loop")));
        EXPECT_THAT(disk.path, Not(HasSubstr("ram")));
    }
}

TEST(Settings, HugePagesByTheKernelsNamesOfTheirSizes) {
    ResourceSpec before, wanted;
    before.hugetlb = {{1U << 30, 1U << 30}, {64U << 10, 1U << 20}};
    wanted.hugetlb = {{2U << 20, (64U << 20) + 5}};
    EXPECT_THAT(written(wanted, before),
                ElementsAre("hugetlb.64KB.max=max", "hugetlb.2MB.max=67108864", "hugetlb.1GB.max=max"));
}

TEST(Settings, ControllersAreThoseOfTheKeysThatAreSet) {
    ResourceSpec wanted;
    wanted.swap = 1;
    wanted.memory = 4096;
    wanted.cpu_weight = 3;
    wanted.hugetlb = {{2U << 20, 0}};
    EXPECT_THAT(controllers_of(wanted), ElementsAre(Controller::cpu, Controller::memory, Controller::hugetlb));
    EXPECT_EQ(keys_of(wanted, Controller::memory), "memory, swap");
    EXPECT_EQ(keys_of(wanted, Controller::io), "");
}

TEST(Settings, ControllersAreReadAndUnknownOnesLeftOut) {
    EXPECT_THAT(parse_controllers("cpuset cpu io memory hugetlb pids rdma misc\n"),
                ElementsAre(Controller::cpu, Controller::cpuset, Controller::io, Controller::memory, Controller::pids,
                            Controller::hugetlb));
    EXPECT_THAT(parse_controllers(""), IsEmpty());
    EXPECT_THAT(parse_controllers("cpux  memory.max"), IsEmpty());
}

TEST(Check, SaysWhatTheKernelWouldAnswerWithEinval) {
    ResourceSpec wanted;
    wanted.memory = 100;
    EXPECT_THAT(refused(wanted), HasSubstr("[resources] memory: less than a page"));
    wanted.memory = 1 << 20;
    wanted.memory_high = 2 << 20;
    EXPECT_THAT(refused(wanted), HasSubstr("[resources] memory_high:"));
    wanted.memory_high.reset();
    wanted.memory_low = 2 << 20;
    EXPECT_THAT(refused(wanted), HasSubstr("[resources] memory_low:"));
    wanted = {};
    wanted.cpu_period = 999us;
    EXPECT_THAT(refused(wanted), HasSubstr("cpu_period: must be between 1ms and 1s"));
    wanted.cpu_period = 10ms;
    wanted.cpus = 0.05;
    EXPECT_THAT(refused(wanted), HasSubstr("cpus: 0.05 of a cpu_period of 10000 µs is less than 1ms"));
    wanted.cpus = 0.1;
    EXPECT_EQ(refused(wanted), "accepted");
    wanted.cpu_burst = 2ms;
    EXPECT_THAT(refused(wanted), HasSubstr("cpu_burst: is more than cpus × cpu_period (1000 µs)"));
    wanted.cpus.reset();
    EXPECT_THAT(refused(wanted), HasSubstr("cpu_burst: needs cpus"));
    wanted = {};
    wanted.cpu_weight = 0;
    EXPECT_THAT(refused(wanted), HasSubstr("cpu_weight: must be between 1 and 10000"));
    wanted = {};
    wanted.cpuset = "1-0";
    EXPECT_THAT(refused(wanted), HasSubstr("cpuset: must be a list of processors"));
    wanted = {};
    wanted.pids = 0;
    EXPECT_THAT(refused(wanted), HasSubstr("pids: must be at least 1"));
    wanted = {};
    wanted.hugetlb = {{3U << 20, 0}};
    EXPECT_THAT(refused(wanted), HasSubstr("hugetlb: a page size is a power of two"));
}

TEST(CpuList, IsABitForEachProcessor) {
    EXPECT_EQ(parse_cpu_list("0-1,3"), (std::vector<std::uint8_t>{0b1011}));
    EXPECT_EQ(parse_cpu_list("8,15"), (std::vector<std::uint8_t>{0, 0b10000001}));
    for (const auto* wrong : {"", "a", "1-", "-1", "2-1", "8192", "0,,1", "0 1"})
        EXPECT_EQ(parse_cpu_list(wrong), std::nullopt) << wrong;
}

TEST(CpuList, TheKernelTakesTheParentsWhereNoneOfThoseAskedForIsThere) {
    EXPECT_TRUE(covers("0-3", "0-1"));
    EXPECT_TRUE(covers("1", "1"));
    EXPECT_FALSE(covers("5", "0-1"));
    EXPECT_FALSE(covers("0", "0,9"));
    EXPECT_FALSE(covers("0", ""));
}

} // namespace
} // namespace squish::limits
