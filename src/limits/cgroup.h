// One container's cgroups, by descriptor: an outer one that its driver made, and beneath it `payload`, which init and
// the payload are born in and whose files say the same limits (runtimes look at their own cgroup only).
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "limits/settings.h"

#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

namespace squish::limits {

inline constexpr const char* kPayload = "payload"; // the leaf
inline constexpr const char* kAnchor = "anchor";   // where the process is that keeps a scope open

// What a path must be on. `any`: plain folders, in tests.
enum class Filesystem { cgroup2, any };

// Owns the descriptors, not the cgroups: those are removed by Driver::remove().
class Cgroup {
public:
    Cgroup() = default;
    // `path` is absolute, below the cgroup2 mount, and has its leaf already.
    [[nodiscard]] static Result<Cgroup> open(const std::string& path, Filesystem on = Filesystem::cgroup2);
    // Moves what is in the outer cgroup to `anchor`, turns `controllers` on for what is beneath and makes the leaf.
    // Errors name the controller that cannot be had.
    [[nodiscard]] static Result<Cgroup> make_inner(const std::string& path, const Controllers& controllers,
                                                   Filesystem on = Filesystem::cgroup2);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] int outer() const { return outer_.get(); }
    [[nodiscard]] int leaf() const { return leaf_.get(); }
    explicit operator bool() const { return leaf_.valid(); }

private:
    std::string path_;
    DirFd outer_, leaf_;
};

// The folder of a cgroup. No part of `path` may be a symbolic link. ENOENT where it is gone.
[[nodiscard]] Result<DirFd> open_folder(const std::string& path, Filesystem on = Filesystem::cgroup2);

// Writes each setting; at the first that fails those before it are put back as they were. The error names key and
// value: `unsupported` where there is no such file, `invalid` where the kernel does not take the value.
[[nodiscard]] Result<void> apply(int folder, const std::vector<Setting>& settings);
// Turns controllers on for the children (cgroup.subtree_control), one by one.
[[nodiscard]] Result<void> enable(int folder, const Controllers& controllers);
// cgroup.freeze; returns when all is frozen (cgroup.events). Where that takes longer than `limit` (a process waits for
// a dead network file system), it is let go on: `unavailable`.
[[nodiscard]] Task<void> set_frozen(int folder, bool frozen,
                                    std::chrono::milliseconds limit = std::chrono::seconds(10));
[[nodiscard]] Result<bool> is_frozen(int folder); // asked for, not necessarily reached
// cgroup.kill (Linux 5.14): SIGKILL to all in it and beneath; falls back to signals, process by process, where it is
// absent. They have not ended yet when this returns.
[[nodiscard]] Result<void> kill_all(int folder);
// Returns once no process is left in it and beneath; `unavailable` after `limit`.
[[nodiscard]] Task<void> wait_empty(int folder, std::chrono::milliseconds limit);
// Removes a cgroup and those beneath it; what is not there is fine. ErrorKind::system with EBUSY as long as a process
// is in one.
[[nodiscard]] Result<void> remove_tree(const std::string& path, Filesystem on = Filesystem::cgroup2);
// The processes in a cgroup itself (cgroup.procs); those of other PID namespaces are 0.
[[nodiscard]] Result<std::vector<pid_t>> processes_in(int folder);
// The names of the cgroups right beneath it.
[[nodiscard]] Result<std::vector<std::string>> children_of(int folder);
// A file's text, without its newline.
[[nodiscard]] Result<std::string> read_value(int folder, const std::string& file);
[[nodiscard]] Result<void> write_value(int folder, const std::string& file, const std::string& value);

} // namespace squish::limits
