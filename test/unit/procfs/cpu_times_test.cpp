// Load averages, the time of the CPUs that are shown, and sets of CPUs.
#include "procfs/cpu_times.h"
#include "procfs/loadavg.h"

#include <cmath>
#include <gmock/gmock.h>
#include <random>

namespace squish::procfs {
namespace {

TEST(LoadAverage, RisesAndFallsAsTheKernelsDoes) {
    // What EXP_1, EXP_5 and EXP_15 stand for: 1 - e^(-t/T), to the precision of 11 bits.
    LoadAverages load;
    for (int period = 1; period <= 720; ++period) {
        load = next_load(load, 4, 1);
        for (std::size_t i = 0; i < 3; ++i) {
            const double minutes = std::array{1.0, 5.0, 15.0}[i];
            const double exact = 4 * (1 - std::exp(-period * 5 / (60 * minutes)));
            ASSERT_NEAR(static_cast<double>(load.fixed[i]) / kLoadOne, exact, 0.12) << period << " " << i;
        }
    }
    EXPECT_EQ(load.fixed[0], 4 * kLoadOne) << "a steady load is reached";
    load = next_load(load, 0, 10000);
    EXPECT_EQ(load, LoadAverages{}) << "and left";
}

TEST(LoadAverage, MissedSamplesAreMadeUpFor) {
    LoadAverages one_by_one{.fixed = {10 * kLoadOne, 5 * kLoadOne, 100}};
    const auto at_once = next_load(one_by_one, 3, 17);
    for (int i = 0; i < 17; ++i)
        one_by_one = next_load(one_by_one, 3, 1);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_NEAR(static_cast<double>(at_once.fixed[i]), static_cast<double>(one_by_one.fixed[i]), 80);
}

TEST(LoadAverage, IsRoundedAsInProc) {
    EXPECT_EQ(load_hundredths(0), 0U);
    EXPECT_EQ(load_hundredths(kLoadOne), 100U);
    EXPECT_EQ(load_hundredths(kLoadOne / 2), 50U);
    EXPECT_EQ(load_hundredths(kLoadOne - 1), 100U);
    EXPECT_EQ(load_hundredths(~std::uint64_t{0}) % 100, 0U) << "absurd figures do no harm";
}

std::uint64_t busy(const CpuLedger& ledger) {
    std::uint64_t sum = 0;
    for (const auto& cpu : ledger.shown)
        sum += cpu.user + cpu.system;
    return sum;
}

TEST(CpuTimes, TimeIsDividedAmongTheCpusShown) {
    const CpuReading now{.uptime = 10'000'000, .user = 6'000'000, .system = 2'000'000, .per_cpu = {}};
    const auto ledger = advance({}, now, {0, 1});
    for (const auto& cpu : ledger.shown)
        EXPECT_EQ(cpu, (CpuTimes{.user = 3'000'000, .system = 1'000'000, .idle = 6'000'000}));
    const CpuReading known{
        .uptime = 10'000'000, .user = 6'000'000, .system = 2'000'000, .per_cpu = {500, 7'000'000, 1'000'000, 0}};
    const auto uneven = advance({}, known, {1, 2});
    EXPECT_EQ(uneven.shown[0].user + uneven.shown[0].system, 7'000'000U);
    EXPECT_EQ(uneven.shown[1].user + uneven.shown[1].system, 1'000'000U);
}

TEST(CpuTimes, MoreThanTheCpusCouldGiveIsShownLater) {
    auto ledger = advance({}, {.uptime = 1'000'000, .user = 3'000'000, .system = 0, .per_cpu = {}}, {0});
    EXPECT_EQ(ledger.shown[0], (CpuTimes{.user = 1'000'000, .system = 0, .idle = 0}));
    ledger = advance(ledger, {.uptime = 4'000'000, .user = 3'000'000, .system = 0, .per_cpu = {}}, {0});
    EXPECT_EQ(ledger.shown[0], (CpuTimes{.user = 3'000'000, .system = 0, .idle = 1'000'000}));
    EXPECT_EQ(ledger.owed_user, 0U);
}

TEST(CpuTimes, NeverGoBackWhateverIsRead) {
    std::mt19937_64 random(7);
    const auto below = [&random](std::uint64_t limit) { return random() % limit; };
    CpuLedger ledger;
    CpuReading real;
    CpuSet cpus{0, 1, 2};
    for (int i = 0; i < 3000; ++i) {
        real.uptime += below(2'000'000);
        real.user += below(5'000'000);
        real.system += below(500'000);
        auto read = real;
        if (below(10) == 0)
            read.user -= std::min(read.user, below(20'000'000));
        if (below(4) == 0)
            read.per_cpu = {below(1'000'000'000), below(1'000'000'000)};
        const auto next = advance(ledger, read, cpus);
        for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu) {
            const auto before = cpu < ledger.shown.size() ? ledger.shown[cpu] : CpuTimes{};
            const auto& after = next.shown[cpu];
            ASSERT_GE(after.user, before.user);
            ASSERT_GE(after.system, before.system);
            ASSERT_GE(after.idle, before.idle);
            ASSERT_EQ(after.user + after.system + after.idle, next.last.uptime) << "all time is one kind or another";
        }
        ASSERT_EQ(busy(next) + next.owed_user + next.owed_system, next.last.user + next.last.system);
        ledger = next;
    }
}

TEST(CpuTimes, AnotherCpuBeginsIdle) {
    const auto one = advance({}, {.uptime = 5'000'000, .user = 5'000'000, .system = 0, .per_cpu = {}}, {0});
    const auto two = advance(one, {.uptime = 6'000'000, .user = 5'000'000, .system = 0, .per_cpu = {}}, {0, 1});
    EXPECT_EQ(two.shown[1], (CpuTimes{.user = 0, .system = 0, .idle = 6'000'000}));
}

TEST(CpuSets, ListsAndMasks) {
    EXPECT_EQ(parse_cpu_list("0-2,5\n"), (CpuSet{0, 1, 2, 5}));
    EXPECT_EQ(parse_cpu_list("5,0-2,1-2"), (CpuSet{0, 1, 2, 5}));
    EXPECT_EQ(parse_cpu_list(""), CpuSet{});
    for (const auto* const bad : {"x", "1-", "-1", "2-1", "0-4294967295", "8192", "1,,2", "0 1"})
        EXPECT_EQ(parse_cpu_list(bad), std::nullopt) << bad;
    EXPECT_EQ(format_cpu_list({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
    EXPECT_EQ(parse_cpu_mask("1,80000003\n"), (CpuSet{0, 1, 31, 32}));
    for (const auto* const bad : {"", "g", "1,,1", "123456789"})
        EXPECT_EQ(parse_cpu_mask(bad), std::nullopt) << bad;
    EXPECT_EQ(format_cpu_mask({0, 33}, "00000000,ffffffff\n"), "00000002,00000001");
}

} // namespace
} // namespace squish::procfs
