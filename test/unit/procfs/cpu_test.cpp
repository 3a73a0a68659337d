// stat, uptime, loadavg, cpuinfo.
#include "samples.h"

#include <gmock/gmock.h>

namespace squish::procfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

CpuSet cpus(std::string_view list) {
    return parse_cpu_list(list);
}

constexpr const char* kHostStat =
    "cpu  1111 2 3 4 5 6 7 8 9 10\ncpu0 100 0 10 1000 1 0 3 0 0 0\ncpu1 200 0 20 2000 2 0 0 4 0 0\n"
    "cpu2 300 1 30 3000 3 0 0 0 5 6\nintr 99 1 2 3\nctxt 12\nbtime 1600000000\n"
    "processes 5555\nprocs_running 7\nprocs_blocked 8\nsoftirq 9 1 2 3 4 5 6 7 8 9 10\n";

TEST(Stat, HasTheHostsLinesOfTheCpusThatAreShownAndTheirSum) {
    auto view = plain_view(cpus("0-2"));
    view.own.limits.cpus = cpus("0,2");
    EXPECT_EQ(stat(kHostStat, view), "cpu  400 1 40 4000 4 0 3 0 5 6\ncpu0 100 0 10 1000 1 0 3 0 0 0\n"
                                     "cpu2 300 1 30 3000 3 0 0 0 5 6\nintr 0\nctxt 0\nbtime 1767225600\nprocesses 45\n"
                                     "procs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

TEST(Stat, SpreadsItsOwnUseOverTheCpus) {
    auto view = unlimited_view(cpus("0-2"));
    EXPECT_EQ(stat(kHostStat, view), "cpu  345 0 101 29590 0 0 0 0 0 0\ncpu0 115 0 34 9863 0 0 0 0 0 0\n"
                                     "cpu1 115 0 34 9863 0 0 0 0 0 0\ncpu2 115 0 33 9864 0 0 0 0 0 0\nintr 0\nctxt 0\n"
                                     "btime 1767225600\nprocesses 45\nprocs_running 2\nprocs_blocked 1\n"
                                     "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

TEST(Stat, CountsNothingOfACpuThatTheHostDoesNotSpeakOf) {
    auto view = plain_view(cpus("0-2"));
    view.own.limits.cpus = cpus("2,1023");
    EXPECT_THAT(
        lines_with(stat(kHostStat, view), "cpu"),
        ElementsAre("cpu  300 1 30 3000 3 0 0 0 5 6", "cpu2 300 1 30 3000 3 0 0 0 5 6", "cpu1023 0 0 0 0 0 0 0 0 0 0"));
}

TEST(Stat, SaysWhenTheHostWasStartedOnlyBeforeTheContainerIs) {
    auto view = plain_view(cpus("0"));
    view.started_at = 0;
    EXPECT_THAT(stat(kHostStat, view), HasSubstr("\nbtime 1600000000\n"));
}

TEST(Stat, IsWholeWhateverTheHostsIs) {
    auto view = plain_view(cpus("0-1"));
    for (const auto* const host :
         {"", "cpu", "cpu0", "cpu0 x y", "cpu99999999999999999999 1 2", "cpu-1 1\ncpuq 2\nbtime\nbtime x\n"})
        EXPECT_EQ(stat(host, view), "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n"
                                    "intr 0\nctxt 0\nbtime 1767225600\nprocesses 45\nprocs_running 1\nprocs_blocked 0\n"
                                    "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

TEST(Stat, NumbersThatDoNotFitAreTheLargest) {
    const auto text =
        stat("cpu0 99999999999999999999999 0 0 0 0 0 0 0 0 0\ncpu1 5 0 0 0 0 0 0 0 0 0\n", plain_view(cpus("0-1")));
    EXPECT_THAT(text, testing::StartsWith("cpu  18446744073709551615 0 0"));
}

TEST(Uptime, IsTheContainersAndItsIdleTimeIsStats) {
    const auto view = unlimited_view(cpus("0-2"));
    EXPECT_EQ(uptime("99999.99 88888.88\n", view), "100.12 295.90\n");
}

TEST(Uptime, ItsIdleTimeIsNoLongerThanItself) {
    auto view = plain_view(cpus("0-3"));
    EXPECT_EQ(uptime("99999.99 88888.88\n", view), "100.12 400.48\n");
    EXPECT_EQ(uptime("99999.99 12.08\n", view), "100.12 12.08\n");
    view.own.limits.cpus = cpus("1");
    EXPECT_EQ(uptime("99999.99 12.08\n", view), "100.12 3.02\n");
    EXPECT_EQ(uptime("", view), "100.12 0.00\n");
    view.uptime_ns = 0;
    EXPECT_EQ(uptime("99999.99 12.08\n", view), "0.00 0.00\n");
}

TEST(Loadavg, IsTheContainers) {
    EXPECT_EQ(loadavg("9.99 8.88 7.77 66/5555 444444\n", unlimited_view(cpus("0"))), "1.12 0.05 0.01 2/5 45\n");
}

TEST(Loadavg, SaysNothingOfTheHostsProcesses) {
    auto view = plain_view(cpus("0"));
    EXPECT_EQ(loadavg("9.99 8.88 7.07 66/5555 444444\n", view), "9.99 8.88 7.07 1/5 45\n");
    EXPECT_EQ(loadavg("9.9 x\n8.88", view), "0.00 0.00 0.00 1/5 45\n");
    view.own.last_pid = 0;
    EXPECT_EQ(loadavg("", view), "0.00 0.00 0.00 1/5 5\n");
}

TEST(SystemInfo, EqualsTheFiles) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto view = make(sample.cpus());
            const auto info = system_info(sample.text("/proc/meminfo"), sample.text("/proc/loadavg"), view);
            const auto shown = figures(meminfo(sample.text("/proc/meminfo"), view));
            EXPECT_EQ(info.total, shown.at("MemTotal") * 1024);
            EXPECT_EQ(info.free, shown.at("MemFree") * 1024);
            EXPECT_EQ(info.shared, shown.at("Shmem") * 1024);
            EXPECT_EQ(info.buffers, shown.at("Buffers") * 1024);
            EXPECT_EQ(info.total_swap, shown.at("SwapTotal") * 1024);
            EXPECT_EQ(info.free_swap, shown.at("SwapFree") * 1024);
            EXPECT_EQ(std::to_string(info.uptime_s), uptime(sample.text("/proc/uptime"), view).substr(0, 3));
            std::string loads; // as busybox prints it
            for (const auto load : info.loads) {
                const auto hundredths = (load & 0xFFFF) * 100 >> 16;
                loads += std::to_string(load >> 16) + (hundredths < 10 ? ".0" : ".") + std::to_string(hundredths) + " ";
            }
            const auto text = loadavg(sample.text("/proc/loadavg"), view);
            EXPECT_THAT(text, testing::StartsWith(loads));
            EXPECT_THAT(text, HasSubstr("/" + std::to_string(info.processes) + " "));
        }
    }
}

TEST(SystemInfo, EveryLoadIsPrintedAsItIsRead) {
    auto view = unlimited_view(cpus("0"));
    for (std::uint32_t load = 0; load < 10'000; ++load) {
        view.own.load[0] = load;
        const auto shown = system_info("", "", view).loads[0];
        ASSERT_EQ((shown >> 16) * 100 + ((shown & 0xFFFF) * 100 >> 16), load);
    }
}

std::string x86_block(int cpu, int package, int core) {
    const auto text = [](int number) { return std::to_string(number); };
    return "processor\t: " + text(cpu) + "\nphysical id\t: " + text(package) +
           "\nsiblings\t: 16\ncore id\t\t: " + text(core) +
           "\ncpu cores\t: 8\nflags\t\t: fpu processor\npower management:\n\n";
}

TEST(Cpuinfo, HasTheBlocksOfTheCpusThatAreShown) {
    auto view = plain_view(cpus("0-4"));
    view.own.limits.cpus = cpus("1,3-4");
    const auto host =
        x86_block(0, 0, 0) + x86_block(1, 0, 1) + x86_block(2, 1, 0) + x86_block(3, 1, 1) + x86_block(4, 1, 1);
    const auto text = cpuinfo(host, view);
    EXPECT_THAT(lines_with(text, "processor"), ElementsAre("processor\t: 1", "processor\t: 3", "processor\t: 4"));
    EXPECT_THAT(lines_with(text, "siblings"), ElementsAre("siblings\t: 1", "siblings\t: 2", "siblings\t: 2"));
    EXPECT_THAT(lines_with(text, "cpu cores"), ElementsAre("cpu cores\t: 1", "cpu cores\t: 1", "cpu cores\t: 1"));
    EXPECT_TRUE(text.ends_with("power management:\n\n"));
}

TEST(Cpuinfo, IsTheHostsTextWhereAllAreShown) {
    for (const auto& sample : samples()) {
        if (sample.name.contains("arm64"))
            continue; // its serial number is left out
        EXPECT_EQ(cpuinfo(sample.text("/proc/cpuinfo"), plain_view(sample.cpus())), sample.text("/proc/cpuinfo"));
    }
}

TEST(Cpuinfo, KnowsArm) {
    const auto text =
        cpuinfo("processor\t: 0\nBogoMIPS\t: 108.00\n\nprocessor\t: 1\nBogoMIPS\t: 108.00\n\nHardware\t: BCM2835\n"
                "Revision\t: c03115\nSerial\t\t: 10000000a1b2c3d4\nModel\t\t: Pi\n",
                limited_view(cpus("0-1")));
    EXPECT_EQ(text, "processor\t: 1\nBogoMIPS\t: 108.00\n\nHardware\t: BCM2835\nRevision\t: c03115\nModel\t\t: Pi\n");
}

TEST(Cpuinfo, KnowsRiscV) {
    const auto text = cpuinfo("processor\t: 0\nhart\t\t: 2\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n\n"
                              "processor\t: 1\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n\n",
                              limited_view(cpus("0-1")));
    EXPECT_EQ(text, "processor\t: 1\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n\n");
}

TEST(Cpuinfo, KnowsS390AndHidesItsIdentification) {
    const auto text = cpuinfo("vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 3033.00\n"
                              "features\t: esan3 zarch\ncache0          : level=1 type=Data scope=Private size=128K\n"
                              "processor 0: version = FF,  identification = 1B2C38,  machine = 3906\n"
                              "processor 1: version = FF,  identification = 1B2C38,  machine = 3906\n\n"
                              "cpu number      : 0\ncpu MHz static  : 5200\nidentification  : 1B2C38\n\n"
                              "cpu number      : 1\ncpu MHz static  : 5200\nidentification  : 1B2C38\n\n",
                              limited_view(cpus("0-1")));
    EXPECT_EQ(text,
              "vendor_id       : IBM/S390\n# processors    : 1\nbogomips per cpu: 3033.00\nfeatures\t: esan3 zarch\n"
              "cache0          : level=1 type=Data scope=Private size=128K\n"
              "processor 1: version = FF,  identification = 000000,  machine = 3906\n\n"
              "cpu number      : 1\ncpu MHz static  : 5200\nidentification  : 000000\n\n");
}

TEST(Cpuinfo, PassesWhatItDoesNotKnow) {
    const std::string sparc = "cpu\t\t: UltraSparc T1 (Niagara)\nncpus probed\t: 32\nncpus active\t: 32\n";
    EXPECT_EQ(cpuinfo(sparc, limited_view(cpus("0-1"))), sparc);
}

TEST(Cpuinfo, HasALineForEveryCpuWhateverTheHostsIs) {
    auto view = plain_view(cpus("0-3"));
    EXPECT_EQ(cpuinfo("", view), "processor\t: 0\n\nprocessor\t: 1\n\nprocessor\t: 2\n\nprocessor\t: 3\n\n");
    const auto twice =
        x86_block(0, 0, 0) + x86_block(0, 0, 0) + x86_block(9, 0, 0) + "processor\t: 99999999999999999999\n\n";
    EXPECT_THAT(lines_with(cpuinfo(twice, view), "processor"),
                ElementsAre("processor\t: 0", "processor\t: 1", "processor\t: 2", "processor\t: 3"));
}

TEST(Version, DoesNotSayWhoBuiltTheKernel) {
    EXPECT_EQ(
        version(
            "Linux version 6.1.0 (Some (one) here@host (x)) (gcc (GCC) 15.3.0, GNU ld (GNU Binutils) 2.46) #1 SMP @0\n",
            {}),
        "Linux version 6.1.0 (gcc (GCC) 15.3.0, GNU ld (GNU Binutils) 2.46) #1 SMP @0\n");
    EXPECT_EQ(version("Linux version 6.1.0 (me@host", {}), "Linux version 6.1.0 \n");
    EXPECT_EQ(version("))((@", {}), "))\n");
    for (const auto& sample : samples())
        EXPECT_THAT(version(sample.text("/proc/version"), {}), Not(HasSubstr("@"))) << sample.name;
}

} // namespace
} // namespace squish::procfs
