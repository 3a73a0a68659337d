// From [resources] to what is written into a cgroup; pure but for the list of disks.
#pragma once

#include "base/result.h"
#include "squishfile/squishfile.h"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace squish::limits {

enum class Controller { cpu, cpuset, io, memory, pids, hugetlb };
using Controllers = std::set<Controller>;
[[nodiscard]] const char* to_string(Controller controller);
[[nodiscard]] Controllers parse_controllers(std::string_view text); // cgroup.controllers; unknown ones are left out

struct Device {
    std::uint32_t major = 0, minor = 0;
    std::string path; // "/dev/nvme0n1"
    auto operator<=>(const Device&) const = default;
};

// One file of a cgroup and what it is to say (Documentation/admin-guide/cgroup-v2.rst).
struct Setting {
    Controller controller;
    std::string file;      // "memory.max"
    std::string value;     // "268435456", "max", "259:0 rbps=1048576 wbps=max riops=max wiops=max"
    std::string key;       // of [resources]: "memory"
    bool optional = false; // nobody asked for it in so many words: left out where the cgroup has no such file
    bool operator==(const Setting&) const = default;
};

// The disks that an entry of `io` without a device means: whole disks of /sys/block, no loop or RAM disks.
[[nodiscard]] std::vector<Device> machine_disks();
// All processors that can ever be there: "0-7".
[[nodiscard]] std::string possible_cpus();
// By its node. Errors: invalid, naming [resources] io, where it is no block device, or a partition.
[[nodiscard]] Result<Device> find_device(const std::string& path);

// Everything that `wanted` asks for. What `before` asked for and `wanted` does not is set to its default ("max", "100",
// ""). `disks`: of machine_disks().
[[nodiscard]] Result<std::vector<Setting>> settings_of(const ResourceSpec& wanted, const ResourceSpec& before,
                                                       const std::vector<Device>& disks);
[[nodiscard]] Controllers controllers_of(const ResourceSpec& resources);
// The keys that `resources` sets and that need the controller: "memory, swap".
[[nodiscard]] std::string keys_of(const ResourceSpec& resources, Controller controller);

// By device, what [resources] io says; an entry with a device stands for all that an entry without one says of it.
[[nodiscard]] Result<std::map<Device, IoLimits>> io_limits_of(const ResourceSpec& resources,
                                                              const std::vector<Device>& disks);

// "0-1,3" as a bit for each processor, those of 0 to 7 in the first byte; nothing where it is no such list.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> parse_cpu_list(std::string_view text);
// Whether the processors that a cgroup really has (cpuset.cpus.effective) are among those that were asked for: where
// none of these can be had, the kernel takes all that the parent has, without an error.
[[nodiscard]] bool covers(std::string_view wanted, std::string_view effective);

// What the kernel would answer EINVAL to, and what could not run, in words. Needs no machine. Errors: invalid, with
// key.
[[nodiscard]] Result<void> check(const ResourceSpec& resources);

} // namespace squish::limits
