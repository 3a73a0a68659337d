// [resources], [security] and [procfs]: what the container may use, may do, and is shown.
#include "base/text.h"
#include "squishfile/sections.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace squish::reader {

namespace {

constexpr double kMaxCpus = 8192;             // the kernel's largest NR_CPUS (arch/x86/Kconfig)
constexpr std::uint64_t kMaxPids = 4'194'304; // PID_MAX_LIMIT (include/linux/threads.h)
constexpr std::uint64_t kMaxIops = 1'000'000'000;
constexpr std::uint64_t kMaxWeight = 10'000;           // CGROUP_WEIGHT_MAX (include/linux/cgroup.h)
constexpr std::chrono::milliseconds kPeriod{100};      // of the quota that `cpus` is
constexpr std::size_t kMaxDevices = 16, kMaxSizes = 8; // no machine has more sizes of huge pages

// capabilities(7), Linux 6.1; without the CAP_.
constexpr std::array<std::string_view, 41> kCapabilities{"AUDIT_CONTROL",   "AUDIT_READ",   "AUDIT_WRITE",
                                                         "BLOCK_SUSPEND",   "BPF",          "CHECKPOINT_RESTORE",
                                                         "CHOWN",           "DAC_OVERRIDE", "DAC_READ_SEARCH",
                                                         "FOWNER",          "FSETID",       "IPC_LOCK",
                                                         "IPC_OWNER",       "KILL",         "LEASE",
                                                         "LINUX_IMMUTABLE", "MAC_ADMIN",    "MAC_OVERRIDE",
                                                         "MKNOD",           "NET_ADMIN",    "NET_BIND_SERVICE",
                                                         "NET_BROADCAST",   "NET_RAW",      "PERFMON",
                                                         "SETFCAP",         "SETGID",       "SETPCAP",
                                                         "SETUID",          "SYSLOG",       "SYS_ADMIN",
                                                         "SYS_BOOT",        "SYS_CHROOT",   "SYS_MODULE",
                                                         "SYS_NICE",        "SYS_PACCT",    "SYS_PTRACE",
                                                         "SYS_RAWIO",       "SYS_RESOURCE", "SYS_TIME",
                                                         "SYS_TTY_CONFIG",  "WAKE_ALARM"};

std::optional<double> read_cpus(const Node& node) {
    const auto cpus = node.number();
    if (cpus && !(std::isfinite(*cpus) && *cpus >= 0.01 && *cpus <= kMaxCpus)) {
        node.fail("must be between 0.01 and 8192");
        return std::nullopt;
    }
    return cpus;
}

// cpuset(7), "List format": "0-1,3".
bool is_cpu_list(std::string_view text) {
    return std::ranges::all_of(split(text, ','), [](std::string_view part) {
        const auto ends = split(part, '-');
        const auto first = parse_number(ends.front()), last = parse_number(ends.back());
        return ends.size() <= 2 && first && last && *first <= *last && *last < static_cast<std::uint64_t>(kMaxCpus);
    });
}

std::optional<std::uint64_t> read_memory(const Node& node) {
    const auto bytes = read_size(node);
    if (bytes && *bytes == 0) {
        node.fail("must not be 0, which would leave nothing to run in; leave it out for no limit");
        return std::nullopt;
    }
    return bytes;
}

void read_io(const Node& node, ResourceSpec& resources) {
    IoLimits& io = resources.io;
    const auto table = node.table({"read_bps", "write_bps", "read_iops", "write_iops", "devices"});
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
    io.read_bps = rate("read_bps");
    io.write_bps = rate("write_bps");
    io.read_iops = count("read_iops");
    io.write_iops = count("write_iops");
    if (const auto devices = table.get("devices")) {
        resources.io_devices = devices->strings(kMaxDevices);
        for (const auto& path : resources.io_devices)
            if (!path.starts_with("/dev/") || path.contains("/../") || path.ends_with("/.."))
                devices->fail("must be block devices such as \"/dev/sda\", not " + quoted(path));
        if (!resources.io_devices.empty() && io == IoLimits{})
            devices->fail("goes with a limit: read_bps, write_bps, read_iops or write_iops");
    }
}

std::optional<std::chrono::milliseconds> read_burst(const Node& node, const std::optional<double>& cpus) {
    const auto text = node.string("a string such as \"20ms\"");
    if (!text)
        return std::nullopt;
    const auto burst = parse_duration(*text);
    if (!burst)
        node.fail(burst.error().text());
    else if (!cpus)
        node.fail("goes with cpus, whose unused time it is");
    else if (static_cast<double>(burst->count()) > *cpus * static_cast<double>(kPeriod.count()))
        node.fail("must not be above what cpus allows in a period of 100 ms");
    else
        return *burst;
    return std::nullopt;
}

// "2MB", "1GB", "64KB": as the kernel names its files (mm/hugetlb_cgroup.c).
bool is_page_size(std::string_view name) {
    return name.size() > 2 && name.size() <= 8 &&
           (name.ends_with("KB") || name.ends_with("MB") || name.ends_with("GB")) &&
           parse_number(name.substr(0, name.size() - 2)).value_or(0) > 0;
}

std::vector<std::pair<std::string, std::uint64_t>> read_hugetlb(const Node& node) {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    for (const auto& size : node.members(kMaxSizes)) {
        if (!is_page_size(size.key()))
            size.fail("is no size of huge pages; they are named as \"2MB\" and \"1GB\"");
        if (const auto bytes = read_size(size))
            out.emplace_back(size.key(), *bytes);
    }
    return out;
}

void check_memory(const Table& table, const ResourceSpec& resources) {
    const auto beyond = [&](const char* key, const std::optional<std::uint64_t>& bytes) {
        if (resources.memory && bytes && *bytes > *resources.memory)
            table.get(key)->fail("must not be above memory");
    };
    beyond("memory_high", resources.memory_high);
    beyond("memory_low", resources.memory_low);
}

// "CAP_NET_RAW" for "net_raw"; nothing where there is no such capability.
std::optional<std::string> canonical_capability(std::string_view text) {
    std::string name(text);
    std::ranges::transform(name, name.begin(),
                           [](char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c); });
    if (name.starts_with("CAP_"))
        name.erase(0, 4);
    if (std::ranges::find(kCapabilities, name) == kCapabilities.end())
        return std::nullopt;
    return "CAP_" + name;
}

