#include "sysinfo/kernel_layout.h"

#include <gtest/gtest.h>

namespace squish::sysinfo {
namespace {

procfs::SystemInfo some() {
    procfs::SystemInfo info;
    info.uptime_s = 77;
    info.loads = {65536, 32768, 1};
    info.total = 256U << 20;
    info.free = 100U << 20;
    info.shared = 4096;
    info.buffers = 8192;
    info.total_swap = 1U << 20;
    info.free_swap = 4096;
    info.processes = 12;
    return info;
}

TEST(KernelLayout, SizesAreBytes) {
    const auto out = to_kernel(some(), 4096);
    EXPECT_EQ(out.uptime, 77);
    EXPECT_EQ(out.loads[0], 65536U);
    EXPECT_EQ(out.loads[2], 1U);
    EXPECT_EQ(out.totalram, 256U << 20);
    EXPECT_EQ(out.freeram, 100U << 20);
    EXPECT_EQ(out.sharedram, 4096U);
    EXPECT_EQ(out.bufferram, 8192U);
    EXPECT_EQ(out.totalswap, 1U << 20);
    EXPECT_EQ(out.freeswap, 4096U);
    EXPECT_EQ(out.procs, 12U);
    EXPECT_EQ(out.totalhigh, 0U);
    EXPECT_EQ(out.mem_unit, 1U);
}

TEST(KernelLayout, SizesThatDoNotFitArePages) {
    auto info = some();
    info.total = UINT64_MAX - 4095;
    const auto out = to_kernel(info, 4096);
    EXPECT_EQ(out.mem_unit, 4096U);
    EXPECT_EQ(out.totalram, UINT64_MAX / 4096);
    EXPECT_EQ(out.totalswap, 256U);
}

TEST(KernelLayout, WhatDoesNotFitIsTheMost) {
    auto info = some();
    info.processes = 100'000;
    info.uptime_s = UINT64_MAX;
    const auto out = to_kernel(info, 4096);
    EXPECT_EQ(out.procs, 65535U);
    EXPECT_EQ(out.uptime, INT64_MAX);
}

} // namespace
} // namespace squish::sysinfo
