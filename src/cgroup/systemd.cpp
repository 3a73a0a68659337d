#include "cgroup/systemd.h"

#include "base/text.h"
#include "os/file.h"

#include <cerrno>

namespace squish::cgroup {

namespace {

constexpr const char* kKeeperScope = "squish-keeper.scope";

std::string scope_path(const UserManager& manager, const std::string& unit) {
    return (manager.cgroup() == "/" ? "" : manager.cgroup()) + "/" + kSlice + "/" + unit;
}

} // namespace

std::vector<Property> scope_properties(const std::string& description, pid_t process) {
    return {
        {"Description", description},
        {"Slice", std::string(kSlice)},
        {"PIDs", std::vector<std::uint32_t>{static_cast<std::uint32_t>(process)}},
        {"Delegate", true}, // also what keeps systemd from ending all of it when one process dies for want of memory
        {"CollectMode", std::string("inactive-or-failed")}};
}

Result<std::unique_ptr<Systemd>> Systemd::connect(const Mounts& mounts) {
    auto manager = TRY(UserManager::connect());
    const auto below = below_mount(mounts, manager->cgroup());
    if (!below)
        return fail(ErrorKind::unsupported,
                    "the user manager's cgroup '" + printable(manager->cgroup()) + "' is not beneath '" +
                        printable(mounts.unified) + "'",
                    "run squish where all of the cgroup file system can be seen");
    const auto node = TRY(Node::open(real_kernel(), mounts.unified, *below));
    const auto controllers = TRY(node.controllers());
    return std::unique_ptr<Systemd>(new Systemd(mounts, std::move(manager), controllers));
}

void Systemd::place(pid_t process, OnDone done) {
    manager_->start_scope(kKeeperScope, scope_properties("squish: keeper and helpers", process),
                          [this, process, done = std::move(done)](Result<void> started) {
                              if (started || started.error().kind != ErrorKind::conflict)
                                  return done(std::move(started));
                              manager_->attach(kKeeperScope, process,
                                               done); // the scope is there: one more process of it
                          });
}

Result<Node> Systemd::open_scope(const std::string& unit) const {
    const auto below = below_mount(mounts_, scope_path(*manager_, unit));
    if (!below)
        return fail(ErrorKind::unsupported, "the cgroup of '" + unit + "' is not mounted");
    return Node::open(real_kernel(), mounts_.unified, *below);
}

// The scope has been opened around the placeholder: makes the payload's cgroup in it.
Result<ContainerCgroup> Systemd::furnish(const std::string& id, const std::string& unit, const Limits& limits) {
    const auto& placeholder = openings_.at(id);
    // It has to be in there by now; what is elsewhere must not be cloned into.
    const auto text = TRY(os::read_file("/proc/" + std::to_string(placeholder.pid()) + "/cgroup", 64 << 10));
    const auto at = parse_own_cgroup(text);
    if (at != scope_path(*manager_, unit))
        return fail(ErrorKind::unavailable, "systemd opened '" + unit + "', but its process is in '" +
                                                printable(at.value_or("no cgroup v2")) + "'");
    auto scope = TRY(open_scope(unit));
    const auto opening = TRY(scope.make_child(kOpening));
    TRY(opening.adopt(placeholder.pid()));
    return ContainerCgroup::make(std::move(scope), limits,
                                 {Controller::cpu, Controller::io, Controller::memory, Controller::pids});
}

void Systemd::create(std::string id, Limits limits, OnCreated done) {
    const auto name = cgroup_name(id);
    if (!name)
        return done(std::unexpected(name.error()));
    if (const auto unknown = unknown_to_systemd(limits); !unknown.empty())
        return done(fail(ErrorKind::unsupported,
                         "[resources] " + unknown.front().key + " cannot be enforced here: systemd does not manage it",
                         "set [cgroups] driver = \"direct\" in squishd.toml, with a cgroup of squish's own"));
    if (openings_.contains(id))
        return done(fail(ErrorKind::conflict, "the cgroup of container '" + id + "' is being made already"));
    auto placeholder = Placeholder::start();
    if (!placeholder)
        return done(std::unexpected(std::move(placeholder).error()));
    const auto unit = *name + ".scope";
    auto properties = scope_properties("squish container " + id, placeholder->pid());
    for (auto& property : to_properties(limits))
        properties.push_back(std::move(property));
    openings_.emplace(id, std::move(*placeholder));
    manager_->start_scope(
        unit, properties, [this, id, unit, limits = std::move(limits), done = std::move(done)](Result<void> started) {
            auto made = started ? furnish(id, unit, limits) : Result<ContainerCgroup>(std::unexpected(started.error()));
            if (!made)
                openings_.erase(id); // its end is the scope's
            done(std::move(made));
        });
}

// Outside first: the payload's own cgroup never promises what the scope does not give.
void Systemd::update(std::string id, Limits to, Limits from, OnDone done) {
    auto cgroup = find(id);
    if (!cgroup)
        return done(std::unexpected(std::move(cgroup).error()));
    if (const auto missing = controllers_of(to).without(controllers_); !missing.empty())
        return done(fail(ErrorKind::unsupported, "the user manager has not been given: " + missing.text()));
    const auto unit = *cgroup_name(id) + ".scope";
    const auto held = std::make_shared<ContainerCgroup>(std::move(*cgroup)); // std::function wants copies
    const auto write = [this, held, unit, to, from, done](Result<void> changed) {
        if (changed)
            changed = held->set_limits(to, from);
        else
            return done(std::move(changed));
        if (!changed) // the first error is the one to tell
            manager_->set_properties(unit, to_properties(from, to), [](const Result<void>&) {});
        done(std::move(changed));
    };
    const auto properties = to_properties(to, from);
    if (properties.empty())
        return write({});
    manager_->set_properties(unit, properties, write);
}

void Systemd::remove(std::string id, OnDone done) {
    openings_.erase(id);
    const auto name = cgroup_name(id);
    if (!name)
        return done(std::unexpected(name.error()));
    const auto unit = *name + ".scope";
    const auto scope = open_scope(unit);
    if (!scope && scope.error().sys_errno == ENOENT)
        return done({}); // gone with its last process, as it should be
    if (scope)
        (void) scope->write({"cgroup.kill", "1"}); // it may go this very moment; the manager has the last word
    manager_->stop(unit, std::move(done));
}

Result<ContainerCgroup> Systemd::find(const std::string& id) const {
    const auto name = TRY(cgroup_name(id));
    auto scope = open_scope(name + ".scope");
    if (!scope && scope.error().sys_errno == ENOENT)
        return fail(ErrorKind::not_found, "container '" + printable(id) + "' has no cgroup");
    if (!scope)
        return std::unexpected(std::move(scope).error());
    return ContainerCgroup::find(std::move(*scope));
}

Result<std::vector<std::string>> Systemd::reclaim(const std::set<std::string>& living) {
    std::vector<std::string> gone;
    const auto below = below_mount(mounts_, parent_of(scope_path(*manager_, "x")));
    const auto slice = below ? Node::open(real_kernel(), mounts_.unified, *below)
                             : Result<Node>(fail(ErrorKind::unsupported, "the user manager's cgroup is not mounted"));
    if (!slice && slice.error().sys_errno == ENOENT)
        return gone; // nothing was ever started
    if (!slice)
        return std::unexpected(slice.error());
    for (const auto& unit : TRY(slice->children())) {
        const auto id = unit.ends_with(".scope") ? id_of(unit) : std::nullopt;
        if (!id || living.contains(*id) || openings_.contains(*id))
            continue;
        if (const auto scope = slice->child(unit)) // systemd removes what is empty
            (void) scope->write({"cgroup.kill", "1"});
        manager_->stop(unit, [](const Result<void>&) {});
        gone.push_back(*id);
    }
    return gone;
}

} // namespace squish::cgroup
