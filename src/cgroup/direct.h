// The direct driver: cgroups in a subtree that was delegated to the user, made and removed by squish itself.
//
// How this works
//   ROOT                     the cgroup squishd was started in; it must be the user's, and nobody else may be in it
//     squish-daemon          squishd moves here first, since an inner node must have no process
//     squish-keeper          the keeper comes here before it clones anything, and with it helpers and containers
//     without limits squish-ID/payload      a container (container_cgroup.h)
//   The keeper must be within ROOT: clone3(CLONE_INTO_CGROUP) asks for the right to write cgroup.procs of the nearest
//   cgroup that both have above them (cgroups(7), "Cgroups v2 delegation containment").
#pragma once

#include "cgroup/driver.h"

namespace squish::cgroup {

class Direct final : public Driver {
public:
    // `root`: owned by us from here on. Moves this process out of it, enables the controllers. Errors: unsupported
    // where it is not delegated, or other processes are in it.
    [[nodiscard]] static Result<std::unique_ptr<Direct>> take(Node root, pid_t self);

    [[nodiscard]] const char* name() const override { return "direct"; }
    [[nodiscard]] ControllerSet controllers() const override { return controllers_; }

    void place(pid_t process, OnDone done) override;
    void create(std::string id, Limits limits, OnCreated done) override;
    void opened(const std::string&) override {}
    void update(std::string id, Limits to, Limits from, OnDone done) override;
    void remove(std::string id, OnDone done) override;
    [[nodiscard]] Result<ContainerCgroup> find(const std::string& id) const override;
    [[nodiscard]] Result<std::vector<std::string>> reclaim(const std::set<std::string>& living) override;

private:
    Direct(Node root, Node keeper, ControllerSet controllers)
        : root_(std::move(root)), keeper_(std::move(keeper)), controllers_(controllers) {}
    [[nodiscard]] Result<ContainerCgroup> make(const std::string& id, const Limits& limits) const;
    [[nodiscard]] Result<void> change(const std::string& id, const Limits& to, const Limits& from) const;

    Node root_, keeper_;
    ControllerSet controllers_;
};

// Kills what is in the container's cgroup and removes it with everything beneath: waits at most `patience` for its
// processes to end. What is not there is fine.
[[nodiscard]] Result<void> remove_container(const Node& parent, const std::string& name,
                                            std::chrono::milliseconds patience);

} // namespace squish::cgroup
