// The cell in which one archive is worked on: nothing is left in it but the descriptors of that work.
//
// How this works (each step should do what it says and nothing of the next)
//   1. before: the folders are opened again in our own mount namespace and cloned as detached mounts, so that ".."
//      ends at them: a descriptor from another namespace leads up to the root of that one.
//   2. unshare user, mount, network, ipc, uts and cgroup namespaces; the worker writes the id maps (each id to itself).
//   3. an empty, read-only tmpfs becomes the root.
//   4. Landlock (Linux 5.19, ABI 2; not a condition): below the folders only, what the work needs; no network.
//   5. all capabilities but the few for owners and modes are dropped, in every set; no_new_privs; limits; a filter
//      of system calls.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <functional>
#include <vector>

namespace squish::layers {

enum class Access { read, write };

// The same folder, seen by nobody but us: a detached mount, nosuid and nodev, read-only unless Access::write.
// An error where it is not to be found in our mount namespace under its path.
[[nodiscard]] Result<MountFd> private_view(int folder, Access access);

struct Cell {
    std::vector<int> folders; // detached mounts; Landlock lets nothing else be opened
    Access access = Access::read;
    std::uint64_t max_file_bytes = 0; // RLIMIT_FSIZE; 0: none
    // Asks whoever is outside to write the id maps; returns when it is done.
    std::function<Result<void>()> map_ids;
};

// Enters it, for good. The process must have one thread.
[[nodiscard]] Result<void> enter(const Cell& cell);

} // namespace squish::layers
