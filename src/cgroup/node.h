// One cgroup, by the descriptor of its directory: nothing here goes by a path that could be swapped.
//
// A Node owns its descriptor, not the cgroup: that goes when somebody removes it. Files are named by constants of ours
// and children by validated names, both opened with RESOLVE_BENEATH and no links.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "cgroup/controllers.h"
#include "cgroup/limits.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish::cgroup {

// What only a real cgroup file system does; tests put a folder in its place. Borrowed by every Node.
struct Kernel {
    std::function<bool(int dir)> is_cgroup2;                            // by the file system's magic number
    std::function<int(int dir, const char* name)> make_dir, remove_dir; // 0, or -1 with errno
};
[[nodiscard]] const Kernel& real_kernel();

// The name of a cgroup that squish makes: letters, digits, '-', '_' and '.', beginning with a letter or digit; none
// that could be the name of a control file ("memory.max", "cgroup.procs").
[[nodiscard]] bool is_valid_cgroup_name(std::string_view name);

class Node {
public:
    // `path` is absolute: a mount point of cgroup v2 and a cgroup's path below it. ErrorKind::unsupported where that is
    // no cgroup v2.
    [[nodiscard]] static Result<Node> open(const Kernel& kernel, const std::string& mount_point,
                                           std::string_view cgroup_path);

    [[nodiscard]] Result<Node> child(const std::string& name) const;      // sys_errno ENOENT where there is none
    [[nodiscard]] Result<Node> make_child(const std::string& name) const; // EEXIST is an error
    // rmdir(2): EBUSY as long as a process or a child is in it. What is not there is fine.
    [[nodiscard]] Result<void> remove_child(const std::string& name) const;
    [[nodiscard]] Result<std::vector<std::string>> children() const;

    [[nodiscard]] Result<std::string> read(const std::string& file) const;
    [[nodiscard]] Result<void> write(const FileWrite& write) const;
    [[nodiscard]] Result<void> write_all(std::span<const FileWrite> writes) const; // in order, up to the first error
    [[nodiscard]] Result<UniqueFd> open_file(const std::string& file, int flags) const;
    // Whether the user may make children and move processes here: cgroup.procs and cgroup.subtree_control, and the
    // folder itself. The error names what may not be written.
    [[nodiscard]] Result<void> check_delegated() const;

    [[nodiscard]] Result<ControllerSet> controllers() const; // that it has
    [[nodiscard]] Result<ControllerSet> enabled() const;     // that its children have
    // Enables these for its children, one by one; those that are enabled stay as they are. EBUSY, with a remedy, where
    // processes are in it (no process in an inner node: cgroup-v2.rst, "No Internal Process Constraint").
    [[nodiscard]] Result<void> enable(ControllerSet wanted) const;

    [[nodiscard]] Result<std::vector<pid_t>> processes() const;
    [[nodiscard]] Result<void> adopt(pid_t process) const; // moves a process here

    [[nodiscard]] int fd() const { return dir_.get(); }
    [[nodiscard]] const std::string& path() const { return path_; } // within the hierarchy, for messages and records

private:
    Node(const Kernel& kernel, DirFd dir, std::string path)
        : kernel_(&kernel), dir_(std::move(dir)), path_(std::move(path)) {}
    const Kernel* kernel_;
    DirFd dir_;
    std::string path_;
};

} // namespace squish::cgroup
