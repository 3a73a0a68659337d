#include "cgroup/limits.h"

#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace squish::cgroup {

namespace {

constexpr std::uint64_t kPeriod = 100'000;
constexpr std::uint64_t kLeastQuota = 1'000, kMostPeriod = 1'000'000; // kernel/sched/core.c
constexpr unsigned kMaxProcessors = 8192;                             // arch/x86/Kconfig, NR_CPUS

std::string or_max(const std::optional<std::uint64_t>& value) {
    return value ? std::to_string(*value) : "max";
}

std::string cpu_max(const std::optional<CpuQuota>& cpu) {
    return cpu ? std::to_string(cpu->quota) + " " + std::to_string(cpu->period) : "max " + std::to_string(kPeriod);
}

std::string io_max(const BlockDevice& device, const IoLimits& rates) {
    return std::to_string(device.major) + ":" + std::to_string(device.minor) + " rbps=" + or_max(rates.read_bps) +
           " wbps=" + or_max(rates.write_bps) + " riops=" + or_max(rates.read_iops) +
           " wiops=" + or_max(rates.write_iops);
}

const DeviceLimits* find_device(const std::vector<DeviceLimits>& io, const BlockDevice& device) {
    const auto found = std::ranges::find(io, device, &DeviceLimits::device);
    return found == io.end() ? nullptr : &*found;
}

void add_cpu(std::vector<FileWrite>& out, const Limits& to, const Limits& from) {
    if (to.cpu != from.cpu) {
        const auto old_burst = from.cpu ? from.cpu->burst : 0, burst = to.cpu ? to.cpu->burst : 0;
        // A quota below the burst in force is refused.
        if (old_burst > 0 && (!to.cpu || to.cpu->quota < old_burst))
            out.push_back({"cpu.max.burst", "0"});
        out.push_back({"cpu.max", cpu_max(to.cpu)});
        if (burst != old_burst && (burst > 0 || out.size() < 2 || out[out.size() - 2].file != "cpu.max.burst"))
            out.push_back({"cpu.max.burst", std::to_string(burst)});
    }
    if (to.cpu_weight != from.cpu_weight)
        out.push_back({"cpu.weight", std::to_string(to.cpu_weight.value_or(100))});
    if (to.cpuset != from.cpuset)
        out.push_back({"cpuset.cpus", to.cpuset ? *to.cpuset : "\n"}); // an empty write(2) would do nothing
}

void add_io(std::vector<FileWrite>& out, const Limits& to, const Limits& from) {
    for (const auto& [device, rates] : from.io)
        if (!find_device(to.io, device))
            out.push_back({"io.max", io_max(device, {})});
    for (const auto& [device, rates] : to.io)
        if (const auto* old = find_device(from.io, device); !old || old->rates != rates)
            out.push_back({"io.max", io_max(device, rates)});
}

} // namespace

Result<Limits> limits_of(const ResourceSpec& resources, const std::vector<BlockDevice>& devices) {
    Limits limits;
    limits.memory_max = resources.memory;
    limits.swap_max = resources.swap;
    if (resources.cpus)
        limits.cpu = CpuQuota{static_cast<std::uint64_t>(std::llround(*resources.cpus * kPeriod)), kPeriod, 0};
    if (limits.cpu && resources.cpu_burst)
        limits.cpu->burst = static_cast<std::uint64_t>(std::chrono::microseconds(*resources.cpu_burst).count());
    limits.memory_high = resources.memory_high;
    limits.memory_low = resources.memory_low;
    limits.cpu_weight = resources.cpu_weight;
    limits.hugetlb.insert(resources.hugetlb.begin(), resources.hugetlb.end());
    limits.cpuset = resources.cpuset;
    limits.pids = resources.pids;
    if (resources.io != IoLimits{}) {
        if (devices.empty())
            return fail(ErrorKind::unsupported,
                        "[resources] io cannot be enforced here: the container's files lie on no block device",
                        "leave io out, or put the files on a disk (tmpfs, overlay and network file systems have none)");
        for (const auto& device : devices)
            limits.io.push_back({device, resources.io});
    }
    TRY(check(limits));
    return limits;
}

