#include "cgroup/controllers.h"

#include "base/text.h"

#include <algorithm>
#include <utility>

namespace squish::cgroup {

namespace {

// mountinfo writes blank, tab, newline and backslash as \040 and so on (proc(5)).
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
        if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool has_option(std::string_view options, std::string_view wanted) {
    return std::ranges::any_of(split(options, ','), [&](std::string_view option) { return option == wanted; });
}

// "'memory'", "'cpu' and 'io'", "'cpu', 'io' and 'pids'"
std::string enumerate(const std::vector<std::string>& names) {
    std::string out;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0)
            out += i + 1 == names.size() ? " and " : ", ";
        out += "'" + names[i] + "'";
    }
    return out;
}

std::string enumerate(ControllerSet set) {
    std::vector<std::string> names;
    for (const auto member : set.members())
        names.emplace_back(to_string(member));
    return enumerate(names);
}

constexpr const char* kUnifiedRemedy =
    "boot with the kernel parameters systemd.unified_cgroup_hierarchy=1 and cgroup_no_v1=all, or leave [resources] out";

std::string kernel_remedy(ControllerSet missing) {
    if (missing.contains(Controller::memory))
        return "boot with the kernel parameter cgroup_enable=memory, or use a kernel with CONFIG_MEMCG";
    return "use a kernel that has it (zgrep CGROUP /proc/config.gz), or leave these keys out";
}

std::string manager_remedy(const Situation& situation, ControllerSet missing) {
    return "as root: systemctl edit user@.service, with the two lines '[Service]' and '" +
           delegate_line(situation.delegated, missing) +
           "'; then systemctl daemon-reload, and log out of all sessions and in again, or: systemctl restart user@" +
           std::to_string(situation.uid) + ".service, which ends what runs there";
}

std::string no_delegation_remedy(const Situation& situation) {
    return "run squish in a systemd login session, or as root: loginctl enable-linger " + situation.user +
           " (XDG_RUNTIME_DIR must be /run/user/" + std::to_string(situation.uid) +
           " then); without systemd: start 'squish daemon start' in a cgroup that belongs to the user";
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

std::vector<Controller> ControllerSet::members() const {
    std::vector<Controller> out;
    for (const auto controller : kControllers)
        if (contains(controller))
            out.push_back(controller);
    return out;
}

std::string ControllerSet::text() const {
    std::string out;
    for (const auto member : members())
        out += (out.empty() ? "" : " ") + std::string(to_string(member));
    return out;
}

ControllerSet parse_controllers(std::string_view text) {
    ControllerSet set;
    for (const auto word : split(trim(text), ' '))
        for (const auto controller : kControllers)
            if (trim(word) == to_string(controller))
                set.insert(controller);
    return set;
}

Mounts parse_mounts(std::string_view mountinfo) {
    Mounts mounts;
    bool legacy = false;
    for (const auto line : split(mountinfo, '\n')) {
        // "29 23 0:26 ROOT MOUNTPOINT OPTIONS [FIELDS…] - TYPE SOURCE SUPER_OPTIONS"
        const auto dash = line.find(" - ");
        if (dash == std::string_view::npos)
            continue;
        const auto front = split(line.substr(0, dash), ' '), back = split(line.substr(dash + 3), ' ');
        if (front.size() < 6 || back.size() < 3)
            continue;
        if (back[0] == "cgroup2" && mounts.unified.empty()) {
            mounts.root = unescape(front[3]);
            mounts.unified = unescape(front[4]);
            mounts.ns_delegate = has_option(back[2], "nsdelegate");
        }
        // A named hierarchy (name=systemd) has no controllers.
        if (back[0] == "cgroup" && std::ranges::none_of(split(back[2], ','), [](std::string_view option) {
                return option.starts_with("name=");
            }))
            legacy = true;
    }
    if (!mounts.unified.empty())
        mounts.hierarchy = legacy ? Hierarchy::hybrid : Hierarchy::unified;
    else if (legacy)
        mounts.hierarchy = Hierarchy::legacy;
    return mounts;
}

std::optional<std::string> parse_own_cgroup(std::string_view text) {
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with("0::/"))
            continue;
        std::string path(line.substr(3));
        // A cgroup that was removed while a process was still in it (cgroups(7)).
        if (path.ends_with(" (deleted)") || path == "/.." || path.starts_with("/../"))
            return std::nullopt;
        return path;
    }
    return std::nullopt;
}

