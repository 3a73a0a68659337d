// What a container will be, decided from the squishfile and the machine: plain data, no system calls but looking at
// the user's own files where the squishfile leaves something open.
#pragma once

#include "base/result.h"
#include "squishfile/squishfile.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace squish::plan {

// What the machine and this user's configuration offer.
struct Machine {
    std::string base_rootfs;  // the user's copy of the built-in rootfs
    std::string base_version; // "1-2f6c0a9b1c3d"
    std::string resolv_conf;  // for bridge mode
    bool single_id = false;   // only one id is mapped: `user` cannot be another
    bool time_namespaces = true;
    int landlock = 0;                         // the ABI of Landlock that the kernel has; 0: none
    std::uint64_t descriptor_limit = 524'288; // the hard RLIMIT_NOFILE that can be given
    std::uint64_t inotify_instances = 0;      // what the user may have of them, as may those of the user's containers
    std::uint64_t inotify_watches = 0;        // together; 0: not known
};

// A layer as it is mounted: found, stored, or the user's own.
struct Layer {
    std::string name;
    std::string path;   // absolute, on the host
    std::string target; // absolute, in the container; "/" for the rootfs
    bool read_write = false;
    bool rootfs = false;
    std::uint64_t closed = 0;                             // how many of its files not everybody may read
    bool in_path = false;                                 // TARGET/bin belongs into PATH
    std::vector<std::pair<std::string, std::string>> env; // its own variables
    struct Command {
        std::string command; // absolute, in the container
        std::vector<std::string> args;
        std::vector<std::string> entry; // files of the layer `app`, the first that exists is appended
    };
    std::optional<Command> command; // what it runs where the squishfile does not say
};

struct Mount {
    std::string layer;
    std::string source; // absolute, on the host
    std::string target; // absolute, in the container
    bool read_only = true;
    std::uint64_t closed = 0; // as of Layer
    bool nested = false;      // beneath the target of another mount (or of /tmp): no point of the rootfs
};

struct ContainerPlan {
    std::string id, hostname;
    std::string rootfs, rootfs_layer;
    std::vector<Mount> mounts;                              // sorted by target: outer before inner
    std::vector<std::string> folders;                       // mount points that the root must have
    std::vector<std::pair<std::string, std::string>> files; // generated, path → content
    std::string command;
    std::vector<std::string> arguments; // argv, including argv[0]
    std::vector<std::pair<std::string, std::string>> environment;
    std::string work_folder = "/";
    UserSpec user;
    bool user_given = false; // by the squishfile
    NetworkMode network = NetworkMode::bridge;
    bool host_loopback = false;          // may reach the host's loopback
    std::vector<std::string> sockets;    // the names of the listening sockets that the payload gets, in order
    std::optional<std::uint32_t> filter; // flags of the seccomp filter that travels with the plan; none: unconfined
    bool own_tmp = true;                 // a private tmpfs on /tmp (false where the squishfile mounts something there)
    bool tmp_noexec = false;             // nothing in it can be executed
    bool own_keyring = false;            // a session keyring of its own: the filter may let it use one
    bool own_cgroup = false;             // it has limits: /sys/fs/cgroup shows them
    bool view = false;                   // its cell has a view of /proc and /sys
    std::string affinity;                // the CPUs it may run on, as launch::StepKind::affinity takes them; empty: all
    std::uint64_t capabilities = 0;      // a bit for each that the payload keeps (linux/capability.h)
    Machine machine;
};

// What this version understands but does not do yet is refused here, naming the table and the key.
[[nodiscard]] Result<void> refuse_unsupported(const Squishfile& file, const Machine& machine);

// Decides. `layers` are those of the file and what they require; without a rootfs among them the built-in one is taken.
// `state_folder` is the container's own (for /etc/hosts and /etc/hostname); nothing is written.
[[nodiscard]] Result<ContainerPlan> plan_container(const Squishfile& file, const std::vector<Layer>& layers,
                                                   const std::string& id, const std::string& name,
                                                   const Machine& machine, const std::string& state_folder);

// Whether a payload under that [security] seccomp can use keyrings (keyrings(7)). The default filter shuts them, and a
// keyring for each container would use up the user's 200.
[[nodiscard]] bool needs_keyring(const std::string& seccomp);
// Landlock's ABI with scopes, Linux 6.12.
inline constexpr int kLandlockScopes = 6;

// A bit for each of these names of the squishfile ("CAP_CHOWN").
[[nodiscard]] std::uint64_t capability_bits(const std::vector<std::string>& names);

// The layers of a file that names only paths.
[[nodiscard]] std::vector<Layer> layers_of(const Squishfile& file);

// The command for a squishfile without [run]: the one executable file of the layer `app`; else what a layer says of
// itself, with the entry file of `app` that it names.
[[nodiscard]] Result<RunSpec> default_command(const std::vector<Layer>& layers);

// Contents of the generated files.
[[nodiscard]] std::string hosts_file(const ContainerPlan& plan, const std::string& address);

inline constexpr const char* kHostLoopbackName = "host.squish.internal"; // in /etc/hosts of those who may reach it

inline constexpr const char* kSdkFolder = "/sdk"; // in every root: layers can be attached there later
inline constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

} // namespace squish::plan
