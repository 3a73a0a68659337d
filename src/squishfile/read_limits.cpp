// [resources], [security] and [procfs]: what the container may use, may do, and is shown.
#include "base/text.h"
#include "squishfile/capabilities.h"
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

IoLimits read_io(const Node& node) {
    IoLimits io;
    const auto table = node.table({"read_bps", "write_bps", "read_iops", "write_iops"});
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
    return io;
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

bool is_grantable(std::string_view name) {
    return std::ranges::any_of(kGrantable, [&](const auto& one) { return name == "CAP_" + std::string(one.name); });
}

std::string grantable_names() {
    std::string names;
    for (const auto& one : kGrantable)
        names += (names.empty() ? "" : ", ") + std::string(one.name);
    return names;
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
            else
                message += "; those that can be given are " + grantable_names();
            item.fail(message);
        } else if (!is_grantable(*name)) {
            item.fail("gives '" + *name + "' to no container; those that can be given are " + grantable_names());
        } else if (std::ranges::find(capabilities, *name) != capabilities.end()) {
            item.fail("repeats '" + *name + "'");
        } else {
            capabilities.push_back(*std::move(name));
        }
    }
    return capabilities;
}

IdsChoice read_ids(const Node& node) {
    const auto text = node.string();
    if (text && *text == "own")
        return IdsChoice::own;
    if (text && *text == "user")
        return IdsChoice::user;
    if (text && *text != "auto")
        fail_choice(node, *text, {"auto", "own", "user"});
    return IdsChoice::automatic;
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
    const auto table = node.table({"memory", "swap", "cpus", "cpuset", "pids", "io"});
    if (const auto memory = table.get("memory"))
        resources.memory = read_memory(*memory);
    if (const auto swap = table.get("swap"))
        resources.swap = read_size(*swap);
    if (const auto cpus = table.get("cpus"))
        resources.cpus = read_cpus(*cpus);
    if (const auto cpuset = table.get("cpuset")) {
        resources.cpuset = cpuset->string("a string such as \"0-1,3\"");
        if (resources.cpuset && !is_cpu_list(*resources.cpuset))
            cpuset->fail("must be a list of processors such as \"0-1,3\", each below 8192, not " +
                         quoted(*resources.cpuset));
    }
    if (const auto pids = table.get("pids"))
        resources.pids = pids->integer(1, kMaxPids);
    if (const auto io = table.get("io"))
        resources.io = read_io(*io);
    return resources;
}

SecuritySpec read_security(const Node& node) {
    SecuritySpec security;
    security.at = node.key_at();
    const auto table = node.table({"seccomp", "io_uring", "tmp_noexec", "capabilities", "ids"});
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
    if (const auto tmp_noexec = table.get("tmp_noexec"))
        security.tmp_noexec = tmp_noexec->boolean().value_or(false);
    if (const auto capabilities = table.get("capabilities"))
        security.capabilities = read_capabilities(*capabilities);
    if (const auto ids = table.get("ids"))
        security.ids = read_ids(*ids);
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
