#include "cgroup/devices.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/sysmacros.h>

namespace squish::cgroup {
namespace {

using ::testing::HasSubstr;

class Sysfs : public ::testing::Test {
protected:
    Sysfs() {
        char name[] = "/tmp/squish-sysfs-XXXXXX";
        root = ::mkdtemp(name);
        std::filesystem::create_directories(root + "/dev/block");
        add("sda", "8:0", false);
        add("sda/sda2", "8:2", true);
    }
    ~Sysfs() override { std::filesystem::remove_all(root); }
    void add(const std::string& path, const std::string& number, bool partition) const {
        const auto folder = root + "/devices/" + path;
        std::filesystem::create_directories(folder);
        std::ofstream(folder + "/dev") << number << "\n";
        std::ofstream(folder + "/uevent")
            << "MAJOR=8\nDEVNAME=" << std::filesystem::path(path).filename().string() << "\nDEVTYPE=disk\n";
        if (partition)
            std::ofstream(folder + "/partition") << "2\n";
        std::filesystem::create_directory_symlink("../../devices/" + path, root + "/dev/block/" + number);
    }
    std::string root;
};

TEST_F(Sysfs, APartitionIsItsDisk) {
    const BlockDevice disk{8, 0, "/dev/sda"};
    EXPECT_EQ(disk_of(makedev(8, 2), root).value(), disk);
    EXPECT_EQ(disk_of(makedev(8, 0), root).value(), disk);
}

TEST_F(Sysfs, AFileSystemWithoutADeviceHasNone) {
    EXPECT_EQ(disk_of(makedev(0, 42), root).value(), std::nullopt);
}

TEST_F(Sysfs, WhatCannotBeMadeOutIsAnError) {
    std::ofstream(root + "/devices/sda/dev") << "nonsense\n";
    const auto disk = disk_of(makedev(8, 2), root);
    ASSERT_FALSE(disk.has_value());
    EXPECT_THAT(disk.error().message, HasSubstr("8:2"));
}

TEST(Disks, OfProcAreNone) {
    EXPECT_TRUE(disks_of({"/proc"}).value().empty());
    EXPECT_EQ(disks_of({"/nowhere/at/all"}).error().sys_errno, ENOENT);
}

} // namespace
} // namespace squish::cgroup
