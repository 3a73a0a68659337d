// From what the machine says about cgroups to what can be limited on it.
#pragma once

#include "doctor/doctor.h"

#include <optional>
#include <string>
#include <vector>

namespace squish::doctor {

struct CgroupFacts {
    std::string mount; // of cgroup2: "/sys/fs/cgroup"; "/sys/fs/cgroup/unified" beside version 1; empty: there is none
    std::string controllers;  // that the kernel has there: "cpuset cpu io memory pids"
    std::string own;          // the caller's cgroup, "/user.slice/…"; empty: not known
    bool own_is_ours = false; // the caller may make cgroups in it
    std::string own_controllers;
    bool systemd = false;  // it runs this machine
    std::string answering; // the socket on which the user manager answers; empty: it does not
    std::string tried;     // where it was looked for
    // Of user@UID.service; nothing where there is no such cgroup.
    std::optional<std::string> manager_controllers;
    unsigned uid = 0;
    std::string account; // its name; its number where it has none
};

// What this machine and this user have.
[[nodiscard]] CgroupFacts look_at_cgroups();

// "user manager", then "cgroup cpu" and the other controllers that [resources] needs.
[[nodiscard]] std::vector<Check> judge_cgroups(const CgroupFacts& facts);

} // namespace squish::doctor
