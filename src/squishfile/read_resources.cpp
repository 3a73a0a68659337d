// [resources]: what the container may use; of a squishfile, and of an update of a container that runs.
#include "base/text.h"
#include "squishfile/sections.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace squish {

namespace reader {

namespace {

constexpr double kMaxCpus = 8192;             // the kernel's largest NR_CPUS (arch/x86/Kconfig)
constexpr std::uint64_t kMaxPids = 4'194'304; // PID_MAX_LIMIT (include/linux/threads.h)
constexpr std::uint64_t kMaxIops = 1'000'000'000;
constexpr std::uint64_t kMaxWeight = 10'000; // CGROUP_WEIGHT_MAX (include/linux/cgroup.h)
constexpr std::size_t kMaxDevices = 64;
constexpr std::size_t kMaxPageSizes = 16;

constexpr std::array<std::string_view, 12> kResourceKeys{"memory", "memory_high", "memory_low", "swap",
                                                         "cpus",   "cpu_period",  "cpu_burst",  "cpu_weight",
                                                         "cpuset", "pids",        "io",         "hugetlb"};

// cpuset(7), "List format": "0-1,3".
bool is_cpu_list(std::string_view text) {
    return std::ranges::all_of(split(text, ','), [](std::string_view part) {
        const auto ends = split(part, '-');
        const auto first = parse_number(ends.front()), last = parse_number(ends.back());
        return ends.size() <= 2 && first && last && *first <= *last && *last < static_cast<std::uint64_t>(kMaxCpus);
    });
}

std::optional<std::string> read_cpuset(const Node& node) {
    auto list = node.string("a string such as \"0-1,3\"");
    if (list && !is_cpu_list(*list))
        node.fail("must be a list of processors such as \"0-1,3\", each below 8192, not " + quoted(*list));
    return list;
}

// The kernel takes 1 ms to 1 s (min_cfs_quota_period and max_cfs_quota_period, kernel/sched/core.c).
std::optional<std::chrono::microseconds> read_period(const Node& node) {
    const auto period = read_duration(node);
    if (period && *period > std::chrono::seconds(1)) {
        node.fail("must be between 1ms and 1s");
        return std::nullopt;
    }
    return period;
}

bool is_device_path(std::string_view path) {
    constexpr std::string_view kFolder = "/dev/";
    if (!path.starts_with(kFolder) || path.size() > kMaxPathBytes)
        return false;
    return std::ranges::none_of(split(path.substr(kFolder.size()), '/'),
                                [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

IoLimits read_device(const Node& node) {
    IoLimits io;
    const auto table = node.table({"device", "read_bps", "write_bps", "read_iops", "write_iops"});
    const auto rate = [&](std::string_view key) -> std::optional<std::uint64_t> {
        const auto limit = table.get(key);
        const auto bytes = limit ? read_size(*limit) : std::nullopt;
        if (bytes && *bytes == 0)
            limit->fail("must not be 0; leave it out for no limit");
        return bytes;
    };
    const auto count = [&](std::string_view key) -> std::optional<std::uint64_t> {
        const auto limit = table.get(key);
        return limit ? limit->integer(1, kMaxIops) : std::nullopt;
    };
    if (const auto device = table.get("device")) {
        io.device = device->string("a string such as \"/dev/sda\"").value_or("");
        if (device->kind() == Value::Kind::string && !is_device_path(io.device))
            device->fail("must be an absolute path below /dev, such as \"/dev/sda\", not " + quoted(io.device));
        else if (node.size() == 1)
            node.fail("limits nothing: give read_bps, write_bps, read_iops or write_iops");
    }
    io.read_bps = rate("read_bps");
    io.write_bps = rate("write_bps");
    io.read_iops = count("read_iops");
    io.write_iops = count("write_iops");
    return io;
}

// One table, or an array of them.
std::vector<IoLimits> read_io(const Node& node) {
    std::vector<IoLimits> io;
    const auto add = [&](const Node& entry) {
        auto limits = read_device(entry);
        if (limits == IoLimits{})
            return;
        if (std::ranges::find(io, limits.device, &IoLimits::device) != io.end())
            entry.fail(limits.device.empty() ? "repeats the limits of all disks: only one entry can be without a device"
                                             : "repeats the device " + quoted(limits.device));
        io.push_back(std::move(limits));
    };
    if (node.kind() == Value::Kind::table)
        add(node);
    else
        for (const auto& entry : node.items("a table or an array of tables", kMaxDevices))
            add(entry);
    return io;
}

// { "2M" = "64M" }
std::vector<HugetlbLimit> read_hugetlb(const Node& node) {
    std::vector<HugetlbLimit> limits;
    for (const auto& entry : node.members(kMaxPageSizes)) {
        const auto page = parse_size(entry.key());
        const auto bytes = read_size(entry);
        if (!page || *page < 4096 || (*page & (*page - 1)) != 0)
            entry.report().add(entry.key_at(), quoted(entry.key()) + " in " + table_name(node) +
                                                   " is not the size of a page: \"2M\" and \"1G\" are usual");
        else if (std::ranges::find(limits, *page, &HugetlbLimit::page_size) != limits.end())
            entry.fail("repeats a size of pages");
        else if (bytes)
            limits.push_back({*page, *bytes});
    }
    return limits;
}

ResourceSpec read_keys(const Node& node) {
    ResourceSpec resources;
    resources.at = node.key_at();
    const auto table = node.table(kResourceKeys);
    const auto read = [&](std::string_view key, auto reader, auto& into) {
        if (const auto value = table.get(key))
            into = reader(*value);
    };
    read("memory", read_memory, resources.memory);
    read("memory_high", read_memory, resources.memory_high);
    read("memory_low", read_size, resources.memory_low);
    read("swap", read_size, resources.swap);
    read("cpus", read_cpus, resources.cpus);
    read("cpu_period", read_period, resources.cpu_period);
    read("cpu_burst", read_duration, resources.cpu_burst);
    read("cpu_weight", [](const Node& weight) { return weight.integer(1, kMaxWeight); }, resources.cpu_weight);
    read("cpuset", read_cpuset, resources.cpuset);
    read("pids", [](const Node& pids) { return pids.integer(1, kMaxPids); }, resources.pids);
    read("io", read_io, resources.io);
    read("hugetlb", read_hugetlb, resources.hugetlb);
    return resources;
}

// What no single key is to blame for.
struct Mismatch {
    std::string_view key;
    std::string_view why;
};

std::vector<Mismatch> mismatches(const ResourceSpec& resources) {
    using namespace std::chrono_literals;
    std::vector<Mismatch> out;
    if (resources.memory && resources.memory_high > resources.memory)
        out.push_back({"memory_high", "must not be more than memory, at which the kernel kills"});
    if (resources.memory && resources.memory_low > resources.memory)
        out.push_back({"memory_low", "must not be more than memory"});
    const auto period = resources.cpu_period.value_or(100ms);
    const auto quota = resources.cpus.value_or(0) * static_cast<double>(period.count()); // microseconds
    // Of the kernel: the same smallest value for the quota as for the period (tg_set_cfs_bandwidth).
    if (resources.cpus && quota < 999.5)
        out.push_back({"cpu_period", "is too short for these cpus: cpus times cpu_period must be at least 1ms"});
    if (resources.cpu_burst && !resources.cpus)
        out.push_back({"cpu_burst", "has no effect without cpus"});
    else if (resources.cpu_burst && static_cast<double>(resources.cpu_burst->count()) > quota)
        out.push_back({"cpu_burst", "must not be more than cpus times cpu_period (of 100ms where none is given)"});
    return out;
}

} // namespace

std::optional<std::uint64_t> read_size(const Node& node) {
    if (node.kind() == Value::Kind::integer)
        return node.integer(0, std::numeric_limits<std::int64_t>::max());
    const auto text = node.string("a size such as \"256M\"");
    if (!text)
        return std::nullopt;
    const auto bytes = parse_size(*text);
    if (!bytes) {
        node.fail(bytes.error().text());
        return std::nullopt;
    }
    return *bytes;
}

std::optional<std::uint64_t> read_memory(const Node& node) {
    const auto bytes = read_size(node);
    if (bytes && *bytes == 0) {
        node.fail("must not be 0, which would leave nothing to run in; leave it out for no limit");
        return std::nullopt;
    }
    return bytes;
}

std::optional<double> read_cpus(const Node& node) {
    const auto cpus = node.number();
    if (cpus && !(std::isfinite(*cpus) && *cpus >= 0.01 && *cpus <= kMaxCpus)) {
        node.fail("must be between 0.01 and 8192");
        return std::nullopt;
    }
    return cpus;
}

std::optional<std::chrono::milliseconds> read_duration(const Node& node) {
    const auto text = node.string("a string such as \"5s\"");
    if (!text)
        return std::nullopt;
    const auto duration = parse_duration(*text);
    if (!duration) {
        node.fail(duration.error().text());
        return std::nullopt;
    }
    return *duration;
}

ResourceSpec read_resources(const Node& node) {
    const auto resources = read_keys(node);
    for (const auto& [key, why] : mismatches(resources)) // of keys that are there
        for (const auto& member : node.members(kResourceKeys.size()))
            if (member.key() == key)
                member.fail(why);
    return resources;
}

} // namespace reader

namespace {

// For update requests, where the table has no name: "'memory' must be …; 'pids' must be …".
std::unexpected<Error> refuse(std::vector<Diagnostic> diagnostics) {
    std::vector<std::string> messages;
    messages.reserve(diagnostics.size());
    for (auto& diagnostic : diagnostics)
        messages.push_back(std::move(diagnostic.message));
    return fail(ErrorKind::invalid, join(messages, "; "));
}

bool is_lifted(const reader::Value& value) {
    return value.kind == reader::Value::Kind::null ||
           (value.kind == reader::Value::Kind::string && value.text == "max");
}

} // namespace

Result<ResourceEdit> parse_resources_json(std::string_view json) {
    if (json.size() > kMaxSquishfileBytes)
        return fail(ErrorKind::invalid, "the limits are too large: at most " + std::to_string(kMaxSquishfileBytes));
    auto tree = reader::read_json(json, reader::Nulls::kept);
    if (!tree)
        return refuse(std::move(tree).error());
    ResourceEdit edit;
    std::erase_if(tree->members, [&](const reader::Value::Member& member) {
        const bool lifted = is_lifted(member.value) &&
                            std::ranges::find(reader::kResourceKeys, member.key) != reader::kResourceKeys.end();
        if (lifted)
            edit.lifted.push_back(member.key);
        return lifted;
    });
    reader::Report report;
    edit.set = reader::read_keys(reader::Node(*tree, {}, {}, report));
    if (!report.empty())
        return refuse(std::move(report).take());
    for (const auto& member : tree->members) // "io": {} is another way to say that
        if ((member.key == "io" && edit.set.io.empty()) || (member.key == "hugetlb" && edit.set.hugetlb.empty()))
            edit.lifted.push_back(member.key);
    return edit;
}

Result<ResourceSpec> merge(const ResourceSpec& before, const ResourceEdit& edit) {
    auto after = before;
    const auto change = [&](std::string_view key, auto member) {
        if (edit.set.*member != ResourceSpec{}.*member)
            after.*member = edit.set.*member;
        else if (std::ranges::find(edit.lifted, key) != edit.lifted.end())
            after.*member = ResourceSpec{}.*member;
    };
    change("memory", &ResourceSpec::memory);
    change("memory_high", &ResourceSpec::memory_high);
    change("memory_low", &ResourceSpec::memory_low);
    change("swap", &ResourceSpec::swap);
    change("cpus", &ResourceSpec::cpus);
    change("cpu_period", &ResourceSpec::cpu_period);
    change("cpu_burst", &ResourceSpec::cpu_burst);
    change("cpu_weight", &ResourceSpec::cpu_weight);
    change("cpuset", &ResourceSpec::cpuset);
    change("pids", &ResourceSpec::pids);
    change("io", &ResourceSpec::io);
    change("hugetlb", &ResourceSpec::hugetlb);
    std::vector<std::string> messages;
    for (const auto& [key, why] : reader::mismatches(after))
        messages.push_back("'" + std::string(key) + "' " + std::string(why));
    if (!messages.empty())
        return fail(ErrorKind::invalid, join(messages, "; "));
    return after;
}

} // namespace squish
