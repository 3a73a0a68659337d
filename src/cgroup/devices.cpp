#include "cgroup/devices.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace squish::cgroup {

namespace {

constexpr std::size_t kMaxText = 64 << 10;

std::string number_of(dev_t device) {
    return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

// "DEVNAME=sda" among the lines of a uevent file.
std::string device_name(std::string_view uevent) {
    for (const auto line : split(uevent, '\n'))
        if (line.starts_with("DEVNAME="))
            return std::string(trim(line.substr(8)));
    return "";
}

} // namespace

Result<std::optional<BlockDevice>> disk_of(dev_t device, const std::string& sys) {
    const auto node = os::open_file(sys + "/dev/block/" + number_of(device), O_PATH | O_DIRECTORY);
    if (!node && node.error().sys_errno == ENOENT) // a number that stands for no device (major 0)
        return std::optional<BlockDevice>();
    if (!node)
        return std::unexpected(node.error());
    // A partition's folder lies in that of its disk.
    const bool partition = ::faccessat(node->get(), "partition", F_OK, 0) == 0;
    const std::string disk = partition ? "../" : "";
    const auto number = TRY(os::read_file_at(node->get(), disk + "dev", kMaxText));
    const auto name = device_name(TRY(os::read_file_at(node->get(), disk + "uevent", kMaxText)));
    const auto parts = split(trim(number), ':');
    const auto first = parse_number(parts.front()), second = parse_number(parts.back());
    if (parts.size() != 2 || !first || !second || name.empty())
        return fail(ErrorKind::system, "cannot make out the disk of block device " + number_of(device));
    return std::optional(
        BlockDevice{static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*second), "/dev/" + name});
}

Result<std::vector<BlockDevice>> disks_of(const std::vector<std::string>& paths) {
    std::vector<BlockDevice> disks;
    for (const auto& path : paths) {
        struct stat info{};
        if (::stat(path.c_str(), &info) < 0)
            return fail_errno("look at '" + printable(path) + "'");
        auto disk = TRY(disk_of(info.st_dev));
        if (disk && std::ranges::find(disks, *disk) == disks.end())
            disks.push_back(std::move(*disk));
    }
    return disks;
}

} // namespace squish::cgroup
