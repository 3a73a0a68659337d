#include "engine/isolation.h"

#include "base/text.h"
#include "launch/format.h"
#include "os/file.h"
#include "os/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <sys/stat.h>
#include <utility>

namespace squish {

namespace {

constexpr std::uint64_t kPayloadPid = 2; // init/main.cpp: the first child

// By number (linux/capability.h, Linux 6.1).
constexpr std::array<const char*, 41> kCapabilities{"CHOWN",
                                                    "DAC_OVERRIDE",
                                                    "DAC_READ_SEARCH",
                                                    "FOWNER",
                                                    "FSETID",
                                                    "KILL",
                                                    "SETGID",
                                                    "SETUID",
                                                    "SETPCAP",
                                                    "LINUX_IMMUTABLE",
                                                    "NET_BIND_SERVICE",
                                                    "NET_BROADCAST",
                                                    "NET_ADMIN",
                                                    "NET_RAW",
                                                    "IPC_LOCK",
                                                    "IPC_OWNER",
                                                    "SYS_MODULE",
                                                    "SYS_RAWIO",
                                                    "SYS_CHROOT",
                                                    "SYS_PTRACE",
                                                    "SYS_PACCT",
                                                    "SYS_ADMIN",
                                                    "SYS_BOOT",
                                                    "SYS_NICE",
                                                    "SYS_RESOURCE",
                                                    "SYS_TIME",
                                                    "SYS_TTY_CONFIG",
                                                    "MKNOD",
                                                    "LEASE",
                                                    "AUDIT_WRITE",
                                                    "AUDIT_CONTROL",
                                                    "SETFCAP",
                                                    "MAC_OVERRIDE",
                                                    "MAC_ADMIN",
                                                    "SYSLOG",
                                                    "WAKE_ALARM",
                                                    "BLOCK_SUSPEND",
                                                    "AUDIT_READ",
                                                    "PERFMON",
                                                    "BPF",
                                                    "CHECKPOINT_RESTORE"};

std::vector<std::string> capability_names(std::uint64_t bits) {
    std::vector<std::string> names;
    for (std::size_t number = 0; number < 64; ++number)
        if (bits >> number & 1)
            names.push_back(number < kCapabilities.size() ? "CAP_" + std::string(kCapabilities[number])
                                                          : "CAP_" + std::to_string(number));
    return names;
}

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : line)
        if (c != ' ' && c != '\t') {
            word += c;
        } else if (!word.empty()) {
            words.push_back(std::exchange(word, {}));
        }
    if (!word.empty())
        words.push_back(std::move(word));
    return words;
}

// "\040" for a blank (proc_pid_mountinfo(5)).
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const auto* const first = text.data() + i + 1;
        if (text[i] == '\\' && text.size() - i >= 4 && std::from_chars(first, first + 3, value, 8).ptr == first + 3) {
            out += static_cast<char>(value);
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string proc_path(pid_t pid, const char* name) {
    return "/proc/" + std::to_string(pid) + "/" + name;
}

// The payload among init's children; 0 where there is none (any more).
Result<pid_t> find_payload(pid_t init) {
    const auto number = std::to_string(init);
    const auto children = TRY(os::read_file("/proc/" + number + "/task/" + number + "/children"));
    for (const auto& child : words_of(children)) {
        const auto pid = parse_number(trim(child));
        if (!pid)
            continue;
        const auto status = os::read_file(proc_path(static_cast<pid_t>(*pid), "status"));
        if (status && innermost_pid(*status) == kPayloadPid)
            return static_cast<pid_t>(*pid);
    }
    return 0;
}

} // namespace

void read_status(std::string_view text, IsolationInfo& out) {
    constexpr std::pair<std::string_view, const char*> kSets[] = {{"CapInh:", "inheritable"},
                                                                  {"CapPrm:", "permitted"},
                                                                  {"CapEff:", "effective"},
                                                                  {"CapBnd:", "bounding"},
                                                                  {"CapAmb:", "ambient"}};
    for (const auto line : split(text, '\n')) {
        const auto words = words_of(line);
        if (words.empty())
            continue;
        for (const auto& [key, set] : kSets)
            if (words[0] == key && words.size() == 2)
                out.capabilities[set] = capability_names(std::strtoull(words[1].c_str(), nullptr, 16));
        if (words[0] == "Groups:")
            for (std::size_t i = 1; i < words.size(); ++i)
                if (const auto group = parse_number(words[i]))
                    out.groups.push_back(*group);
        if (words.size() != 2)
            continue;
        const auto value = static_cast<int>(parse_number(words[1]).value_or(0));
        if (words[0] == "NoNewPrivs:")
            out.no_new_privileges = value == 1;
        else if (words[0] == "Seccomp:")
            out.seccomp_mode = value;
        else if (words[0] == "Seccomp_filters:")
            out.seccomp_filters = value;
    }
}

