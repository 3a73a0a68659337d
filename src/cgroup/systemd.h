// The systemd driver: a transient scope for each container, made by the user manager.
//
// How this works
//   USER MANAGER (user@UID.service, delegated)
//     squish.slice
//       squish-keeper.scope        keeper, helpers, containers without limits: outlives squishd and its unit
//       squish-ID.scope            Delegate=yes, the limits as properties
//         opening                  a placeholder, while the scope is being opened (systemd needs a process at once)
//         payload                  the container, born here by CLONE_INTO_CGROUP; the limits once more
//   create(): placeholder, StartTransientUnit, JobRemoved; the placeholder steps down into `opening`, so that the
//   scope's controllers can be enabled for `payload`. opened(): the placeholder ends; from then on the container keeps
//   the scope. When the last process has gone systemd removes the scope with all that is beneath; CollectMode makes it
//   forget it.
#pragma once

#include "cgroup/driver.h"
#include "cgroup/placeholder.h"
#include "cgroup/user_manager.h"

#include <map>

namespace squish::cgroup {

class Systemd final : public Driver {
public:
    // Errors: unavailable without a user manager, unsupported where its cgroup cannot be reached.
    [[nodiscard]] static Result<std::unique_ptr<Systemd>> connect(const Mounts& mounts);

    [[nodiscard]] const char* name() const override { return "systemd"; }
    [[nodiscard]] ControllerSet controllers() const override { return controllers_; }

    void place(pid_t process, OnDone done) override;
    void create(std::string id, Limits limits, OnCreated done) override;
    void opened(const std::string& id) override { openings_.erase(id); }
    void update(std::string id, Limits to, Limits from, OnDone done) override;
    void remove(std::string id, OnDone done) override;
    [[nodiscard]] Result<ContainerCgroup> find(const std::string& id) const override;
    [[nodiscard]] Result<std::vector<std::string>> reclaim(const std::set<std::string>& living) override;

    [[nodiscard]] int fd() const override { return manager_->fd(); }
    [[nodiscard]] short wanted_events() const override { return manager_->wanted_events(); }
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> deadline() const override {
        return manager_->deadline();
    }
    void on_ready() override { manager_->on_ready(); }

private:
    Systemd(Mounts mounts, std::unique_ptr<UserManager> manager, ControllerSet controllers)
        : mounts_(std::move(mounts)), manager_(std::move(manager)), controllers_(controllers) {}
    [[nodiscard]] Result<Node> open_scope(const std::string& unit) const;
    [[nodiscard]] Result<ContainerCgroup> furnish(const std::string& id, const std::string& unit, const Limits& limits);

    Mounts mounts_;
    std::map<std::string, Placeholder> openings_; // by id
    std::unique_ptr<UserManager> manager_;        // last: its end calls what uses the others
    ControllerSet controllers_;
};

inline constexpr const char* kSlice = "squish.slice";

// The properties with which a container's scope is opened, but for its limits.
[[nodiscard]] std::vector<Property> scope_properties(const std::string& description, pid_t process);

} // namespace squish::cgroup
