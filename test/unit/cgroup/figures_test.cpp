#include "cgroup/figures.h"

#include <gmock/gmock.h>

namespace squish::cgroup {
namespace {

TEST(FlatKeyed, AKeyIsFoundByItsWholeName) {
    const std::string text = "anon_thp 5\nanon 7\nfile 8\n";
    EXPECT_EQ(flat_value(text, "anon"), 7U);
    EXPECT_EQ(flat_value(text, "file"), 8U);
    EXPECT_EQ(flat_value(text, "fil"), std::nullopt);
    EXPECT_EQ(flat_value("oom_kill -1\n", "oom_kill"), std::nullopt);
    EXPECT_EQ(flat_value("", "anon"), std::nullopt);
}

TEST(SingleValue, MaxIsNoNumber) {
    EXPECT_EQ(single_value("4096\n"), 4096U);
    EXPECT_EQ(single_value("max\n"), std::nullopt);
}

TEST(IoStat, DevicesAreAddedUp) {
    EXPECT_EQ(
        parse_io_stat("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=9 dios=9\n8:16 rbytes=1 wbytes=2 rios=3 wios=4\n"),
        (IoFigures{11, 22, 4, 6}));
    EXPECT_EQ(parse_io_stat("8:0 \n"), IoFigures{}) << "a device without traffic";
}

TEST(Pressure, IsReadWithItsAverages) {
    const auto pressure = parse_pressure("some avg10=12.50 avg60=3.25 avg300=0.01 total=987654\n"
                                         "full avg10=1.00 avg60=0.00 avg300=0.00 total=5\n");
    ASSERT_TRUE(pressure.has_value());
    EXPECT_EQ(pressure->some, (PressureLine{12.5, 3.25, 0.01, 987654}));
    EXPECT_EQ(pressure->full.total, 5U);
}

TEST(Pressure, WhatIsNotOneIsNone) {
    EXPECT_FALSE(parse_pressure("").has_value());
    EXPECT_FALSE(parse_pressure("some avg10=x avg60=0 avg300=0 total=1\n").has_value());
    EXPECT_FALSE(parse_pressure("some avg10=0.00 total=1\n").has_value());
}

TEST(CgroupEvents, AreRead) {
    EXPECT_EQ(parse_cgroup_events("populated 1\nfrozen 0\n"), (CgroupEvents{true, false}));
    EXPECT_EQ(parse_cgroup_events("populated 0\nfrozen 1\n"), (CgroupEvents{false, true}));
}

TEST(MemoryFigures, TheCacheThatGoesFirstIsNotNeeded) {
    MemoryFigures memory;
    memory.current = 100;
    EXPECT_EQ(memory.working_set(), 100U);
    memory.inactive_file = 30;
    EXPECT_EQ(memory.working_set(), 70U);
    memory.inactive_file = 200; // read a moment later
    EXPECT_EQ(memory.working_set(), 0U);
}

} // namespace
} // namespace squish::cgroup
