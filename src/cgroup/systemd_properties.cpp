#include "cgroup/systemd_properties.h"

#include <algorithm>
#include <cmath>

namespace squish::cgroup {

namespace {

// One bit for each processor, the lowest first; an empty array takes the setting back.
std::vector<std::uint8_t> cpu_mask(const std::optional<std::string>& list) {
    std::vector<std::uint8_t> mask;
    if (!list)
        return mask;
    for (const auto number : parse_cpu_list(*list).value_or(std::vector<unsigned>{})) {
        if (mask.size() <= number / 8)
            mask.resize(number / 8 + 1);
        mask[number / 8] = static_cast<std::uint8_t>(mask[number / 8] | (1U << (number % 8)));
    }
    return mask;
}

using Rate = std::optional<std::uint64_t> IoLimits::*;

// A device that is not limited any more is named with infinity; without any change, nothing.
void add_io(std::vector<Property>& out, const char* name, Rate rate, const Limits& to, const Limits& from) {
    const auto rate_of = [&](const Limits& limits, const BlockDevice& device) -> std::optional<std::uint64_t> {
        const auto found = std::ranges::find(limits.io, device, &DeviceLimits::device);
        return found == limits.io.end() ? std::nullopt : found->rates.*rate;
    };
    Property::Devices devices;
    for (const auto& [device, rates] : to.io)
        if (const auto value = rate_of(to, device); value != rate_of(from, device))
            devices.emplace_back(device.path, value.value_or(kInfinity));
    for (const auto& [device, rates] : from.io)
        if (std::ranges::find(to.io, device, &DeviceLimits::device) == to.io.end() && rate_of(from, device))
            devices.emplace_back(device.path, kInfinity);
    if (!devices.empty())
        out.push_back({name, std::move(devices)});
}

// Microseconds in each second of real time.
std::uint64_t per_second(const CpuQuota& cpu) {
    return static_cast<std::uint64_t>(
        std::llround(1e6 * static_cast<double>(cpu.quota) / static_cast<double>(cpu.period)));
}

} // namespace

std::vector<Property> to_properties(const Limits& to, const Limits& from) {
    std::vector<Property> out;
    const auto add = [&](const char* name, const auto& now, const auto& before, std::uint64_t otherwise) {
        if (now != before)
            out.push_back({name, std::uint64_t{now.value_or(otherwise)}});
    };
    add("MemoryLow", to.memory_low, from.memory_low, 0);
    add("MemoryHigh", to.memory_high, from.memory_high, kInfinity);
    add("MemorySwapMax", to.swap_max, from.swap_max, kInfinity);
    add("MemoryMax", to.memory_max, from.memory_max, kInfinity);
    if (to.cpu != from.cpu) {
        out.push_back({"CPUQuotaPerSecUSec", to.cpu ? per_second(*to.cpu) : kInfinity});
        out.push_back({"CPUQuotaPeriodUSec", to.cpu ? to.cpu->period : kInfinity});
    }
    add("CPUWeight", to.cpu_weight, from.cpu_weight, kInfinity);
    if (to.cpuset != from.cpuset)
        out.push_back({"AllowedCPUs", cpu_mask(to.cpuset)});
    if (to.pids != from.pids)
        out.push_back({"TasksMax", to.pids ? *to.pids + 1 : kInfinity});
    add_io(out, "IOReadBandwidthMax", &IoLimits::read_bps, to, from);
    add_io(out, "IOWriteBandwidthMax", &IoLimits::write_bps, to, from);
    add_io(out, "IOReadIOPSMax", &IoLimits::read_iops, to, from);
    add_io(out, "IOWriteIOPSMax", &IoLimits::write_iops, to, from);
    return out;
}

std::vector<Need> unknown_to_systemd(const Limits& limits) {
    std::vector<Need> out;
    for (auto& need : needs(limits))
        if (need.controller == Controller::hugetlb)
            out.push_back(std::move(need));
    return out;
}

} // namespace squish::cgroup