std::optional<std::string> below_mount(const Mounts& mounts, std::string_view cgroup_path) {
    if (mounts.root == "/" && cgroup_path.starts_with('/'))
        return std::string(cgroup_path);
    if (mounts.root.empty() || !is_within(cgroup_path, mounts.root))
        return std::nullopt;
    const auto rest = cgroup_path.substr(mounts.root.size());
    return rest.empty() ? "/" : std::string(rest);
}

std::string parent_of(std::string_view path) {
    const auto cut = path.rfind('/');
    return cut == 0 || cut == std::string_view::npos ? "/" : std::string(path.substr(0, cut));
}

bool is_within(std::string_view path, std::string_view ancestor) {
    if (ancestor == "/")
        return path.starts_with('/');
    return path == ancestor || (path.starts_with(ancestor) && path[ancestor.size()] == '/');
}

std::string delegate_line(ControllerSet delegated, ControllerSet wanted) {
    for (const auto member : wanted.members())
        delegated.insert(member);
    return "Delegate=" + delegated.text();
}

Error explain_missing(const std::vector<Need>& needs, const Situation& situation) {
    std::vector<std::string> keys;
    ControllerSet missing;
    for (const auto& need : needs) {
        keys.push_back(need.key);
        missing.insert(need.controller);
    }
    const auto what = "[resources] " + enumerate(keys) + " cannot be enforced here: ";
    const auto because = [&](std::string cause, std::string remedy) {
        return Error{ErrorKind::unsupported, what + std::move(cause), std::move(remedy), 0};
    };
    switch (situation.hierarchy) {
    case Hierarchy::none:
        return because("no cgroup file system is mounted", "mount it, as root: mount -t cgroup2 none /sys/fs/cgroup");
    case Hierarchy::legacy:
        return because("this machine has cgroup v1 only, which cannot be given to a user", kUnifiedRemedy);
    case Hierarchy::hybrid:
        return because("the controllers of this machine are with cgroup v1, which cannot be given to a user",
                       kUnifiedRemedy);
    case Hierarchy::unified:
        break;
    }
    if (const auto absent = missing.without(situation.kernel); !absent.empty())
        return because("the kernel does not have the controller " + enumerate(absent), kernel_remedy(absent));
    if (situation.user_manager)
        return because("the user manager has not been given the controller " + enumerate(missing),
                       manager_remedy(situation, missing));
    if (situation.delegated.empty())
        return because("there is no user manager, and no cgroup that belongs to this user",
                       no_delegation_remedy(situation));
    return because("the cgroup that squish was given does not have the controller " + enumerate(missing),
                   "have whoever made it write '+" + std::string(to_string(missing.members().front())) +
                       "' into cgroup.subtree_control of its parent");
}

std::vector<ControllerReport> report_controllers(const Situation& situation) {
    std::vector<ControllerReport> out;
    for (const auto controller : kControllers) {
        ControllerReport report{controller, false, "", ""};
        const ControllerSet only{controller};
        if (situation.hierarchy != Hierarchy::unified) {
            report.found = situation.hierarchy == Hierarchy::none ? "no cgroup file system" : "with cgroup v1";
            report.remedy = kUnifiedRemedy;
        } else if (!situation.kernel.contains(controller)) {
            report.found = "the kernel does not have it";
            report.remedy = kernel_remedy(only);
        } else if (situation.delegated.contains(controller)) {
            report.available = true;
            report.found = "delegated";
        } else if (situation.user_manager) {
            report.found = "the kernel has it, the user manager has not been given it";
            report.remedy = manager_remedy(situation, only);
        } else {
            report.found = "the kernel has it, this user has not been given it";
            report.remedy = no_delegation_remedy(situation);
        }
        out.push_back(std::move(report));
    }
    return out;
}

} // namespace squish::cgroup
