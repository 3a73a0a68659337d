#include "limits/figures.h"

#include "fake_cgroups.h"

#include "limits/proc_figures.h"

#include <array>
#include <cerrno>
#include <gmock/gmock.h>

namespace squish::limits {
namespace {

using Reading = FakeCgroups;

// Captured on Linux 6.1.
constexpr const char* kCpuStat = "usage_usec 8539471\nuser_usec 5411032\nsystem_usec 3128439\n"
                                 "core_sched.force_idle_usec 0\nnr_periods 85\nnr_throttled 41\n"
                                 "throttled_usec 2033417\nnr_bursts 0\nburst_usec 0\n";
constexpr const char* kMemoryStat = "anon 3145728\nfile 20480000\nkernel 1253376\nkernel_stack 65536\n"
                                    "inactive_anon 3100000\nactive_anon 4096\ninactive_file 18432000\n"
                                    "active_file 2048000\nunevictable 0\n";
constexpr const char* kMemoryEvents = "low 0\nhigh 12\nmax 345\noom 3\noom_kill 2\noom_group_kill 1\n";
constexpr const char* kIoStat = "259:0 rbytes=4096000 wbytes=8192 rios=100 wios=2 dbytes=0 dios=0\n"
                                "8:0 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=77 dios=1\n";
constexpr const char* kPressure = "some avg10=1.50 avg60=0.25 avg300=0.06 total=123456\n"
                                  "full avg10=0.50 avg60=0.00 avg300=0.01 total=654\n";

TEST_F(Reading, ACgroupSaysWhatIsUsed) {
    make("c", {{"cpu.stat", kCpuStat},
               {"memory.current", "24879104\n"},
               {"memory.stat", kMemoryStat},
               {"memory.max", "67108864\n"},
               {"memory.peak", "25000000\n"},
               {"memory.swap.current", "4096\n"},
               {"memory.events", kMemoryEvents},
               {"pids.current", "7\n"},
               {"pids.max", "max\n"},
               {"io.stat", kIoStat},
               {"cpu.pressure", kPressure}});
    const auto figures = MUST(read_cgroup(folder("c").get()));
    EXPECT_EQ(figures.source, Figures::Source::cgroup);
    EXPECT_EQ(figures.cpu_us, 8539471U);
    EXPECT_EQ(figures.cpu_user_us, 5411032U);
    EXPECT_EQ(figures.cpu_system_us, 3128439U);
    EXPECT_EQ(figures.throttled_us, 2033417U);
    EXPECT_EQ(figures.throttled_periods, 41U);
    EXPECT_EQ(figures.memory, 24879104U);
    EXPECT_EQ(figures.memory_cache, 18432000U);
    EXPECT_EQ(figures.memory_limit, 67108864U);
    EXPECT_EQ(figures.memory_peak, 25000000U);
    EXPECT_EQ(figures.swap, 4096U);
    EXPECT_EQ(figures.pids, 7U);
    EXPECT_EQ(figures.pids_limit, std::nullopt);
    EXPECT_EQ(figures.io_read, 4096001U);
    EXPECT_EQ(figures.io_written, 8194U);
    EXPECT_EQ(figures.oom_kills, 2U);
    ASSERT_TRUE(figures.cpu_pressure);
    EXPECT_DOUBLE_EQ(figures.cpu_pressure->some.avg10, 1.5);
    EXPECT_FALSE(figures.memory_pressure);
    EXPECT_EQ(MUST(read_oom_kills(folder("c").get())), 2U);
}

TEST_F(Reading, AControllerThatIsNotOnLeavesItsFiguresAlone) {
    make("c", {{"cpu.stat", "usage_usec 5\n"}});
    const auto figures = MUST(read_cgroup(folder("c").get()));
    EXPECT_EQ(figures.cpu_us, 5U);
    EXPECT_EQ(figures.memory, 0U);
    EXPECT_EQ(figures.memory_limit, std::nullopt);
    EXPECT_EQ(figures.io_pressure.has_value(), false);
}

TEST_F(Reading, ACgroupThatIsGoneIsEnodev) {
    std::filesystem::create_directories(at("gone"));
    const auto figures = read_cgroup(folder("gone").get());
    ASSERT_FALSE(figures);
    EXPECT_EQ(figures.error().sys_errno, ENODEV);
}

TEST_F(Reading, MoreCacheThanMemoryIsNotBelieved) {
    make("c", {{"memory.current", "10\n"}, {"memory.stat", "inactive_file 4096\n"}});
    EXPECT_EQ(MUST(read_cgroup(folder("c").get())).memory_cache, 10U);
}

TEST(Parse, Pressure) {
    const auto pressure = parse_pressure(kPressure);
    EXPECT_DOUBLE_EQ(pressure.some.avg60, 0.25);
    EXPECT_DOUBLE_EQ(pressure.some.avg300, 0.06);
    EXPECT_EQ(pressure.some.total_us, 123456U);
    EXPECT_DOUBLE_EQ(pressure.full.avg10, 0.5);
    EXPECT_EQ(pressure.full.total_us, 654U);
    // Before Linux 5.13 cpu.pressure has no second line.
    EXPECT_EQ(parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n").full.total_us, 0U);
    EXPECT_EQ(parse_pressure("some\nfull avg10 total=\nsome avg10=x total=-1").some.total_us, 0U);
}

TEST(Parse, KeyedValues) {
    EXPECT_EQ(parse_keyed(kMemoryEvents, "oom"), 3U);
    EXPECT_EQ(parse_keyed(kMemoryEvents, "oom_kill"), 2U);
    EXPECT_EQ(parse_keyed(kMemoryEvents, "none"), 0U);
    EXPECT_EQ(parse_keyed("oom\noom x\n", "oom"), 0U);
    EXPECT_EQ(parse_keyed("", "oom"), 0U);
}

TEST(Parse, IoStat) {
    EXPECT_EQ(parse_io_stat(kIoStat).read, 4096001U);
    EXPECT_EQ(parse_io_stat("259:0 \n8:0 rbytes= wbytes=x\n").written, 0U);
}

TEST(Parse, NetDevWithoutTheLoopback) {
    const auto* text =
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
        "carrier compressed\n"
        "    lo: 1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0 "
        "         0\n"
        "  eth0: 5000      50    0    0    0     0          0         0     6000      60    0    0    0     0       0 "
        "         0\n"
        "  eth1:7 1 0 0 0 0 0 0 8 2 0 0 0 0 0 0\n"
        "broken: 1 2 3\n";
    const auto figures = parse_net_dev(text);
    EXPECT_EQ(figures.received, 5007U);
    EXPECT_EQ(figures.packets_received, 51U);
    EXPECT_EQ(figures.sent, 6008U);
    EXPECT_EQ(figures.packets_sent, 62U);
}

TEST(Parse, StatOfAProcessWhoseNameLooksLikeFields) {
    const auto times = parse_stat("4242 (a) R 1 (b) S 1 4242 4242 0 -1 4194560 1234 567 0 0 150 75 20 10 20 0 3 0 "
                                  "98765 10000000 256 18446744073709551615 1 1 0 0 0\n");
    ASSERT_TRUE(times);
    EXPECT_EQ(times->user, 150U);
    EXPECT_EQ(times->system, 75U);
    EXPECT_EQ(times->ended_user, 20U);
    EXPECT_EQ(times->ended_system, 10U);
    EXPECT_EQ(times->threads, 3U);
    EXPECT_FALSE(parse_stat(""));
    EXPECT_FALSE(parse_stat("1 (x) S 1 2 3"));
}

TEST(Parse, MemoryAndIoOfAProcess) {
    EXPECT_EQ(parse_statm("2500 256 200 10 0 100 0\n"), 256U);
    EXPECT_EQ(parse_statm("2500"), 0U);
    const auto io = parse_proc_io("rchar: 900\nwchar: 800\nsyscr: 7\nsyscw: 6\nread_bytes: 4096\nwrite_bytes: 8192\n"
                                  "cancelled_write_bytes: 1\n");
    EXPECT_EQ(io.read, 4096U);
    EXPECT_EQ(io.written, 8192U);
}

class Processes : public FakeCgroups {
protected:
    void process(const std::string& pid, const std::string& space, const std::string& threads) const {
        std::filesystem::create_directories(at("proc/" + pid + "/ns"));
        std::filesystem::create_symlink("pid:[" + space + "]", at("proc/" + pid + "/ns/pid"));
        put("proc/" + pid + "/stat", pid + " (x) S 1 1 1 0 -1 0 0 0 0 0 100 50 10 5 20 0 " + threads + " 0 1 2 3\n");
        put("proc/" + pid + "/statm", "10 2 1 1 0 1 0\n");
        put("proc/" + pid + "/io", "read_bytes: 5\nwrite_bytes: 6\n");
    }
};

TEST_F(Processes, AreAddedUpByThePidNamespaceOfTheirInit) {
    process("1", "100", "1");
    process("20", "200", "1");
    process("21", "200", "4");
    process("30", "300", "2");
    std::filesystem::create_directories(at("proc/sys"));
    const std::array inits{20, 30, 99};
    const auto found = MUST(read_processes_below(at("proc"), inits));
    ASSERT_EQ(found.size(), 2U) << "99 has ended";
    const auto& both = found.at(20);
    EXPECT_EQ(both.source, Figures::Source::proc);
    EXPECT_EQ(both.pids, 5U);
    EXPECT_EQ(both.memory, 4U * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    const auto tick = 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    EXPECT_EQ(both.cpu_user_us, 220 * tick);
    EXPECT_EQ(both.cpu_system_us, 110 * tick);
    EXPECT_EQ(both.cpu_us, 330 * tick);
    EXPECT_EQ(both.io_read, 10U);
    EXPECT_EQ(both.io_written, 12U);
    EXPECT_EQ(found.at(30).pids, 2U);
}

TEST(OwnProcess, IsAmongThoseOfItsNamespace) {
    const std::array inits{::getpid()};
    const auto found = MUST(read_processes(inits));
    ASSERT_TRUE(found.contains(::getpid()));
    EXPECT_GE(found.at(::getpid()).pids, 1U);
    EXPECT_GT(found.at(::getpid()).memory, 0U);
}

TEST(OwnProcess, HasANetwork) {
    EXPECT_OK(read_network(::getpid()));
    EXPECT_FALSE(read_network(-1));
}

} // namespace
} // namespace squish::limits
