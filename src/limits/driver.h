// Who makes cgroups for containers: the user's systemd (a transient scope for each), or squish itself in a subtree that
// was delegated to the user. One interface, two drivers.
//
// How this works
//   A process can be born in a cgroup (CLONE_INTO_CGROUP, Linux 5.7) only where whoever clones it may write
//   cgroup.procs of the nearest cgroup above both its own and the new one (cgroups(7)). So the keeper, which clones, is
//   taken into the driver's subtree once (adopt()), and containers are never moved. A scope needs a process from its
//   first moment and is gone with its last: an anchor, which the keeper clones and ends (wire::KeeperKind::anchor),
//   keeps it open until the last figures were read. Names: squish.slice/squish-INSTANCE-ID.scope,
//   squish-INSTANCE-keeper.scope; with the direct driver ROOT/squish-INSTANCE-ID and ROOT/squish-INSTANCE-keeper.
//   INSTANCE tells two squishd of one user apart.
#pragma once

#include "async/task.h"
#include "limits/cgroup.h"

#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace squish::limits {

enum class Choice { automatic, systemd, direct, none };

// squishd.toml: [limits]
struct Config {
    Choice driver = Choice::automatic;
    std::string cgroup; // of the direct driver: "/sys/fs/cgroup/…", delegated to the user; empty: squishd's own
};

class Driver {
public:
    virtual ~Driver() = default;
    [[nodiscard]] virtual const char* name() const = 0; // "systemd", "direct"
    // What can be limited with it.
    [[nodiscard]] virtual const Controllers& controllers() const = 0;
    [[nodiscard]] virtual bool needs_anchor() const = 0;
    // Takes the processes that clone containers into the subtree. Again for another keeper.
    [[nodiscard]] virtual Task<void> adopt(std::vector<pid_t> cloners) = 0;
    // Makes the cgroups of a container, with its limits. `anchor`: 0 without one. On error nothing is left once the
    // caller has ended the anchor, which may have been killed already.
    // Errors: unsupported, with the remedy, where a limit cannot be enforced here.
    [[nodiscard]] virtual Task<Cgroup> create(std::string id, ResourceSpec limits, pid_t anchor) = 0;
    // `id`, which has the limits `before`, gets others; on error it has those that it had. Errors: not_found where it
    // has no cgroup.
    [[nodiscard]] virtual Task<void> update(std::string id, ResourceSpec before, ResourceSpec wanted) = 0;
    // Ends what is in it and removes it. Nothing there is no error.
    [[nodiscard]] virtual Task<void> remove(std::string id) = 0;
    // Once the cloners have ended: removes what was there for them.
    [[nodiscard]] virtual Task<void> close() = 0;
    // Removes the cgroups of all but these, and ends what is in them.
    [[nodiscard]] virtual Task<void> retain(std::vector<std::string> ids) = 0;
    // Absolute, below the cgroup2 mount.
    [[nodiscard]] virtual std::string path_of(const std::string& id) const = 0;
};

// The driver that the configuration names, or the first that works: a user manager that answers, else a writable
// delegated subtree. `instance`: 8 hexadecimal digits. Errors: unsupported, saying what was tried and what to do.
[[nodiscard]] Task<std::unique_ptr<Driver>> open_driver(asio::any_io_executor executor, Config config,
                                                        std::string instance);

// Whether `resources` can be had of the driver. Errors: unsupported: which key, which controller, and the remedy
// ("systemctl edit user@.service", with the Delegate= line).
[[nodiscard]] Result<void> check_enforceable(const Driver& driver, const ResourceSpec& resources);

} // namespace squish::limits
