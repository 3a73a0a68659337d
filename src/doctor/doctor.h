// What squish needs of the machine, looked at without the daemon; each finding with its remedy.
//
// Wherever the kernel can be asked by trying (namespaces, mounts), that is done, in a child that ends at once: sysctls
// and version numbers say little about sandboxes and security modules.
#pragma once

#include "base/paths.h"

#include <string>
#include <vector>

namespace squish::doctor {

enum class State { ok, warn, fail }; // warn: squish works, but not all of it

struct Check {
    std::string name; // "user namespaces"
    State state = State::ok;
    std::string found;  // "can be made", "open '/dev/net/tun': Permission denied"
    std::string remedy; // what to do; empty where all is well
};

[[nodiscard]] const char* to_string(State state);

// Every check, in the order in which a start depends on them.
[[nodiscard]] std::vector<Check> examine(const Paths& paths);

// One by one. None needs a daemon, a terminal or the network.
[[nodiscard]] Check check_kernel();
[[nodiscard]] Check check_user_namespaces();
[[nodiscard]] Check check_id_ranges();
[[nodiscard]] Check check_namespaces(); // mount, pid, net, uts, ipc, cgroup; time
[[nodiscard]] Check check_proc_mount();
[[nodiscard]] Check check_overlay();
[[nodiscard]] Check check_tun();
[[nodiscard]] Check check_fuse();
[[nodiscard]] Check check_slirp4netns();
[[nodiscard]] Check check_seccomp();
[[nodiscard]] std::vector<Check> check_cgroups(); // the user manager, and each controller
[[nodiscard]] Check check_runtime_folder(const Paths& paths);
[[nodiscard]] Check check_installation(const Paths& paths);

} // namespace squish::doctor
