#include "cgroup/direct.h"

#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>

namespace squish::cgroup {

namespace {

constexpr const char* kDaemon = "squish-daemon";
constexpr const char* kKeeper = "squish-keeper";
constexpr std::chrono::milliseconds kPatience{2000};
// For `stats`, wherever they can be had.
ControllerSet figures() {
    return {Controller::cpu, Controller::io, Controller::memory, Controller::pids};
}

Result<Node> child_or_new(const Node& parent, const std::string& name) {
    auto made = parent.make_child(name);
    if (!made && made.error().sys_errno == EEXIST)
        return parent.child(name);
    return made;
}

// Waits until nothing is in it; the kernel says POLLPRI when cgroup.events changes (cgroup-v2.rst).
Result<void> await_empty(const Node& node, std::chrono::milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const auto events = TRY(node.open_file("cgroup.events", O_RDONLY));
        if (!parse_cgroup_events(TRY(node.read("cgroup.events"))).populated)
            return {};
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return fail(ErrorKind::unavailable, "processes in '" + printable(node.path()) + "' do not end",
                        "one may hang in the kernel: see the state D in ps(1)");
        pollfd waiting{events.get(), POLLPRI, 0};
        (void) ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 100)));
    }
}

} // namespace

Result<void> remove_container(const Node& parent, const std::string& name, std::chrono::milliseconds patience) {
    const auto outer = parent.child(name);
    if (!outer)
        return outer.error().sys_errno == ENOENT ? Result<void>() : std::unexpected(outer.error());
    if (parse_cgroup_events(TRY(outer->read("cgroup.events"))).populated) {
        TRY(outer->write({"cgroup.kill", "1"}));
        TRY(await_empty(*outer, patience));
    }
    for (const auto& child : TRY(outer->children()))
        TRY(outer->remove_child(child));
    return parent.remove_child(name);
}

Result<std::unique_ptr<Direct>> Direct::take(Node root, pid_t self) {
    TRY(root.check_delegated());
    auto others = TRY(root.processes());
    const bool inside = std::erase(others, self) > 0;
    if (!others.empty())
        return fail(ErrorKind::unsupported,
                    "the cgroup '" + printable(root.path()) + "' holds other processes (such as " +
                        std::to_string(others.front()) + ")",
                    "start squish in one of its own: systemd-run --user --scope -p Delegate=yes squish daemon start");
    if (inside) {
        const auto own = TRY(child_or_new(root, kDaemon));
        TRY(own.adopt(self));
    }
    const auto available = TRY(root.controllers());
    TRY(root.enable(available));
    auto keeper = TRY(child_or_new(root, kKeeper));
    return std::unique_ptr<Direct>(new Direct(std::move(root), std::move(keeper), available));
}

Result<ContainerCgroup> Direct::make(const std::string& id, const Limits& limits) const {
    const auto name = TRY(cgroup_name(id));
    auto outer = root_.make_child(name);
    if (!outer && outer.error().sys_errno == EEXIST)
        outer.error().kind = ErrorKind::conflict;
    if (!outer)
        return std::unexpected(std::move(outer).error());
    auto limited = outer->write_all(to_files(limits));
    auto made = limited ? ContainerCgroup::make(std::move(*outer), limits, figures())
                        : Result<ContainerCgroup>(std::unexpected(std::move(limited).error()));
    if (!made)
        (void) root_.remove_child(name); // empty: nothing has been in it
    return made;
}

void Direct::place(pid_t process, OnDone done) {
    done(keeper_.adopt(process));
}

void Direct::create(std::string id, Limits limits, OnCreated done) {
    done(make(id, limits));
}

// Outside first: the container's own cgroup never promises what the outer one does not give.
Result<void> Direct::change(const std::string& id, const Limits& to, const Limits& from) const {
    const auto cgroup = TRY(find(id));
    auto changed = cgroup.outer().write_all(to_files(to, from));
    if (changed)
        changed = cgroup.set_limits(to, from);
    if (!changed)
        (void) cgroup.outer().write_all(to_files(from, to)); // the first error is the one to tell
    return changed;
}

void Direct::update(std::string id, Limits to, Limits from, OnDone done) {
    done(change(id, to, from));
}

void Direct::remove(std::string id, OnDone done) {
    const auto name = cgroup_name(id);
    done(name ? remove_container(root_, *name, kPatience) : Result<void>(std::unexpected(name.error())));
}

Result<ContainerCgroup> Direct::find(const std::string& id) const {
    auto outer = root_.child(TRY(cgroup_name(id)));
    if (!outer && outer.error().sys_errno == ENOENT)
        return fail(ErrorKind::not_found, "container '" + printable(id) + "' has no cgroup");
    if (!outer)
        return std::unexpected(std::move(outer).error());
    return ContainerCgroup::find(std::move(*outer));
}

Result<std::vector<std::string>> Direct::reclaim(const std::set<std::string>& living) {
    std::vector<std::string> gone;
    for (const auto& name : TRY(root_.children())) {
        const auto id = id_of(name);
        if (!id || living.contains(*id))
            continue;
        TRY(remove_container(root_, name, kPatience));
        gone.push_back(*id);
    }
    return gone;
}

} // namespace squish::cgroup
