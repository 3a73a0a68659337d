// What programs make of the files, read as they read them.
#include "samples.h"

#include <cstdio>
#include <gmock/gmock.h>

namespace squish::procfs {
namespace {

constexpr const char* kHostMemory =
    "MemTotal:        8000000 kB\nMemFree:         3000000 kB\nMemAvailable:    5000000 kB\n"
    "Buffers:          100000 kB\nCached:          2000000 kB\nSwapTotal:             0 kB\n"
    "SwapFree:              0 kB\nShmem:             10000 kB\nSReclaimable:     50000 kB\n";

// procps-ng 4: meminfo_make_hash_failed() and the rest of library/meminfo.c
struct Free {
    long total, used, free, shared, cache, available;
};
Free procps_free(const std::string& text) {
    auto memory = figures(text);
    const auto of = [&](const char* name) { return static_cast<long>(memory.at(name)); };
    Free shown{of("MemTotal"),    0, of("MemFree"), of("Shmem"), of("Buffers") + of("Cached") + of("SReclaimable"),
               of("MemAvailable")};
    shown.used = shown.total - shown.available;
    return shown;
}

TEST(Programs, FreeOfProcps) {
    const auto shown = procps_free(meminfo(kHostMemory, limited_view(CpuSet(1))));
    EXPECT_EQ(shown.total, 262144);
    EXPECT_EQ(shown.free, 210943);
    EXPECT_EQ(shown.cache, 20480 + 2048);
    EXPECT_EQ(shown.used, 262144 - 232447);
    EXPECT_EQ(shown.shared, 1024);
}

// psutil, _pslinux.py: virtual_memory(); htop, linux/LinuxMachine.c: LinuxMachine_scanMemoryInfo()
TEST(Programs, PsutilAndHtopGetNothingNegative) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto shown = procps_free(meminfo(sample.text("/proc/meminfo"), make(sample.cpus())));
            EXPECT_GE(shown.total - shown.free - shown.cache, 0) << sample.name << name;
            EXPECT_GE(shown.cache - shown.shared, 0);
            EXPECT_GE(shown.used, 0);
        }
    }
}

// procps, library/stat.c: stat_read_failed(): sscanf of every line, up to the first that is no CPU's.
TEST(Programs, TopOfProcps) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto view = make(sample.cpus());
            const auto text = stat(sample.text("/proc/stat"), view);
            unsigned long long v[10];
            ASSERT_EQ(std::sscanf(text.c_str(), "cpu  %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1],
                                  &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9]),
                      10);
            for (const auto* const line :
                 {"intr ", "ctxt ", "btime ", "processes ", "procs_running ", "procs_blocked "}) {
                const auto at = text.find(std::string("\n") + line);
                ASSERT_NE(at, std::string::npos);
                unsigned long long value = 0;
                EXPECT_EQ(std::sscanf(text.c_str() + at + 1 + std::string(line).size(), "%llu", &value), 1);
            }
        }
    }
}

// procps, library/uptime.c; busybox, procps/uptime.c and top.c
TEST(Programs, UptimeAndLoad) {
    const auto view = limited_view(CpuSet(1));
    double up = 0, idle = 0, load[3] = {};
    unsigned running = 0, all = 0, last = 0;
    ASSERT_EQ(std::sscanf(uptime("", view).c_str(), "%lf %lf", &up, &idle), 2);
    EXPECT_DOUBLE_EQ(up, 100.12);
    EXPECT_LE(idle, up);
    ASSERT_EQ(std::sscanf(loadavg("", view).c_str(), "%lf %lf %lf %u/%u %u", &load[0], &load[1], &load[2], &running,
                          &all, &last),
              6);
    EXPECT_DOUBLE_EQ(load[0], 1.12);
    EXPECT_LE(running, all);
}

// procps, library/diskstats.c; iostat
TEST(Programs, VmstatOfDisks) {
    for (const auto& sample : samples()) {
        for (const auto& line :
             lines_with(diskstats(sample.text("/proc/diskstats"), unlimited_view(sample.cpus())), "")) {
            int major = 0, minor = 0;
            char name[64];
            unsigned long long v[11];
            EXPECT_EQ(std::sscanf(line.c_str(), " %d %d %63s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu",
                                  &major, &minor, name, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8],
                                  &v[9], &v[10]),
                      14);
        }
    }
}

// procps, swapon: "%s %s %u %u %d" after a line of headings
TEST(Programs, SwaponOfUtilLinux) {
    const auto line = lines_with(swaps("x x 999 8 -2\n", limited_view(CpuSet(1))), "none").at(0);
    char name[64], type[64];
    unsigned size = 0, used = 0;
    int priority = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%63s %63s %u %u %d", name, type, &size, &used, &priority), 5);
    EXPECT_EQ(size, 999U);
    EXPECT_EQ(priority, -2);
}

// Anything that reads pressure stall information: psi.rst
TEST(Programs, Pressure) {
    for (const auto& [name, make] : kViews) {
        float some[3];
        unsigned long long total = 0;
        EXPECT_EQ(std::sscanf(pressure_io("", make(CpuSet(1))).c_str(), "some avg10=%f avg60=%f avg300=%f total=%llu",
                              &some[0], &some[1], &some[2], &total),
                  4);
    }
}

// Node, libuv: uv_cpu_info() counts the lines "cpuN " and reads "model name" of as many blocks.
TEST(Programs, NodesCpus) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            const auto view = make(sample.cpus());
            const auto lines = lines_with(stat(sample.text("/proc/stat"), view), "cpu").size() - 1;
            EXPECT_EQ(lines, lines_with(cpuinfo(sample.text("/proc/cpuinfo"), view), "processor\t: ").size());
        }
    }
}

} // namespace
} // namespace squish::procfs
