// The direct driver: cgroups that squish makes itself, in a subtree that was delegated to the user (driver.h).
#include "base/text.h"
#include "limits/drivers.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::limits {

namespace {

constexpr const char* kOwnSubtree = "start squishd alone in a cgroup of its own: "
                                    "systemd-run --user --scope -p Delegate=yes squishd";

Result<DirFd> make_cgroup(const std::string& path, Filesystem on) {
    if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST)
        return fail_errno("make cgroup '" + printable(path) + "'");
    auto folder = TRY(open_folder(path, on));
    // Not squishd's umask: who mounts the leaf with ids of its own looks it up through this one.
    if (::fchmod(folder.get(), 0755) < 0)
        return fail_errno("open cgroup '" + printable(path) + "' to readers");
    return folder;
}

class DirectDriver final : public Driver {
public:
    DirectDriver(std::string root, std::string instance, Controllers controllers, Filesystem on)
        : root_(std::move(root)), instance_(std::move(instance)), controllers_(std::move(controllers)), on_(on) {}

    [[nodiscard]] const char* name() const override { return "direct"; }
    [[nodiscard]] const Controllers& controllers() const override { return controllers_; }
    [[nodiscard]] bool needs_anchor() const override { return false; }

    [[nodiscard]] Task<void> adopt(std::vector<pid_t> cloners) override {
        CO_TRY_TO(const auto keeper, make_cgroup(path_of("keeper"), on_));
        for (const auto process : cloners) {
            auto moved = write_value(keeper.get(), "cgroup.procs", std::to_string(process));
            if (moved)
                continue;
            auto error = std::move(moved).error();
            if (error.sys_errno != EACCES)
                co_return std::unexpected(std::move(error).within("move the keeper"));
            // Who moves must be allowed to write cgroup.procs of the nearest cgroup above both (cgroups(7)).
            co_return fail(ErrorKind::unsupported,
                           "the keeper was started outside of '" + printable(root_) + "' and cannot be moved there",
                           std::string("end it by 'squish daemon stop', then ") + kOwnSubtree);
        }
        co_return Result<void>();
    }

    [[nodiscard]] Task<Cgroup> create(std::string id, ResourceSpec limits, pid_t) override {
        CO_TRY(check_name(id));
        CO_TRY(check_enforceable(*this, limits));
        CO_TRY_TO(const auto settings, settings_of(limits, {}, machine_disks()));
        auto made = build(id, limits, settings);
        if (!made)
            (void) co_await remove(id);
        co_return made;
    }

    [[nodiscard]] Task<void> update(std::string id, ResourceSpec before, ResourceSpec wanted) override {
        CO_TRY(check_name(id));
        CO_TRY(check_enforceable(*this, wanted));
        const auto disks = machine_disks();
        CO_TRY_TO(const auto settings, settings_of(wanted, before, disks));
        CO_TRY_TO(const auto cgroup, open_container(path_of(id), on_));
        CO_TRY(enable(cgroup.outer(), controllers_of(wanted)));
        CO_TRY(apply(cgroup.outer(), settings));
        auto done = apply_checked(cgroup.leaf(), settings, wanted, before, disks);
        if (!done)
            if (const auto back = settings_of(before, wanted, disks))
                (void) apply(cgroup.outer(), *back);
        co_return done;
    }

    [[nodiscard]] Task<void> remove(std::string id) override {
        CO_TRY(check_name(id));
        const auto path = path_of(id);
        auto folder = open_folder(path, on_);
        if (!folder && folder.error().sys_errno == ENOENT)
            co_return Result<void>();
        if (!folder)
            co_return std::unexpected(std::move(folder).error());
        CO_TRY(kill_all(folder->get()));
        CO_TRY(co_await wait_empty(folder->get(), kDeadline));
        co_return remove_tree(path, on_);
    }

    [[nodiscard]] Task<void> close() override {
        const auto folder = open_folder(path_of("keeper"), on_);
        if (!folder)
            co_return Result<void>();
        CO_TRY(co_await wait_empty(folder->get(), kDeadline));
        co_return remove_tree(path_of("keeper"), on_);
    }

    [[nodiscard]] Task<void> retain(std::vector<std::string> ids) override {
        CO_TRY_TO(const auto root, open_folder(root_, on_));
        CO_TRY_TO(const auto names, children_of(root.get()));
        Result<void> outcome;
        for (const auto& name : names) {
            const auto id = id_in(name, instance_, "");
            if (!id || std::ranges::find(ids, *id) != ids.end())
                continue;
            if (auto removed = co_await remove(*id); !removed && outcome)
                outcome = std::move(removed); // the others are removed all the same
        }
        co_return outcome;
    }

