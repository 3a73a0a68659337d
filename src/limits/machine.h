// Where this machine has cgroups of version 2, where we are among them, and what ours are called.
#pragma once

#include "base/result.h"
#include "limits/cgroup.h"

#include <optional>
#include <string>
#include <string_view>

namespace squish::limits {

// A mount of the cgroup2 file system.
struct CgroupMount {
    std::string point; // "/sys/fs/cgroup", or "/sys/fs/cgroup/unified" beside hierarchies of version 1
    std::string root;  // which cgroup is seen there: "/", but in some containers
    bool operator==(const CgroupMount&) const = default;
};

// From /proc/self/mountinfo (proc(5)); one that shows the whole hierarchy is preferred.
[[nodiscard]] std::optional<CgroupMount> find_cgroup2(std::string_view mountinfo);
// From /proc/self/cgroup: the path of version 2 ("0::/user.slice/…").
[[nodiscard]] std::optional<std::string> own_cgroup(std::string_view proc_self_cgroup);

struct Machine {
    CgroupMount mount;
    std::string own; // this process's cgroup, "/user.slice/…"
    Filesystem filesystem = Filesystem::cgroup2;

    // The folder of a cgroup that the kernel or systemd names; `unsupported` where it is not below the mount.
    [[nodiscard]] Result<std::string> folder_of(const std::string& cgroup) const;
};
// Errors: unsupported, with the remedy, where there is no cgroup2 mount.
[[nodiscard]] Result<Machine> this_machine();
// What to do about a machine whose controllers are not in the hierarchy of version 2.
[[nodiscard]] std::string no_controllers_remedy();

// A container's id: 32 hexadecimal digits. An instance: 8 of them. Nothing else becomes part of a path.
[[nodiscard]] bool is_id(std::string_view text);
[[nodiscard]] bool is_instance(std::string_view text);
// "squish-INSTANCE-WHAT"
[[nodiscard]] std::string cgroup_name(const std::string& instance, const std::string& what);
// The id in such a name (without or with `suffix`, ".scope"); none where it is another's, or no container's.
[[nodiscard]] std::optional<std::string> id_in(std::string_view name, std::string_view instance,
                                               std::string_view suffix);

} // namespace squish::limits
