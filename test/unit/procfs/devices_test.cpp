// diskstats, pressure, slabinfo, and the list of files.
#include "samples.h"

#include <gmock/gmock.h>
#include <set>

namespace squish::procfs {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kHost =
    "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8      16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
    " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";

TEST(Diskstats, ShowsTheDisksThatItHasUsedWithItsOwnUse) {
    EXPECT_EQ(
        diskstats(kHost, unlimited_view(CpuSet(1))),
        "   8      16 sdb 1 0 1 0 1 0 1 0 0 0 0 0 0 0 0 0 0\n 254       0 vda 1 0 8 0 2 0 16 0 0 0 0 0 0 0 0 0 0\n");
}

TEST(Diskstats, HasAsManyColumnsAsTheHosts) {
    auto view = plain_view(CpuSet(1));
    view.own.devices = {{8, 0, 1024, 512, 3, 4}};
    EXPECT_EQ(diskstats(kHost, view), "   8       0 sda 3 0 2 0 4 0 1 0 0 0 0\n");
}

TEST(Diskstats, ShowsNoDiskOfOthers) {
    EXPECT_EQ(diskstats(kHost, plain_view(CpuSet(1))), "");
}

TEST(Diskstats, LeavesOutWhatIsNoLine) {
    EXPECT_EQ(diskstats("8\n8 16\nx 16 sdb 1\n8 y sdb 1\n8 99999999999999999999 sdb\n\n", unlimited_view(CpuSet(1))),
              "");
}

constexpr const char* kZero = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
constexpr const char* kZeroFull = "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

TEST(Pressure, IsTheContainersOwn) {
    const auto view = unlimited_view(CpuSet(1));
    EXPECT_EQ(pressure_cpu("some avg10=9.99 avg60=9.99 avg300=9.99 total=9\n", view), *view.own.pressure_cpu);
}

TEST(Pressure, IsNothingWhereItsOwnIsNotKnown) {
    const auto view = unlimited_view(CpuSet(1));
    EXPECT_EQ(
        pressure_memory(
            "some avg10=9.99 avg60=9.99 avg300=9.99 total=9\nfull avg10=9.99 avg60=9.99 avg300=9.99 total=9\n", view),
        std::string(kZero) + kZeroFull);
    EXPECT_EQ(pressure_io("some avg10=9.99 avg60=9.99 avg300=9.99 total=9\n", view),
              kZero); // Linux before 5.13: of the CPU
}

TEST(Pressure, IsTheHostsWhereNothingIsKnown) {
    const std::string host = "some avg10=9.99 avg60=9.99 avg300=9.99 total=9\n";
    EXPECT_EQ(pressure_io(host, plain_view(CpuSet(1))), host);
}

TEST(Pressure, IsWholeWhateverTheHostsIs) { // psi=0
    for (const auto* const host : {"", "\n", "full\n", "garbage"})
        EXPECT_EQ(pressure_cpu(host, plain_view(CpuSet(1))), std::string(kZero) + kZeroFull);
    auto view = plain_view(CpuSet(1));
    view.own.pressure_cpu = "";
    EXPECT_EQ(pressure_cpu("", view), std::string(kZero) + kZeroFull);
}

TEST(Slabinfo, IsItsHeader) {
    const auto text = slabinfo("whatever", plain_view(CpuSet(1)));
    EXPECT_THAT(text, testing::StartsWith("slabinfo - version: 2.1\n# name"));
    EXPECT_EQ(lines_with(text, "").size(), 2U);
}

TEST(Files, AreKnownByTheirPaths) {
    std::set<std::string> paths;
    for (const auto& file : files()) {
        EXPECT_TRUE(paths.insert(file.path).second);
        EXPECT_TRUE(std::string(file.host_path).empty() || "/" + std::string(file.path) == file.host_path);
    }
    EXPECT_EQ(paths.size(), 13U);
}

TEST(Files, NameNoneOfTheHostsDisksAndBuilders) {
    for (const auto& sample : samples()) {
        for (const auto& [name, make] : kViews) {
            auto view = make(sample.cpus());
            view.own.devices.clear();
            std::string all;
            for (const auto& file : files())
                all += file.render(sample.text(file.host_path), view);
            for (const auto* const word :
                 {"/dev/", "nvme", "vda", "sda", "sdb", "mmcblk", "md1", "dm-", "zram", "loop", "/swap", "/var/",
                  "buildd", "buildozer", "builder", "debian-kernel@", "serge", "a1b2c3d4"})
                EXPECT_THAT(all, Not(HasSubstr(word))) << sample.name << " " << name;
        }
    }
}

} // namespace
} // namespace squish::procfs