Result<void> check(const Limits& limits) {
    const auto invalid = [](std::string message) { return fail(ErrorKind::invalid, std::move(message)); };
    if (limits.memory_max && *limits.memory_max == 0)
        return invalid("memory must not be 0, which would leave nothing to run in");
    if (limits.memory_max && limits.memory_high && *limits.memory_high > *limits.memory_max)
        return invalid("memory_high must not be above memory");
    if (limits.memory_max && limits.memory_low && *limits.memory_low > *limits.memory_max)
        return invalid("memory_low must not be above memory");
    if (limits.cpu) {
        const auto& cpu = *limits.cpu;
        if (cpu.period < kLeastQuota || cpu.period > kMostPeriod)
            return invalid("the cpu period must be between 1 ms and 1 s");
        if (cpu.quota < kLeastQuota)
            return invalid("cpus must leave at least 1 ms of each period");
        if (cpu.burst > cpu.quota)
            return invalid("cpu_burst must not be above what a period allows (cpus)");
    }
    if (limits.cpu_weight && (*limits.cpu_weight < 1 || *limits.cpu_weight > 10'000))
        return invalid("cpu_weight must be between 1 and 10000");
    if (limits.cpuset && !parse_cpu_list(*limits.cpuset))
        return invalid("cpuset must be a list of processors such as \"0-1,3\", not '" + printable(*limits.cpuset) +
                       "'");
    if (limits.pids && *limits.pids == 0)
        return invalid("pids must not be 0, which would not let anything start");
    return {};
}

std::vector<Need> needs(const Limits& limits) {
    std::vector<Need> out;
    const auto add = [&](bool set, const char* key, Controller controller) {
        if (set)
            out.push_back({key, controller});
    };
    add(limits.memory_max.has_value(), "memory", Controller::memory);
    add(limits.memory_high.has_value(), "memory_high", Controller::memory);
    add(limits.memory_low.has_value(), "memory_low", Controller::memory);
    add(limits.swap_max.has_value(), "swap", Controller::memory);
    add(limits.cpu.has_value(), "cpus", Controller::cpu);
    add(limits.cpu_weight.has_value(), "cpu_weight", Controller::cpu);
    add(limits.cpuset.has_value(), "cpuset", Controller::cpuset);
    add(limits.pids.has_value(), "pids", Controller::pids);
    add(!limits.io.empty(), "io", Controller::io);
    add(!limits.hugetlb.empty(), "hugetlb", Controller::hugetlb);
    return out;
}

ControllerSet controllers_of(const Limits& limits) {
    ControllerSet set;
    for (const auto& need : needs(limits))
        set.insert(need.controller);
    return set;
}

std::vector<FileWrite> to_files(const Limits& to, const Limits& from) {
    std::vector<FileWrite> out;
    if (to.memory_low != from.memory_low)
        out.push_back({"memory.low", std::to_string(to.memory_low.value_or(0))});
    if (to.memory_high != from.memory_high)
        out.push_back({"memory.high", or_max(to.memory_high)});
    // Swap before memory: what a smaller memory.max pushes out must not go where it may not.
    if (to.swap_max != from.swap_max)
        out.push_back({"memory.swap.max", or_max(to.swap_max)});
    if (to.memory_max != from.memory_max)
        out.push_back({"memory.max", or_max(to.memory_max)});
    add_cpu(out, to, from);
    if (to.pids != from.pids)
        out.push_back({"pids.max", or_max(to.pids)});
    add_io(out, to, from);
    for (const auto& [size, bytes] : from.hugetlb)
        if (!to.hugetlb.contains(size))
            out.push_back({"hugetlb." + size + ".max", "max"});
    for (const auto& [size, bytes] : to.hugetlb)
        if (const auto old = from.hugetlb.find(size); old == from.hugetlb.end() || old->second != bytes)
            out.push_back({"hugetlb." + size + ".max", std::to_string(bytes)});
    return out;
}

std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
    std::vector<unsigned> out;
    for (const auto part : split(trim(text), ',')) {
        const auto ends = split(part, '-');
        const auto first = parse_number(ends.front()), last = parse_number(ends.back());
        if (ends.size() > 2 || !first || !last || *first > *last || *last >= kMaxProcessors)
            return std::nullopt;
        for (auto number = *first; number <= *last; ++number)
            out.push_back(static_cast<unsigned>(number));
    }
    std::ranges::sort(out);
    const auto repeated = std::ranges::unique(out);
    out.erase(repeated.begin(), repeated.end());
    return out;
}

Result<void> check_cpuset(std::string_view wanted, std::string_view available) {
    const auto asked = parse_cpu_list(wanted), there = parse_cpu_list(available);
    if (!asked || !there)
        return fail(ErrorKind::invalid,
                    "'" + printable(trim(asked ? available : wanted)) + "' is not a list of processors");
    std::vector<unsigned> absent;
    std::ranges::set_difference(*asked, *there, std::back_inserter(absent));
    if (absent.empty())
        return {};
    return fail(ErrorKind::unsupported,
                "[resources] cpuset \"" + printable(wanted) + "\" names processor " + std::to_string(absent.front()) +
                    ", which cannot be used here",
                "there are " + printable(trim(available)));
}

} // namespace squish::cgroup
