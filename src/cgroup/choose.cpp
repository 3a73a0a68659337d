#include "cgroup/direct.h"
#include "cgroup/systemd.h"

#include <unistd.h>

namespace squish::cgroup {

namespace {

// The cgroup that we were started in. What an earlier squishd, or something that it started, starts is in one of
// squish's own beneath it.
Result<Node> delegated_root(const Probe& found) {
    auto at = found.own;
    if (at.ends_with("/squish-daemon") || at.ends_with("/squish-keeper"))
        at = parent_of(at);
    const auto below = below_mount(found.mounts, at);
    if (found.own.empty() || !below || *below == "/")
        return fail(ErrorKind::unsupported, "squish is in no cgroup of its own");
    auto own = TRY(Node::open(real_kernel(), found.mounts.unified, *below));
    TRY(own.check_delegated());
    return own;
}

} // namespace

Result<std::unique_ptr<Driver>> choose_driver(DriverChoice choice, Probe& found) {
    const auto by_name = choice == DriverChoice::systemd || choice == DriverChoice::direct;
    if (choice == DriverChoice::none)
        return std::unique_ptr<Driver>();
    if (found.mounts.hierarchy != Hierarchy::unified) {
        if (by_name)
            return fail(ErrorKind::unsupported,
                        "a cgroup driver needs cgroup v2 with its controllers, and this machine "
                        "has them with v1",
                        "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1, or set driver = \"auto\"");
        return std::unique_ptr<Driver>();
    }
    if (choice != DriverChoice::direct) {
        auto systemd = Systemd::connect(found.mounts);
        if (systemd) {
            found.situation.user_manager = true;
            found.situation.delegated = (*systemd)->controllers();
            return std::unique_ptr<Driver>(std::move(*systemd));
        }
        if (by_name)
            return std::unexpected(std::move(systemd).error());
    }
    auto root = delegated_root(found);
    auto direct = root ? Direct::take(std::move(*root), ::getpid())
                       : Result<std::unique_ptr<Direct>>(std::unexpected(std::move(root).error()));
    if (direct) {
        found.situation.delegated = (*direct)->controllers();
        return std::unique_ptr<Driver>(std::move(*direct));
    }
    if (by_name)
        return std::unexpected(std::move(direct).error());
    return std::unique_ptr<Driver>();
}

} // namespace squish::cgroup
