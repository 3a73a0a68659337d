// Processes and namespaces: clone3(2), pidfds, waitid(2), setns(2).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish::os {

struct Child {
    pid_t pid = 0; // 0 in the child itself
    Pidfd pidfd;
};

// fork-like clone3 (Linux 5.3) with CLONE_PIDFD; `flags` are CLONE_NEW* and CLONE_PARENT.
// `cgroup` >= 0: the child is born in that cgroup v2 directory (CLONE_INTO_CGROUP, Linux 5.7).
[[nodiscard]] Result<Child> clone_process(std::uint64_t flags, int cgroup = -1);

[[nodiscard]] Result<Pidfd> open_pidfd(pid_t pid);
// ESRCH (the process is gone) comes back with sys_errno == ESRCH.
[[nodiscard]] Result<void> send_signal(int pidfd, int signal_number);

// A wait status in the form waitpid(2) gives it; nullopt-like `changed == false` where the child still runs.
struct WaitResult {
    bool changed = false;
    int status = 0;
};
[[nodiscard]] Result<WaitResult> reap(int pidfd);
// The exit code a shell would show: the code itself, or 128 + signal.
[[nodiscard]] int exit_code(int wait_status);

// True once the process behind the pidfd has ended (poll, no waiting).
[[nodiscard]] bool has_ended(int pidfd);
// Waits for that, at most `timeout_ms`; false where it still runs.
[[nodiscard]] bool wait_ended(int pidfd, int timeout_ms);
// The pid that /proc/self/fdinfo shows for a pidfd, in the reader's pid namespace; an error where it is gone.
[[nodiscard]] Result<pid_t> pid_of(int pidfd);

// The soft limit of open descriptors up to the hard one (RLIMIT_NOFILE).
[[nodiscard]] Result<void> raise_descriptor_limit();

// For a child's user namespace: each id of ours to itself, from our own map ("/proc/self/uid_map"). One line per line
// of that, since an extent must lie within one extent of the parent's (user_namespaces(7)).
[[nodiscard]] Result<std::string> identity_map(const char* own_map);

[[nodiscard]] Result<NsFd> open_namespace(pid_t pid, const char* name); // "net", "mnt", …
[[nodiscard]] Result<void> enter_namespace(int ns, int kind);           // setns(2); kind is CLONE_NEW*

// Starts `program` (an fd or path) detached from us: a grandchild, adopted by init or a subreaper, in a session
// of its own, with exactly `keep` as descriptors 3, 4, … and `stdio` (an fd, or -1 for /dev/null) as 0, 1, 2.
// Returns its pid and pidfd. Fails with the errno of execve where that fails.
struct Spawn {
    std::string program;
    std::vector<std::string> args;        // argv, including argv[0]
    std::vector<std::string> environment; // "KEY=value"
    std::vector<int> keep;
    int stdin_fd = -1;
    int stdout_fd = -1;
    int stderr_fd = -1;
    std::string folder = "/";
};
[[nodiscard]] Result<Child> spawn_detached(const Spawn& spawn);
// The same as a child of ours; the caller reaps.
[[nodiscard]] Result<Child> spawn_child(const Spawn& spawn);

} // namespace squish::os