std::vector<std::string> read_capabilities(const Node& node) {
    std::vector<std::string> capabilities;
    for (const auto& item : node.items("an array of strings", kCapabilities.size())) {
        const auto text = item.string();
        if (!text)
            continue;
        auto name = canonical_capability(*text);
        if (!name) {
            auto message = quoted(*text) + " is not a capability (see capabilities(7))";
            const std::string_view bare = text->starts_with("CAP_") ? std::string_view(*text).substr(4) : *text;
            if (const auto near = nearest(bare, kCapabilities))
                message += "; did you mean 'CAP_" + std::string(*near) + "'?";
            item.fail(message);
        } else if (std::ranges::find(capabilities, *name) != capabilities.end()) {
            item.fail("repeats '" + *name + "'");
        } else {
            capabilities.push_back(*std::move(name));
        }
    }
    return capabilities;
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

ResourceSpec read_resources(const Node& node) {
    ResourceSpec resources;
    resources.at = node.key_at();
    const auto table = node.table({"memory", "swap", "memory_high", "memory_low", "cpus", "cpu_weight", "cpu_burst",
                                   "cpuset", "pids", "io", "hugetlb"});
    if (const auto memory = table.get("memory"))
        resources.memory = read_memory(*memory);
    if (const auto swap = table.get("swap"))
        resources.swap = read_size(*swap);
    if (const auto cpus = table.get("cpus"))
        resources.cpus = read_cpus(*cpus);
    if (const auto high = table.get("memory_high"))
        resources.memory_high = read_memory(*high);
    if (const auto low = table.get("memory_low"))
        resources.memory_low = read_size(*low);
    check_memory(table, resources);
    if (const auto weight = table.get("cpu_weight"))
        resources.cpu_weight = weight->integer(1, kMaxWeight);
    if (const auto burst = table.get("cpu_burst"))
        resources.cpu_burst = read_burst(*burst, resources.cpus);
    if (const auto cpuset = table.get("cpuset")) {
        resources.cpuset = cpuset->string("a string such as \"0-1,3\"");
        if (resources.cpuset && !is_cpu_list(*resources.cpuset))
            cpuset->fail("must be a list of processors such as \"0-1,3\", each below 8192, not " +
                         quoted(*resources.cpuset));
    }
    if (const auto pids = table.get("pids"))
        resources.pids = pids->integer(1, kMaxPids);
    if (const auto io = table.get("io"))
        read_io(*io, resources);
    if (const auto hugetlb = table.get("hugetlb"))
        resources.hugetlb = read_hugetlb(*hugetlb);
    return resources;
}

SecuritySpec read_security(const Node& node) {
    SecuritySpec security;
    security.at = node.key_at();
    const auto table = node.table({"seccomp", "io_uring", "capabilities"});
    if (const auto seccomp = table.get("seccomp")) {
        const auto text = seccomp->string();
        if (text && *text != "default" && *text != "unconfined" && !looks_like_path(*text))
            fail_choice(*seccomp, *text, {"default", "unconfined", "./profile.json"});
        else if (text && looks_like_path(*text))
            security.seccomp = read_path(*seccomp).value_or("default");
        else if (text)
            security.seccomp = *text;
    }
    if (const auto io_uring = table.get("io_uring")) {
        security.io_uring = io_uring->boolean().value_or(false);
        if (security.io_uring && security.seccomp != "default")
            io_uring->fail("goes with seccomp = \"default\" only; another profile says itself what it allows");
    }
    if (const auto capabilities = table.get("capabilities"))
        security.capabilities = read_capabilities(*capabilities);
    return security;
}

ProcfsSpec read_procfs(const Node& node) {
    ProcfsSpec procfs;
    procfs.at = node.key_at();
    const auto table = node.table({"mode", "memory", "cpus"});
    if (const auto mode = table.get("mode")) {
        const auto text = mode->string();
        if (text && *text == "host")
            procfs.mode = ProcfsSpec::Mode::host;
        else if (text && *text != "virtual")
            fail_choice(*mode, *text, {"virtual", "host"});
    }
    const auto memory = table.get("memory"), cpus = table.get("cpus");
    if (memory)
        procfs.memory = read_memory(*memory);
    if (cpus)
        procfs.cpus = read_cpus(*cpus);
    if (procfs.mode == ProcfsSpec::Mode::host)
        for (const auto* const figure : {&memory, &cpus})
            if (*figure)
                (*figure)->fail("has no effect with procfs.mode = \"host\", which shows the host's figures");
    return procfs;
}

} // namespace squish::reader
