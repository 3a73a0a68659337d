// Which block devices and processors there are (sysfs).
#include "base/text.h"
#include "limits/settings.h"
#include "os/file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace squish::limits {

namespace {

namespace fs = std::filesystem;

// "259:0"
std::optional<Device> parse_numbers(std::string_view text, std::string path) {
    const auto parts = split(trim(text), ':');
    if (parts.size() != 2)
        return std::nullopt;
    const auto major = parse_number(parts[0]), minor = parse_number(parts[1]);
    if (!major || !minor || *major > UINT32_MAX || *minor > UINT32_MAX)
        return std::nullopt;
    return Device{static_cast<std::uint32_t>(*major), static_cast<std::uint32_t>(*minor), std::move(path)};
}

bool has_slaves(const fs::path& device) {
    std::error_code error;
    return fs::directory_iterator(device / "slaves", error) != fs::directory_iterator();
}

} // namespace

std::vector<Device> machine_disks() {
    std::vector<Device> disks;
    std::error_code error;
    for (fs::directory_iterator entry("/sys/block", error), end; !error && entry != end; entry.increment(error)) {
        auto name = entry->path().filename().string();
        // Memory, and files of others; what a loop device reads is limited where its file lies.
        const bool no_disk = std::ranges::any_of(std::array{"loop", "ram", "zram", "fd", "sr"},
                                                 [&](const char* kind) { return name.starts_with(kind); });
        // A device that is made of others (device mapper, RAID) is limited by theirs.
        if (no_disk || has_slaves(entry->path()))
            continue;
        std::ranges::replace(name, '!', '/'); // the kernel's spelling of "cciss/c0d0"
        const auto numbers = os::read_file((entry->path() / "dev").string(), 64);
        const auto size = os::read_file((entry->path() / "size").string(), 64);
        if (!numbers || !size || parse_number(trim(*size)).value_or(0) == 0) // no medium
            continue;
        if (auto device = parse_numbers(*numbers, "/dev/" + name))
            disks.push_back(*std::move(device));
    }
    std::ranges::sort(disks);
    return disks;
}

std::string possible_cpus() {
    const auto text = os::read_file("/sys/devices/system/cpu/possible", 4096);
    return text ? std::string(trim(*text)) : "0";
}

Result<Device> find_device(const std::string& path) {
    const auto what = "[resources] io: '" + printable(path) + "'";
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0)
        return std::unexpected(Error{ErrorKind::invalid, what + ": " + errno_text(errno), {}, errno});
    if (!S_ISBLK(info.st_mode))
        return fail(ErrorKind::invalid, what + " is no block device");
    const auto numbers = std::to_string(major(info.st_rdev)) + ":" + std::to_string(minor(info.st_rdev));
    std::error_code error;
    const auto node = fs::canonical("/sys/dev/block/" + numbers, error);
    if (!error && fs::exists(node / "partition", error)) // blk-throttle knows whole disks only
        return fail(ErrorKind::invalid, what + " is a partition, and only whole disks can be limited",
                    "name '/dev/" + node.parent_path().filename().string() + "'");
    const auto real = fs::canonical(path, error); // of a link such as /dev/disk/by-id/…
    return Device{major(info.st_rdev), minor(info.st_rdev), error ? path : real.string()};
}

} // namespace squish::limits