// id parent device root target options [propagation…] - type source superblock-options
void read_mounts(std::string_view text, IsolationInfo& out) {
    const auto cover_file = std::string("/") + launch::kEmptyFile;
    const auto cover_folder = std::string("/") + launch::kEmptyFolder;
    for (const auto line : split(text, '\n')) {
        const auto words = words_of(line);
        const auto dash = std::ranges::find(words, "-");
        if (dash == words.end() || dash - words.begin() < 6 || words.end() - dash < 2)
            continue;
        IsolationInfo::Mount mount{unescape(words[4]), *(dash + 1), {}, {}};
        for (const auto option : split(words[5], ','))
            mount.options.emplace_back(option);
        for (auto word = words.begin() + 6; word != dash; ++word)
            mount.propagation += (mount.propagation.empty() ? "" : " ") + *word;
        const bool of_kernel = mount.target.starts_with("/proc/") || mount.target.starts_with("/sys/");
        if (of_kernel && mount.type == "tmpfs" && (words[3] == cover_file || words[3] == cover_folder))
            out.masked.push_back(mount.target);
        else if (of_kernel && mount.type == "proc" && std::ranges::find(mount.options, "ro") != mount.options.end())
            out.frozen.push_back(mount.target);
        out.mounts.push_back(std::move(mount));
    }
}

std::vector<IsolationInfo::IdExtent> read_id_map(std::string_view text) {
    std::vector<IsolationInfo::IdExtent> map;
    for (const auto line : split(text, '\n')) {
        const auto words = words_of(line);
        if (words.size() != 3)
            continue;
        const auto inside = parse_number(words[0]), outside = parse_number(words[1]), count = parse_number(words[2]);
        if (inside && outside && count)
            map.push_back({*inside, *outside, *count});
    }
    return map;
}

// "Max open files            1024                 524288               files     "
std::vector<IsolationInfo::Limit> read_limits(std::string_view text) {
    constexpr std::size_t kSoft = 26, kHard = 47, kUnit = 68; // columns, fs/proc/base.c
    std::vector<IsolationInfo::Limit> limits;
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with("Max ") || line.size() <= kHard)
            continue;
        limits.push_back({std::string(trim(line.substr(4, kSoft - 4))),
                          std::string(trim(line.substr(kSoft, kHard - kSoft))),
                          std::string(trim(line.substr(kHard, kUnit - kHard))),
                          std::string(line.size() > kUnit ? trim(line.substr(kUnit)) : "")});
    }
    return limits;
}

std::uint64_t innermost_pid(std::string_view status) {
    for (const auto line : split(status, '\n'))
        if (line.starts_with("NSpid:"))
            return parse_number(words_of(line).back()).value_or(0);
    return 0;
}

Result<std::optional<IsolationInfo>> read_isolation(pid_t init) {
    const auto held = os::open_pidfd(init);
    if (!held)
        return std::nullopt;
    if (innermost_pid(TRY(os::read_file(proc_path(init, "status")))) != 1)
        return std::nullopt; // the number is somebody else's by now
    IsolationInfo out;
    out.payload = TRY(find_payload(init));
    if (out.payload == 0)
        return std::nullopt;
    for (const auto* kind : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}) {
        struct stat info{};
        if (::stat(proc_path(out.payload, (std::string("ns/") + kind).c_str()).c_str(), &info) == 0)
            out.namespaces[kind] = info.st_ino;
        else if (errno != ENOENT) // a kernel without time namespaces
            return fail_errno(std::string("look at the container's ") + kind + " namespace");
    }
    out.uid_map = read_id_map(TRY(os::read_file(proc_path(out.payload, "uid_map"))));
    out.gid_map = read_id_map(TRY(os::read_file(proc_path(out.payload, "gid_map"))));
    read_status(TRY(os::read_file(proc_path(out.payload, "status"))), out);
    read_mounts(TRY(os::read_file(proc_path(out.payload, "mountinfo"))), out);
    out.limits = read_limits(TRY(os::read_file(proc_path(out.payload, "limits"))));
    const auto score = TRY(os::read_file(proc_path(out.payload, "oom_score_adj")));
    out.oom_score_adj = static_cast<int>(std::strtol(score.c_str(), nullptr, 10));
    if (os::has_ended(held->get()))
        return std::nullopt;
    return out;
}

} // namespace squish
