#include "limits/systemd_properties.h"

#include <cmath>

namespace squish::limits {

namespace {

using Number = std::optional<std::uint64_t>;

class Collected {
public:
    void number(const char* name, const Number& wanted, const Number& before, std::uint64_t otherwise = kNoLimit) {
        if (wanted || before)
            properties.push_back({name, wanted.value_or(otherwise)});
    }
    // All that are limited now, and those that are no longer.
    void rates(const char* name, std::optional<std::uint64_t> IoLimits::* member,
               const std::map<Device, IoLimits>& wanted, const std::map<Device, IoLimits>& before) {
        DeviceRates rates;
        for (const auto& [device, limits] : wanted)
            if (limits.*member)
                rates.emplace_back(device.path, *(limits.*member));
        for (const auto& [device, limits] : before) {
            const auto now = wanted.find(device);
            if (limits.*member && (now == wanted.end() || !(now->second.*member)))
                rates.emplace_back(device.path, kNoLimit);
        }
        if (!rates.empty())
            properties.push_back({name, std::move(rates)});
    }
    std::vector<Property> properties;
};

Number swap_of(const ResourceSpec& resources) {
    return resources.swap ? resources.swap : resources.memory;
}

Number cpu_per_second(const ResourceSpec& resources) {
    return resources.cpus ? Number(static_cast<std::uint64_t>(std::llround(*resources.cpus * 1e6))) : std::nullopt;
}

Number period_of(const ResourceSpec& resources) {
    return resources.cpu_period ? Number(static_cast<std::uint64_t>(resources.cpu_period->count())) : std::nullopt;
}

// A process more than the payload may have: the anchor.
Number tasks_of(const ResourceSpec& resources) {
    return resources.pids ? Number(*resources.pids + 1) : std::nullopt;
}

} // namespace

Result<std::vector<Property>> properties_of(const ResourceSpec& wanted, const ResourceSpec& before,
                                            const std::vector<Device>& disks, std::string_view cpus) {
    TRY(check(wanted));
    const auto now = TRY(io_limits_of(wanted, disks));
    auto earlier = io_limits_of(before, disks);
    const auto then = earlier ? *std::move(earlier) : std::map<Device, IoLimits>();
    Collected all;
    all.number("MemoryLow", wanted.memory_low, before.memory_low, 0);
    all.number("MemoryHigh", wanted.memory_high, before.memory_high);
    all.number("MemoryMax", wanted.memory, before.memory);
    all.number("MemorySwapMax", swap_of(wanted), swap_of(before));
    all.number("CPUQuotaPeriodUSec", period_of(wanted), period_of(before));
    all.number("CPUQuotaPerSecUSec", cpu_per_second(wanted), cpu_per_second(before));
    all.number("CPUWeight", wanted.cpu_weight, before.cpu_weight);
    if (wanted.cpuset || before.cpuset) {
        auto bits = parse_cpu_list(wanted.cpuset ? std::string_view(*wanted.cpuset) : cpus);
        all.properties.push_back({"AllowedCPUs", bits ? *std::move(bits) : std::vector<std::uint8_t>()});
    }
    all.number("TasksMax", tasks_of(wanted), tasks_of(before));
    all.rates("IOReadBandwidthMax", &IoLimits::read_bps, now, then);
    all.rates("IOWriteBandwidthMax", &IoLimits::write_bps, now, then);
    all.rates("IOReadIOPSMax", &IoLimits::read_iops, now, then);
    all.rates("IOWriteIOPSMax", &IoLimits::write_iops, now, then);
    return std::move(all.properties);
}

} // namespace squish::limits
