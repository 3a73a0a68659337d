// What a container may use, as plain data, and how the kernel writes it.
//
// Sizes are bytes, times microseconds. What is not set is not limited. Source of the formats:
// Documentation/admin-guide/cgroup-v2.rst (Linux 6.1).
#pragma once

#include "base/result.h"
#include "cgroup/controllers.h"
#include "squishfile/squishfile.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::cgroup {

// A whole block device: io.max takes no partitions.
struct BlockDevice {
    std::uint32_t major = 0, minor = 0;
    std::string path; // "/dev/sda": how systemd wants it
    bool operator==(const BlockDevice&) const = default;
};

struct DeviceLimits {
    BlockDevice device;
    IoLimits rates;
    bool operator==(const DeviceLimits&) const = default;
};

struct CpuQuota {
    std::uint64_t quota = 0, period = 100'000; // microseconds of CPU time in each period
    std::uint64_t burst = 0;                   // what may be saved up in idle periods; at most the quota (Linux 5.14)
    bool operator==(const CpuQuota&) const = default;
};

struct Limits {
    std::optional<std::uint64_t> memory_max, memory_high, memory_low;
    std::optional<std::uint64_t> swap_max; // swap alone, not memory and swap together
    std::optional<CpuQuota> cpu;
    std::optional<std::uint64_t> cpu_weight; // 1 to 10000; 100 is what everybody has
    std::optional<std::string> cpuset;       // "0-1,3"
    std::optional<std::uint64_t> pids;       // processes and threads, squish's init included
    std::vector<DeviceLimits> io;
    std::map<std::string, std::uint64_t> hugetlb; // page size as the kernel names it ("2MB") → bytes
    bool operator==(const Limits&) const = default;
    [[nodiscard]] bool any() const { return *this != Limits{}; }
};

// The limits of a squishfile's [resources]. `devices`: those that its io limits are for; invalid where there are io
// limits and no device. `cpus` is a quota of a period of 0.1 s.
[[nodiscard]] Result<Limits> limits_of(const ResourceSpec& resources, const std::vector<BlockDevice>& devices);
// What contradicts itself (burst above quota, high above max) and what lies out of the kernel's range.
[[nodiscard]] Result<void> check(const Limits& limits);

// Which controllers these limits take, and for which key of the squishfile.
[[nodiscard]] std::vector<Need> needs(const Limits& limits);
[[nodiscard]] ControllerSet controllers_of(const Limits& limits);

// One write(2) to one file of a cgroup.
struct FileWrite {
    std::string file, value;
    bool operator==(const FileWrite&) const = default;
};
// The writes that lead from `from` to `to`, in an order that the kernel accepts at each step. With an empty `from`: to
// a cgroup that was just made.
[[nodiscard]] std::vector<FileWrite> to_files(const Limits& to, const Limits& from = {});

// "0-1,3" → 0 1 3; nothing where it is malformed or names a processor from 8192 on. cpuset(7), "List format".
[[nodiscard]] std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text);
// An error where `wanted` names processors that `available` (cpuset.cpus.effective of the parent) does not have: the
// kernel would quietly take the parent's.
[[nodiscard]] Result<void> check_cpuset(std::string_view wanted, std::string_view available);

} // namespace squish::cgroup