    [[nodiscard]] std::string path_of(const std::string& id) const override {
        return root_ + "/" + cgroup_name(instance_, id);
    }

private:
    [[nodiscard]] Result<Cgroup> build(const std::string& id, const ResourceSpec& limits,
                                       const std::vector<Setting>& settings) const {
        const auto outer = TRY(make_cgroup(path_of(id), on_));
        auto cgroup = TRY(Cgroup::make_inner(path_of(id), inner_controllers(limits, controllers_), on_));
        TRY(apply(cgroup.outer(), settings));
        TRY(apply(cgroup.leaf(), settings));
        TRY(check_cpuset(cgroup.leaf(), limits));
        return cgroup;
    }

    std::string root_, instance_;
    Controllers controllers_;
    Filesystem on_;
};

// squishd, whoever started it (squish), and what it has started.
bool is_squish(pid_t process) {
    char target[4096];
    const auto link = "/proc/" + std::to_string(process) + "/exe";
    const auto size = ::readlink(link.c_str(), target, sizeof target);
    const std::string_view program(target, size > 0 ? static_cast<std::size_t>(size) : 0);
    const auto name = program.substr(program.rfind('/') + 1);
    return process == ::getpid() || name == "squish" || name == "squishd" || name.starts_with("squish-") ||
           name.starts_with("memfd:squish-init");
}

// "no internal processes" (cgroups(7)): what is squish's goes one down; others' processes are not ours to move.
Result<void> leave_root(int root, const std::string& path, const std::string& instance, Filesystem on) {
    const auto processes = TRY(processes_in(root));
    if (processes.empty())
        return {};
    if (const auto other = std::ranges::find_if_not(processes, is_squish); other != processes.end())
        return fail(ErrorKind::unsupported,
                    "the cgroup '" + printable(path) + "' holds other processes than squishd" +
                        (*other > 0 ? " (" + std::to_string(*other) + ")" : ""),
                    kOwnSubtree);
    const auto daemon = TRY(make_cgroup(path + "/" + cgroup_name(instance, "daemon"), on));
    for (const auto process : processes)
        if (auto moved = write_value(daemon.get(), "cgroup.procs", std::to_string(process));
            !moved && moved.error().sys_errno != ESRCH) // it may have ended
            return moved;
    return {};
}

Result<void> check_writable(int root, const std::string& path) {
    for (const char* file : {"cgroup.procs", "cgroup.subtree_control"})
        if (::faccessat(root, file, W_OK, 0) < 0)
            return fail(ErrorKind::unsupported,
                        "the cgroup '" + printable(path) + "' is not delegated to you: " + file + ": " +
                            errno_text(errno),
                        std::string(kOwnSubtree) + ", or name a cgroup of yours in squishd.toml: [limits] cgroup");
    return {};
}

} // namespace

Result<std::unique_ptr<Driver>> open_direct(const Machine& machine, std::string root, std::string instance) {
    if (root.empty()) {
        root = TRY(machine.folder_of(machine.own));
        const auto daemon = "/" + cgroup_name(instance, "daemon"); // an earlier squishd went there, and we came of it
        if (root.ends_with(daemon))
            root.resize(root.size() - daemon.size());
    }
    while (root.ends_with('/'))
        root.pop_back();
    const auto folder = TRY(open_folder(root, machine.filesystem));
    const auto text = TRY(read_value(folder.get(), "cgroup.controllers"));
    const auto available = parse_controllers(text);
    if (available.empty())
        return fail(ErrorKind::unsupported, "the cgroup '" + printable(root) + "' has no controllers",
                    no_controllers_remedy());
    TRY(check_writable(folder.get(), root));
    TRY(leave_root(folder.get(), root, instance, machine.filesystem));
    Controllers controllers;
    for (const auto controller : available) {
        const auto enabled = enable(folder.get(), {controller});
        if (enabled)
            controllers.insert(controller); // one that cannot be had is missed only by who asks for it
    }
    if (controllers.empty())
        return fail(ErrorKind::unsupported, "no controller can be turned on in the cgroup '" + printable(root) + "'",
                    kOwnSubtree);
    return std::unique_ptr<Driver>(std::make_unique<DirectDriver>(std::move(root), std::move(instance),
                                                                  std::move(controllers), machine.filesystem));
}

} // namespace squish::limits
