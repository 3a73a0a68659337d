#include "limits/settings.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <unistd.h>

namespace squish::limits {

namespace {

using std::chrono::microseconds;

constexpr microseconds kDefaultPeriod{100'000};
constexpr microseconds kLeastPeriod{1'000}, kMostPeriod{1'000'000}; // kernel/sched/core.c: {min,max}_cfs_quota_period
constexpr std::uint64_t kMaxCpu = 8192;                             // the kernel's largest NR_CPUS

constexpr std::array kAll{Controller::cpu,    Controller::cpuset, Controller::io,
                          Controller::memory, Controller::pids,   Controller::hugetlb};

std::uint64_t page_size() {
    return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string text_of(double value) {
    auto text = std::to_string(value);
    while (text.ends_with('0'))
        text.pop_back();
    if (text.ends_with('.'))
        text.pop_back();
    return text;
}

microseconds period_of(const ResourceSpec& resources) {
    return resources.cpu_period.value_or(kDefaultPeriod);
}

microseconds quota_of(const ResourceSpec& resources) {
    return microseconds(std::llround(*resources.cpus * static_cast<double>(period_of(resources).count())));
}

std::optional<std::uint64_t> swap_of(const ResourceSpec& resources) {
    return resources.swap ? resources.swap : resources.memory;
}

// The kernel counts in pages and rounds down (mm/page_counter.c).
std::string in_pages(std::uint64_t bytes) {
    return std::to_string(bytes / page_size() * page_size());
}

std::string hugetlb_file(std::uint64_t page) {
    // mm/hugetlb_cgroup.c: mem_fmt()
    const auto text = page >= 1U << 30   ? std::to_string(page >> 30) + "GB"
                      : page >= 1U << 20 ? std::to_string(page >> 20) + "MB"
                                         : std::to_string(page >> 10) + "KB";
    return "hugetlb." + text + ".max";
}

class Collected {
public:
    Collected(const ResourceSpec& wanted, const ResourceSpec& before) : wanted_(wanted), before_(before) {}

    void memory() {
        bytes("memory.low", "memory_low", wanted_.memory_low, before_.memory_low, "0");
        bytes("memory.high", "memory_high", wanted_.memory_high, before_.memory_high, "max");
        bytes("memory.max", "memory", wanted_.memory, before_.memory, "max");
        bytes("memory.swap.max", "swap", swap_of(wanted_), swap_of(before_), "max");
        if (!settings_.empty() && settings_.back().key == "swap")
            settings_.back().optional = !wanted_.swap; // a kernel without swap has no such file
    }
    void cpu() {
        const bool now = wanted_.cpus || wanted_.cpu_period, then = before_.cpus || before_.cpu_period;
        // A burst is at most the quota, at every moment.
        if (before_.cpu_burst)
            put(Controller::cpu, "cpu.max.burst", "0", "cpu_burst");
        if (now || then)
            put(Controller::cpu, "cpu.max",
                (wanted_.cpus ? std::to_string(quota_of(wanted_).count()) : "max") + " " +
                    std::to_string(period_of(wanted_).count()),
                "cpus");
        if (wanted_.cpu_burst)
            put(Controller::cpu, "cpu.max.burst", std::to_string(wanted_.cpu_burst->count()), "cpu_burst");
        if (wanted_.cpu_weight || before_.cpu_weight)
            put(Controller::cpu, "cpu.weight", std::to_string(wanted_.cpu_weight.value_or(100)), "cpu_weight");
        if (wanted_.cpuset || before_.cpuset)
            put(Controller::cpuset, "cpuset.cpus", wanted_.cpuset.value_or(""), "cpuset");
    }
    void pids() {
        if (wanted_.pids || before_.pids)
            put(Controller::pids, "pids.max", wanted_.pids ? std::to_string(*wanted_.pids) : "max", "pids");
    }
    void io(const std::map<Device, IoLimits>& now, const std::map<Device, IoLimits>& then) {
        auto all = now;
        all.insert(then.begin(), then.end()); // adds those that are no longer limited …
        for (const auto& [device, limits] : all) {
            const auto one = now.contains(device) ? limits : IoLimits(); // … and here lifts their limits
            const auto rate = [](const char* name, const std::optional<std::uint64_t>& value) {
                return std::string(" ") + name + "=" + (value ? std::to_string(*value) : "max");
            };
            put(Controller::io, "io.max",
                std::to_string(device.major) + ":" + std::to_string(device.minor) + rate("rbps", one.read_bps) +
                    rate("wbps", one.write_bps) + rate("riops", one.read_iops) + rate("wiops", one.write_iops),
                "io");
        }
    }
    void hugetlb() {
        std::map<std::uint64_t, std::string> pages;
        for (const auto& limit : before_.hugetlb)
            pages[limit.page_size] = "max";
        for (const auto& limit : wanted_.hugetlb)
            pages[limit.page_size] = std::to_string(limit.bytes / limit.page_size * limit.page_size);
        for (const auto& [page, value] : pages)
            put(Controller::hugetlb, hugetlb_file(page), value, "hugetlb");
    }
    std::vector<Setting> take() { return std::move(settings_); }

private:
    void put(Controller controller, std::string file, std::string value, std::string key) {
        settings_.push_back({controller, std::move(file), std::move(value), std::move(key)});
    }
    void bytes(const char* file, const char* key, const std::optional<std::uint64_t>& wanted,
               const std::optional<std::uint64_t>& before, const char* otherwise) {
        if (wanted || before)
            put(Controller::memory, file, wanted ? in_pages(*wanted) : otherwise, key);
    }

    const ResourceSpec& wanted_;
    const ResourceSpec& before_;
    std::vector<Setting> settings_;
};

Error invalid(const char* key, const std::string& why) {
    return {ErrorKind::invalid, std::string("[resources] ") + key + ": " + why, {}, 0};
}

Result<void> check_memory(const ResourceSpec& resources) {
    const auto& [memory, high, low] = std::tie(resources.memory, resources.memory_high, resources.memory_low);
    if (memory && *memory < page_size())
        return std::unexpected(invalid("memory", "less than a page of memory leaves nothing to run in"));
    if (memory && high && *high > *memory)
        return std::unexpected(invalid("memory_high", "is more than memory, so that it would have no effect"));
    if (memory && low && *low > *memory)
        return std::unexpected(invalid("memory_low", "is more than memory, so it cannot be protected"));
    return {};
}

Result<void> check_cpu(const ResourceSpec& resources) {
    const auto period = period_of(resources);
    if (period < kLeastPeriod || period > kMostPeriod)
        return std::unexpected(invalid("cpu_period", "must be between 1ms and 1s"));
    if (resources.cpus && !(std::isfinite(*resources.cpus) && *resources.cpus > 0 && *resources.cpus <= kMaxCpu))
        return std::unexpected(invalid("cpus", "must be more than 0, and at most 8192"));
    if (resources.cpus && quota_of(resources) < kLeastPeriod)
        return std::unexpected(
            invalid("cpus", text_of(*resources.cpus) + " of a cpu_period of " + std::to_string(period.count()) +
                                " µs is less than 1ms, the least that the kernel counts; choose a longer cpu_period"));
    if (resources.cpu_burst && !resources.cpus)
        return std::unexpected(invalid("cpu_burst", "needs cpus: what is saved up is what they leave over"));
    if (resources.cpu_burst && *resources.cpu_burst > quota_of(resources))
        return std::unexpected(invalid("cpu_burst", "is more than cpus × cpu_period (" +
                                                        std::to_string(quota_of(resources).count()) +
                                                        " µs), the most that the kernel lets one save up"));
    if (resources.cpu_weight && (*resources.cpu_weight < 1 || *resources.cpu_weight > 10'000))
        return std::unexpected(invalid("cpu_weight", "must be between 1 and 10000"));
    if (resources.cpuset && !parse_cpu_list(*resources.cpuset))
        return std::unexpected(invalid("cpuset", "must be a list of processors such as \"0-1,3\""));
    return {};
}

} // namespace

const char* to_string(Controller controller) {
    switch (controller) {
    case Controller::cpu:
        return "cpu";
    case Controller::cpuset:
        return "cpuset";
    case Controller::io:
        return "io";
    case Controller::memory:
        return "memory";
    case Controller::pids:
        return "pids";
    case Controller::hugetlb:
        return "hugetlb";
    }
    std::unreachable();
}

Controllers parse_controllers(std::string_view text) {
    Controllers found;
    for (const auto line : split(text, '\n'))
        for (const auto word : split(line, ' '))
            for (const auto controller : kAll)
                if (word == to_string(controller))
                    found.insert(controller);
    return found;
}

std::string keys_of(const ResourceSpec& resources, Controller controller) {
    std::vector<std::string> keys;
    const auto add = [&](Controller of, const char* key, bool given) {
        if (given && of == controller)
            keys.emplace_back(key);
    };
    add(Controller::memory, "memory", resources.memory.has_value());
    add(Controller::memory, "memory_high", resources.memory_high.has_value());
    add(Controller::memory, "memory_low", resources.memory_low.has_value());
    add(Controller::memory, "swap", resources.swap.has_value());
    add(Controller::cpu, "cpus", resources.cpus.has_value());
    add(Controller::cpu, "cpu_period", resources.cpu_period.has_value());
    add(Controller::cpu, "cpu_burst", resources.cpu_burst.has_value());
    add(Controller::cpu, "cpu_weight", resources.cpu_weight.has_value());
    add(Controller::cpuset, "cpuset", resources.cpuset.has_value());
    add(Controller::pids, "pids", resources.pids.has_value());
    add(Controller::io, "io", !resources.io.empty());
    add(Controller::hugetlb, "hugetlb", !resources.hugetlb.empty());
    return join(keys, ", ");
}

Controllers controllers_of(const ResourceSpec& resources) {
    Controllers needed;
    for (const auto controller : kAll)
        if (!keys_of(resources, controller).empty())
            needed.insert(controller);
    return needed;
}

Result<std::map<Device, IoLimits>> io_limits_of(const ResourceSpec& resources, const std::vector<Device>& disks) {
    std::map<Device, IoLimits> limits;
    for (const auto& entry : resources.io) {
        if (!entry.device.empty())
            continue;
        if (disks.empty())
            return fail(ErrorKind::unsupported, "[resources] io: there is no disk here that could be limited",
                        "name the device: device = \"/dev/…\"");
        for (const auto& disk : disks)
            limits[disk] = entry;
    }
    for (const auto& entry : resources.io) {
        if (entry.device.empty())
            continue;
        const auto known =
            std::ranges::find_if(disks, [&](const Device& device) { return device.path == entry.device; });
        auto device = known != disks.end() ? Result<Device>(*known) : find_device(entry.device);
        if (!device)
            return std::unexpected(std::move(device).error());
        limits[*std::move(device)] = entry;
    }
    return limits;
}

Result<std::vector<Setting>> settings_of(const ResourceSpec& wanted, const ResourceSpec& before,
                                         const std::vector<Device>& disks) {
    TRY(check(wanted));
    const auto now = TRY(io_limits_of(wanted, disks));
    auto then = io_limits_of(before, disks); // fails where a device was taken out meanwhile, and its limits with it
    Collected collected(wanted, before);
    collected.memory();
    collected.cpu();
    collected.pids();
    collected.io(now, then ? *then : std::map<Device, IoLimits>());
    collected.hugetlb();
    return collected.take();
}

Result<void> check(const ResourceSpec& resources) {
    TRY(check_memory(resources));
    TRY(check_cpu(resources));
    if (resources.pids && *resources.pids == 0)
        return std::unexpected(invalid("pids", "must be at least 1"));
    for (const auto& limit : resources.hugetlb)
        if (limit.page_size < 1024 || (limit.page_size & (limit.page_size - 1)) != 0)
            return std::unexpected(invalid("hugetlb", "a page size is a power of two: \"2M\", \"1G\""));
    return {};
}

std::optional<std::vector<std::uint8_t>> parse_cpu_list(std::string_view text) {
    std::vector<std::uint8_t> bits;
    for (const auto part : split(text, ',')) {
        const auto dash = part.find('-');
        const auto first = parse_number(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
        if (!first || !last || *first > *last || *last >= kMaxCpu)
            return std::nullopt;
        if (bits.size() <= *last / 8)
            bits.resize(*last / 8 + 1);
        for (auto cpu = *first; cpu <= *last; ++cpu)
            bits[cpu / 8] = static_cast<std::uint8_t>(bits[cpu / 8] | (1U << (cpu % 8)));
    }
    return bits;
}

bool covers(std::string_view wanted, std::string_view effective) {
    const auto asked = parse_cpu_list(wanted), got = parse_cpu_list(effective);
    if (!asked || !got)
        return false;
    for (std::size_t i = 0; i < got->size(); ++i)
        if ((*got)[i] & ~(i < asked->size() ? (*asked)[i] : 0U))
            return false;
    return true;
}

} // namespace squish::limits
