// How the keeper gets from an ordinary process to the root of the user's own namespaces. Runs once, at its start.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>
#include <vector>

namespace squish::keeper {

// "inside outside count" triples, as newuidmap(1) takes them. Empty: only the user's own id, mapped to 0.
struct IdMaps {
    std::vector<std::string> uids, gids;
};

struct Home {
    NsFd host_mounts; // a copy of the host's mount namespace, following it (slave): where the user's files are
    NsFd network;     // the shared network namespace, ours
    UniqueFd twin;    // the socket to the host-network twin
    bool single_id = false;
    std::string oom_score_adj;    // of the containers
    std::string uid_map, gid_map; // what a container gets: every id of ours, mapped to itself
};

// Enters a new user namespace with these maps. ErrorKind::unsupported with the remedy where the machine forbids it.
[[nodiscard]] Result<void> enter_user_namespace(const IdMaps& maps);

// Leaves the session keyring that the user's login made (session-keyring(7)): no container inherits it.
[[nodiscard]] Result<void> leave_users_keyring();

// Leaves the process in a mount namespace of a tmpfs with /proc, a few devices, /root and /stage: what a container's
// namespace begins as. Forks the twin (keeper/twin.h) before the network namespace is left. `init` is the memfd.
[[nodiscard]] Result<Home> build_home(int init);

} // namespace squish::keeper
