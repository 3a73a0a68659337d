// A cell: a process in namespaces of its own that has become squish-init and waits for a plan.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace squish::keeper {

struct Cell {
    pid_t pid = 0;
    Pidfd pidfd;
    UniqueFd control; // the socket whose other end is the cell's fd 3
};

// What cloning a cell needs; borrowed from the keeper.
struct Cloner {
    int init = -1;                // the sealed memfd
    std::string uid_map, gid_map; // of the cell (user_namespaces(7))
    // What is written to oom_score_adj of all that is cloned: above ours, since our end would be everybody's.
    std::string oom_score_adj;
    int own_network = -1; // the namespace to come back to after a detour; -1: never leaves
};

// Where a cell is born.
struct Birthplace {
    int network = -1;        // its network namespace; -1: the caller's own
    int cgroup = -1;         // its cgroup, the root of its cgroup namespace; -1: the caller's own
    bool as_sibling = false; // of the caller
};

// Clones a process into new user, mount, pid, uts, ipc and cgroup namespaces, writes its id maps and lets it execute
// init. EACCES with a cgroup: the caller is in none of the subtree that it may write to (cgroups(7)).
[[nodiscard]] Result<Cell> clone_cell(const Cloner& cloner, const Birthplace& place);

// A process inside the namespaces of the container whose init is `pidfd`/`pid`, about to execute init as well.
// It is the caller's child, but made by a short-lived intermediate which the caller has reaped when this returns.
// `cgroup`: of the container, where both are born; -1: it has none.
[[nodiscard]] Result<Cell> clone_into(const Cloner& cloner, int pidfd, pid_t pid, int cgroup);

} // namespace squish::keeper
