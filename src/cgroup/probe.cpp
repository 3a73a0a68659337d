#include "cgroup/driver.h"

#include "base/text.h"
#include "os/file.h"

#include <pwd.h>
#include <unistd.h>

namespace squish::cgroup {

namespace {

constexpr std::size_t kMaxText = 1 << 20; // mountinfo of a machine with many mounts

} // namespace

std::string manager_path(std::string_view own, std::uint32_t uid) {
    const auto unit = "/user@" + std::to_string(uid) + ".service";
    const auto at = own.find(unit);
    if (at != std::string_view::npos && is_within(own, own.substr(0, at + unit.size())))
        return std::string(own.substr(0, at + unit.size()));
    return "/user.slice/user-" + std::to_string(uid) + ".slice" + unit;
}

Result<Probe> probe() {
    Probe out;
    out.mounts = parse_mounts(TRY(os::read_file("/proc/self/mountinfo", kMaxText)));
    out.situation.hierarchy = out.mounts.hierarchy;
    out.situation.uid = ::getuid();
    const auto* entry = ::getpwuid(::getuid());
    out.situation.user = entry ? entry->pw_name : std::to_string(::getuid());
    out.own = parse_own_cgroup(TRY(os::read_file("/proc/self/cgroup", kMaxText))).value_or("");
    if (out.mounts.hierarchy != Hierarchy::unified)
        return out;
    const auto top = TRY(Node::open(real_kernel(), out.mounts.unified, "/"));
    out.situation.kernel = TRY(top.controllers());
    // The manager's folder is there as long as it runs; asking it would take a connection to its bus.
    for (const auto& path : {manager_path(out.own, out.situation.uid), out.own}) {
        const auto below = below_mount(out.mounts, path);
        const auto node = below && *below != "/" ? Node::open(real_kernel(), out.mounts.unified, *below)
                                                 : Result<Node>(fail(ErrorKind::not_found, "not mounted"));
        if (!node || !node->check_delegated())
            continue;
        out.situation.user_manager = path != out.own;
        out.situation.delegated = TRY(node->controllers());
        break;
    }
    return out;
}

} // namespace squish::cgroup
