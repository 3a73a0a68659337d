// [security] and [procfs]: what the container may do, and is shown.
#include "base/text.h"
#include "squishfile/capabilities.h"
#include "squishfile/sections.h"

#include <algorithm>
#include <array>

namespace squish::reader {

namespace {

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
        procfs.mode_given = true;
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
