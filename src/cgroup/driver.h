// Who makes and removes the cgroups of containers: the systemd user manager, or squish itself in a delegated subtree.
//
// How this works
//   A driver is used from one thread, squishd's event loop, and blocks for nothing but the kernel's own files. What
//   must wait for systemd ends in a callback, which is called exactly once: before the function returns (direct driver)
//   or out of on_ready() (systemd). fd(), wanted_events() and deadline() say when on_ready() has something to do; ask
//   again after every call (a deadline that has passed means: now, something is waiting in memory). A driver that is
//   destroyed calls what is still open with an error. The engine turns a callback into a coroutine with a Latch, as the
//   clients of helpers do.
#pragma once

#include "base/result.h"
#include "cgroup/container_cgroup.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace squish::cgroup {

class Driver {
public:
    using OnCreated = std::function<void(Result<ContainerCgroup>)>;
    using OnDone = std::function<void(Result<void>)>;

    Driver() = default;
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    virtual ~Driver() = default;

    [[nodiscard]] virtual const char* name() const = 0; // "systemd", "direct"
    // The controllers that containers can have.
    [[nodiscard]] virtual ControllerSet controllers() const = 0;

    // Puts the keeper, or a helper that outlives squishd, where a restart of squishd does not reach it and from where
    // containers can be cloned into their cgroups. The keeper first, before it has cloned anything.
    virtual void place(pid_t process, OnDone done) = 0;

    // Makes the container's cgroups, with the limits, for cloning into. Errors: unsupported (a limit that cannot be
    // had, with the remedy), conflict (there are such already), unavailable (the user manager does not answer).
    virtual void create(std::string id, Limits limits, OnCreated done) = 0;
    // The container has been cloned into its cgroup, or will not be: what held the cgroup open until then goes.
    virtual void opened(const std::string& id) = 0;
    // Changes the limits of one that runs; on an error the old ones stand.
    virtual void update(std::string id, Limits to, Limits from, OnDone done) = 0;
    // Takes the container's cgroups away, killing what is left in them. What is not there is fine.
    virtual void remove(std::string id, OnDone done) = 0;

    // One that an earlier squishd made; not_found where there is none.
    [[nodiscard]] virtual Result<ContainerCgroup> find(const std::string& id) const = 0;
    // Kills and removes what an earlier squishd left of containers that are not among `living`; their ids. The names
    // say what is ours.
    [[nodiscard]] virtual Result<std::vector<std::string>> reclaim(const std::set<std::string>& living) = 0;

    // For an event loop: -1 where there is nothing to wait for.
    [[nodiscard]] virtual int fd() const { return -1; }
    [[nodiscard]] virtual short wanted_events() const { return 0; } // as poll(2) has them
    [[nodiscard]] virtual std::optional<std::chrono::steady_clock::time_point> deadline() const { return std::nullopt; }
    virtual void on_ready() {}
};

enum class DriverChoice { automatic, systemd, direct, none };

// The machine and the user, as probe() found them, which changes nothing and asks nobody; what `squish doctor` shows.
struct Probe {
    Situation situation;
    Mounts mounts;
    std::string own; // the cgroup that we are in; empty where there is none
};
[[nodiscard]] Result<Probe> probe();
// Where the cgroup of the user's manager is: above our own (`own`), or where systemd puts it by default.
[[nodiscard]] std::string manager_path(std::string_view own, std::uint32_t uid);

// The driver, and null where there is none: then containers with limits are refused by explain_missing(). An error
// where one was asked for by name and cannot be had. The user manager first, then a subtree of our own. Fills in what
// the driver knows of the situation.
[[nodiscard]] Result<std::unique_ptr<Driver>> choose_driver(DriverChoice choice, Probe& probe);

} // namespace squish::cgroup
