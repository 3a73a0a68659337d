// What isolates a container that runs, as the kernel says it: read from /proc, not from what we meant to do.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish {

struct IsolationInfo {
    struct IdExtent {
        std::uint64_t inside = 0, outside = 0, count = 0; // "outside" as the host counts
        bool operator==(const IdExtent&) const = default;
    };
    struct Mount {
        std::string target, type;
        std::vector<std::string> options; // "ro", "nosuid", …
        std::string propagation;          // "" for a private mount; else "shared:7", "master:7"
        bool operator==(const Mount&) const = default;
    };
    struct Limit {
        std::string name, soft, hard, unit; // as proc_pid_limits(5) has them
        bool operator==(const Limit&) const = default;
    };

    pid_t payload = 0;                               // on the host
    std::map<std::string, std::uint64_t> namespaces; // kind → inode number
    std::vector<IdExtent> uid_map, gid_map;
    std::map<std::string, std::vector<std::string>> capabilities; // set → names
    std::vector<std::uint64_t> groups;                            // supplementary, as the host counts
    bool no_new_privileges = false;
    int seccomp_mode = 0, seccomp_filters = 0; // 2: a filter; how many
    int oom_score_adj = 0;
    std::vector<Mount> mounts;
    std::vector<std::string> masked, frozen; // of /proc and /sys: covered; read-only
    std::vector<Limit> limits;
};

// Of the container whose init has this pid on the host. Nothing where it or the payload has ended meanwhile. Needs the
// rights of who made the containers' user namespaces.
[[nodiscard]] Result<std::optional<IsolationInfo>> read_isolation(pid_t init);

// The parts, from the text of their files (proc_pid_status(5), proc_pid_mountinfo(5), …). What is malformed is left
// out.
void read_status(std::string_view text, IsolationInfo& out);
void read_mounts(std::string_view text, IsolationInfo& out);
[[nodiscard]] std::vector<IsolationInfo::IdExtent> read_id_map(std::string_view text);
[[nodiscard]] std::vector<IsolationInfo::Limit> read_limits(std::string_view text);
// The pid by which the process of this status knows itself, in its own PID namespace; 0 where the text does not say.
[[nodiscard]] std::uint64_t innermost_pid(std::string_view status);

} // namespace squish
