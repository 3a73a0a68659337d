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

// Clones a process into new user, mount, pid, uts, ipc and cgroup namespaces, with `network` as its network namespace
// (-1: the caller's own), writes its id maps and lets it execute init. `as_sibling`: it becomes the caller's sibling.
[[nodiscard]] Result<Cell> clone_cell(const Cloner& cloner, int network, bool as_sibling);

// A process inside the namespaces of the container whose init is `pidfd`/`pid`, about to execute init as well.
// It is the caller's child, but made by a short-lived intermediate which the caller has reaped when this returns.
[[nodiscard]] Result<Cell> clone_into(const Cloner& cloner, int pidfd, pid_t pid);

} // namespace squish::keeper
