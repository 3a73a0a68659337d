#include "limits/systemd_properties.h"

#include "limits/drivers.h"

#include <gmock/gmock.h>

namespace squish::limits {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<Device> kDisks{{8, 0, "/dev/sda"}, {259, 0, "/dev/nvme0n1"}};

std::vector<Property> properties(const ResourceSpec& wanted, const ResourceSpec& before = {}) {
    auto made = properties_of(wanted, before, kDisks, "0-9");
    EXPECT_TRUE(made.has_value());
    return made ? *std::move(made) : std::vector<Property>();
}

TEST(Properties, OfAllThatAScopeCanLimit) {
    ResourceSpec wanted;
    wanted.memory = 64 << 20;
    wanted.memory_high = 32 << 20;
    wanted.memory_low = 1 << 20;
    wanted.swap = 0;
    wanted.cpus = 1.5;
    wanted.cpu_period = 50ms;
    wanted.cpu_weight = 200;
    wanted.cpuset = "0-1,9";
    wanted.pids = 100;
    EXPECT_THAT(properties(wanted),
                ElementsAre(Property{"MemoryLow", 1UL << 20}, Property{"MemoryHigh", 32UL << 20},
                            Property{"MemoryMax", 64UL << 20}, Property{"MemorySwapMax", 0UL},
                            Property{"CPUQuotaPeriodUSec", 50'000UL}, Property{"CPUQuotaPerSecUSec", 1'500'000UL},
                            Property{"CPUWeight", 200UL}, Property{"AllowedCPUs", std::vector<std::uint8_t>{3, 2}},
                            Property{"TasksMax", 101UL}));
}

TEST(Properties, WhatIsLiftedGoesBackToItsDefault) {
    ResourceSpec before;
    before.memory = 64 << 20;
    before.memory_low = 1 << 20;
    before.cpus = 1;
    before.cpuset = "0";
    before.pids = 5;
    EXPECT_THAT(properties({}, before),
                ElementsAre(Property{"MemoryLow", 0UL}, Property{"MemoryMax", kNoLimit},
                            Property{"MemorySwapMax", kNoLimit}, Property{"CPUQuotaPerSecUSec", kNoLimit},
                            Property{"AllowedCPUs", std::vector<std::uint8_t>{255, 3}},
                            Property{"TasksMax", kNoLimit}));
}

TEST(Properties, DevicesByTheirPaths) {
    ResourceSpec before, wanted;
    before.io = {{"", 1000, {}, {}, 7}};
    wanted.io = {{"/dev/sda", 2000, 3000, {}, {}}};
    EXPECT_THAT(
        properties(wanted, before),
        ElementsAre(Property{"IOReadBandwidthMax", DeviceRates{{"/dev/sda", 2000}, {"/dev/nvme0n1", kNoLimit}}},
                    Property{"IOWriteBandwidthMax", DeviceRates{{"/dev/sda", 3000}}},
                    Property{"IOWriteIOPSMax", DeviceRates{{"/dev/sda", kNoLimit}, {"/dev/nvme0n1", kNoLimit}}}));
}

TEST(Properties, NoneForWhatOnlyTheLeafCanHave) {
    ResourceSpec wanted;
    wanted.hugetlb = {{2U << 20, 4U << 20}};
    EXPECT_THAT(properties(wanted), IsEmpty());
    wanted = {};
    wanted.cpu_burst = 1ms;
    EXPECT_FALSE(properties_of(wanted, {}, kDisks, "")) << "nor what the kernel would refuse";
}

TEST(BusAddresses, TheSessionsBusThenTheUsersThenSystemdItself) {
    EXPECT_THAT(bus_addresses("unix:path=/tmp/dbus-1", "/run/user/1000", 1000),
                ElementsAre(BusAddress{"unix:path=/tmp/dbus-1", true}, BusAddress{"unix:path=/run/user/1000/bus", true},
                            BusAddress{"unix:path=/run/user/1000/systemd/private", false}));
    EXPECT_THAT(bus_addresses("", "", 7), ElementsAre(BusAddress{"unix:path=/run/user/7/bus", true},
                                                      BusAddress{"unix:path=/run/user/7/systemd/private", false}));
    EXPECT_THAT(bus_addresses("unix:path=/r/bus", "/r", 7),
                ElementsAre(BusAddress{"unix:path=/r/bus", true}, BusAddress{"unix:path=/run/user/7/bus", true},
                            BusAddress{"unix:path=/r/systemd/private", false},
                            BusAddress{"unix:path=/run/user/7/systemd/private", false}));
    EXPECT_EQ(bus_addresses("", "/a b,c", 7).front().address, "unix:path=/a%20b%2cc/bus");
}

} // namespace
} // namespace squish::limits
