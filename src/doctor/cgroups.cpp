#include "doctor/cgroups.h"

#include "account/account.h"
#include "base/text.h"
#include "doctor/probe.h"
#include "os/file.h"
#include "os/socket.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sys/socket.h>
#include <unistd.h>

namespace squish::doctor {

namespace {

constexpr std::array<std::string_view, 6> kControllers{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"};

bool has(std::string_view list, std::string_view controller) {
    const auto all = split(list, ' ');
    return std::ranges::find(all, controller) != all.end();
}

std::string linger_remedy(const CgroupFacts& facts) {
    if (!facts.systemd)
        return "start squishd alone in a cgroup that was delegated to this account, or name one in squishd.toml: "
               "[limits] cgroup";
    return "sudo loginctl enable-linger " + facts.account;
}

std::string delegate_remedy(const CgroupFacts& facts) {
    return "sudo systemctl edit user@.service, with the lines \"[Service]\" and "
           "\"Delegate=cpu cpuset io memory pids\"; then sudo systemctl restart user@" +
           std::to_string(facts.uid) + ".service, which ends the user's sessions, or log in again";
}

Check judge_manager(const CgroupFacts& facts) {
    Check check{"user manager", State::ok, "", ""};
    if (!facts.answering.empty()) {
        check.found = "answers on '" + printable(facts.answering) + "'";
        return check;
    }
    check.found = facts.systemd ? "does not answer (" + printable(facts.tried) + ")" : "systemd does not run here";
    if (facts.own_is_ours) {
        check.found += "; cgroups can be made in '" + printable(facts.own) + "'";
        return check;
    }
    check.state = State::warn;
    check.remedy = linger_remedy(facts);
    return check;
}

// Why nobody has this controller, and what to do.
Check judge_lack(Check check, std::string_view controller, const CgroupFacts& facts) {
    constexpr const char* kUnified = "boot with systemd.unified_cgroup_hierarchy=1";
    check.state = State::warn;
    if (facts.mount.empty()) {
        check.found = "cannot be had: no cgroup v2 at /sys/fs/cgroup, only v1 or none";
        check.remedy = kUnified;
    } else if (!has(facts.controllers, controller) && facts.mount.ends_with("/unified")) {
        check.found = "cannot be had: it is in cgroup v1, not in v2 at '" + printable(facts.mount) + "'";
        check.remedy = kUnified;
    } else if (!has(facts.controllers, controller)) {
        check.found = "cannot be had: '" + printable(facts.mount) + "' does not have it";
        check.remedy = "boot a kernel that has it, without cgroup_disable=" + std::string(controller) +
                       "; inside of a container, its runtime must delegate it";
    } else if (facts.answering.empty() && !facts.own_is_ours) {
        check.found =
            "cannot be had: no user manager answers, and the cgroup '" + printable(facts.own) + "' is not ours";
        check.remedy = linger_remedy(facts);
    } else if (facts.answering.empty()) {
        check.found = "not delegated to the cgroup '" + printable(facts.own) + "'";
        check.remedy = "as root, write +" + std::string(controller) +
                       " to cgroup.subtree_control of the cgroups above it, from the topmost on";
    } else if (controller == "hugetlb") {
        check.found = "cannot be had: systemd delegates it to nobody";
        check.remedy = "as root, make a cgroup with it for this account; name it in squishd.toml: [limits] driver = "
                       "\"direct\", cgroup";
    } else if (!facts.manager_controllers) {
        check.found = "the user manager answers, but its cgroup user@" + std::to_string(facts.uid) +
                      ".service is not below '" + printable(facts.mount) + "'";
        check.remedy = "run squish where systemd's cgroups can be seen, not inside of a container";
    } else {
        check.found = "not delegated to the user manager";
        check.remedy = delegate_remedy(facts);
    }
    return check;
}

Check judge_controller(std::string_view controller, const CgroupFacts& facts) {
    Check check{"cgroup " + std::string(controller), State::ok, "", ""};
    // systemd 252 to 257 turn hugetlb on for no unit, whatever the cgroups above have.
    if (!facts.answering.empty() && controller != "hugetlb" &&
        has(facts.manager_controllers.value_or(""), controller)) {
        check.found = "delegated to the user manager";
        return check;
    }
    if (!facts.own_is_ours || !has(facts.own_controllers, controller))
        return judge_lack(std::move(check), controller, facts);
    check.found = "delegated, in the cgroup '" + printable(facts.own) + "'";
    if (!facts.answering.empty()) { // which is what squish takes by itself
        check.state = State::warn;
        check.found += " only, not to the user manager";
        check.remedy = "in squishd.toml: [limits] driver = \"direct\"";
    }
    return check;
}

// Connecting is enough: the manager listens for as long as it runs, and a socket file that it left refuses.
bool answers(const std::string& socket) {
    return os::connect_unix(socket, SOCK_STREAM | SOCK_NONBLOCK).has_value();
}

std::vector<std::string> manager_sockets(unsigned uid) {
    std::vector<std::string> folders;
    if (const char* given = ::secure_getenv("XDG_RUNTIME_DIR"); given && *given == '/')
        folders.emplace_back(given);
    if (const auto usual = "/run/user/" + std::to_string(uid); std::ranges::find(folders, usual) == folders.end())
        folders.push_back(usual);
    std::vector<std::string> sockets;
    for (const auto& folder : folders) {
        sockets.push_back(folder + "/systemd/private");
        sockets.push_back(folder + "/bus");
    }
    return sockets;
}

bool is_there(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

} // namespace

CgroupFacts look_at_cgroups() {
    CgroupFacts facts;
    facts.uid = ::geteuid();
    const auto account = account::current();
    facts.account = account ? account->name : std::to_string(facts.uid);
    facts.systemd = is_there("/run/systemd/system"); // sd_booted(3)
    for (const std::string mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
        if (facts.mount.empty() && is_there(mount + "/cgroup.controllers"))
            facts.mount = mount;
    const auto text = os::read_file("/proc/self/cgroup", 64 << 10).value_or(std::string());
    for (const auto line : split(text, '\n'))
        if (line.starts_with("0::"))
            facts.own = line.substr(3);
    if (!facts.mount.empty()) {
        const auto own = facts.mount + facts.own;
        facts.controllers = first_line(facts.mount + "/cgroup.controllers");
        facts.own_controllers = first_line(own + "/cgroup.controllers");
        facts.own_is_ours = !facts.own.empty() && ::access(own.c_str(), W_OK) == 0 &&
                            ::access((own + "/cgroup.procs").c_str(), W_OK) == 0;
        const auto uid = std::to_string(facts.uid);
        const auto file =
            facts.mount + "/user.slice/user-" + uid + ".slice/user@" + uid + ".service/cgroup.controllers";
        if (is_there(file))
            facts.manager_controllers = first_line(file);
    }
    const auto sockets = manager_sockets(facts.uid);
    facts.tried = join(sockets, ", ");
    if (const auto found = std::ranges::find_if(sockets, answers); found != sockets.end())
        facts.answering = *found;
    return facts;
}

std::vector<Check> judge_cgroups(const CgroupFacts& facts) {
    std::vector<Check> checks{judge_manager(facts)};
    for (const auto controller : kControllers)
        checks.push_back(judge_controller(controller, facts));
    return checks;
}

std::vector<Check> check_cgroups() {
    return judge_cgroups(look_at_cgroups());
}

} // namespace squish::doctor
