#include "stager/service.h"

#include "base/text.h"
#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"
#include "stager/requests.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::stager {

using wire::Json;

namespace {

struct SourceMount {
    MountFd mount;
    bool folder;
};

// Clones what is mounted at the user's path. The path is resolved with the user's own rights: the capabilities that we
// hold reach no farther than the user's own ids. Must not: follow a link of /proc to somebody's root, working folder or
// descriptors, whoever made a link to it: /proc/self would be us, and what we hold is not the user's to mount.
Result<SourceMount> open_source(const std::string& path, bool read_only) {
    const auto source = TRY(open_of_user(path, O_PATH));
    struct stat info{};
    if (::fstat(source.get(), &info) < 0)
        return fail_errno("look at '" + printable(path) + "'");
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode) && !S_ISSOCK(info.st_mode) && !S_ISFIFO(info.st_mode))
        return fail(ErrorKind::invalid, "'" + printable(path) + "' is neither a file nor a folder");
    SourceMount out{TRY(os::clone_mount(source.get(), "", true)), S_ISDIR(info.st_mode)};
    TRY(os::set_mount_attributes(out.mount.get(),
                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0), true));
    return out;
}

std::string subnet_of(std::uint32_t first, unsigned prefix) {
    return network::to_string(network::address_of(first)) + "/" + std::to_string(prefix);
}
std::string subnet6_of(std::uint32_t first) {
    if (!network::has_ipv6())
        return {};
    auto address = network::address6_of(first);
    address[14] = address[15] = 0;
    return network::to_string(address) + "/" + std::to_string(network::kNetwork6Prefix);
}

// What a network is, where its names are asked for, and by whom.
Json facts_of(network::NetworkId id) {
    const auto bytes = [](const auto& all, unsigned bits) {
        Json out = Json::array();
        for (unsigned at = 0; at < bits / 8; ++at)
            out.push_back(static_cast<unsigned>(all[at]));
        return out;
    };
    const auto network = network::kAllNetworks.value;
    const std::array<unsigned, 4> v4{network >> 24, network >> 16 & 0xff, network >> 8 & 0xff, network & 0xff};
    return {{"gateway", network::to_string(network::gateway_of(id))},
            {"subnet", subnet_of(network::number_in(id, 0), network::prefix_of(id))},
            {"subnet6", subnet6_of(network::number_in(id, 0))},
            {"interface", id == 0 ? network::RuleOptions{}.bridge : network::bridge_name(id)},
            {"resolv_conf", network::resolv_conf_of(id)},
            {"reach4", bytes(v4, network::kAllNetworksPrefix)},
            {"reach6", bytes(network::kAllNetworks6, network::kAllNetworks6Prefix)}};
}

} // namespace

Result<Service> Service::open(const std::string& workspace, NsFd home) {
    auto cache = TRY(RootfsCache::open(workspace));
    return Service(std::move(cache), workspace, std::move(home));
}

Result<Reply> Service::handle(const Json& request) {
    const auto op = TRY(wire::get_string(request, "op"));
    if (op == "stage")
        return stage(request);
    if (op == "sdks")
        return sdks(request);
    if (op == "network.up")
        return network_up(request);
    if (op == "network.uplink")
        return network_uplink();
    if (op == "network.slot")
        return network_slot(request);
    if (op == "network.add")
        return network_add(request);
    if (op == "network.remove")
        return network_remove(request);
    if (op == "network.describe")
        return network_describe(request);
    if (op == "network.release")
        return network_release(request);
    if (op == "network.retain")
        return network_retain(request);
    if (op == "network.host_loopback")
        return network_host_loopback(request);
    if (op == "network.isolated")
        return isolated_network();
    if (op == "procfs.up")
        return procfs_up();
    if (op == "procfs.view")
        return procfs_view(request);
    return fail(ErrorKind::invalid, "unknown request '" + printable(op) + "'");
}

// Mounts of the user first, since their kinds decide what the skeleton must hold; then the root.
Result<Reply> Service::stage(const Json& request) {
    auto wanted = TRY(read_stage(request));
    Reply reply;
    std::vector<Point> points;
    Json kinds = Json::array();
    std::vector<UniqueFd> mounts;
    for (auto& mount : wanted.mounts) {
        auto opened = open_source(mount.source, mount.read_only);
        if (!opened)
            return std::unexpected(std::move(opened).error().within(mount.label));
        if (!mount.nested) // a target inside another mount must exist there; it is no point of the root
            points.push_back(
                {.path = std::move(mount.target), .folder = opened->folder, .content = {}, .generated = false});
        kinds.push_back(opened->folder ? "folder" : "file");
        mounts.push_back(std::move(opened->mount));
    }
    for (auto& folder : wanted.folders)
        points.push_back({.path = std::move(folder), .folder = true, .content = {}, .generated = false});
    for (auto& file : wanted.files)
        points.push_back(
            {.path = std::move(file.path), .folder = false, .content = std::move(file.content), .generated = true});
    const auto& rootfs = wanted.rootfs;
    auto root = rootfs_.mount(rootfs, std::move(points));
    if (!root)
        return std::unexpected(std::move(root).error().within("rootfs '" + printable(rootfs) + "'"));
    reply.fds.push_back(std::move(*root));
    for (auto& mount : mounts)
        reply.fds.push_back(std::move(mount));
    reply.fields["kinds"] = std::move(kinds);
    return reply;
}

// A folder with a layer each in it, as one tree of mounts: attached to a container, all appear at once.
Result<Reply> Service::sdks(const Json& request) {
    const auto wanted = TRY(read_sdks(request));
    const auto point = workspace_ + "/sdks";
    if (::mkdir(point.c_str(), 0700) < 0 && errno != EEXIST)
        return fail_errno("make '" + point + "'");
    const auto folder = TRY(os::new_filesystem("tmpfs", {{"mode", "0755"}, {"size", "64k"}, {"nr_inodes", "256"}},
                                               MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    const auto bare = TRY(os::open_file(point, O_PATH | O_DIRECTORY));
    TRY(os::attach_mount(folder.get(), bare.get()));
    auto made = [&]() -> Result<Reply> {
        const auto root = TRY(os::open_file(point, O_PATH | O_DIRECTORY));
        for (const auto& mount : wanted) {
            const auto& name = mount.name;
            auto opened = open_source(mount.source, true);
            if (!opened)
                return std::unexpected(std::move(opened).error().within(mount.label));
            if (opened->folder) {
                if (::mkdirat(root.get(), name.c_str(), 0755) < 0)
                    return fail_errno("make '" + printable(name) + "'");
            } else {
                TRY(os::open_at(root.get(), name, O_WRONLY | O_CREAT | O_EXCL, 0644));
            }
            const auto target = TRY(os::open_at(root.get(), name, O_PATH | O_NOFOLLOW));
            TRY(os::attach_mount(opened->mount.get(), target.get()));
        }
        auto tree = TRY(os::clone_mount(root.get(), "", true));
        TRY(os::set_mount_attributes(tree.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, true));
        Reply reply;
        reply.fds.push_back(std::move(tree));
        return reply;
    }();
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        return fail_errno("unmount '" + point + "'");
    return made;
}

Result<Reply> Service::network_up(const Json& request) {
    const auto wanted = TRY(read_network_up(request));
    network::Options options;
    options.mtu = wanted.mtu;
    options.rules.ipv6 = wanted.ipv6;
    wanted_spares_ = wanted.spares;
    if (!network_) {
        watch_ = TRY(network::LinkWatch::open());
        network_ = TRY(network::Network::open(options));
    }
    Reply reply;
    reply.fields = facts_of(0);
    reply.fields["ipv6_out"] = network_->has_ipv6_out();
    return reply;
}

// The uplink is there (again).
Result<Reply> Service::network_uplink() {
    if (!network_)
        return fail(ErrorKind::unavailable, "the network is not up");
    TRY(network_->set_up_uplink6());
    return Reply{};
}

Result<Reply> Service::network_add(const Json& request) {
    const auto id = TRY(read_network(request));
    if (!network_)
        return fail(ErrorKind::unavailable, "the network is not up");
    TRY(network_->add_network(id));
    Reply reply;
    reply.fields = facts_of(id);
    return reply;
}

Result<Reply> Service::network_remove(const Json& request) {
    const auto id = TRY(read_network(request));
    if (network_) // else there is no bridge
        TRY(network_->remove_network(id));
    return Reply{};
}

// What is known of networks, whether they are there or not.
Result<Reply> Service::network_describe(const Json& request) {
    Json out = Json::array();
    for (const auto id : TRY(read_networks(request)))
        out.push_back(facts_of(id));
    Reply reply;
    reply.fields["networks"] = std::move(out);
    return reply;
}

Result<bool> Service::look_after_network() {
    if (!watch_->has_lost_bridge())
        return false;
    return network_->repair();
}

Result<Reply> Service::network_slot(const Json& request) {
    if (!network_)
        return fail(ErrorKind::unavailable, "the network is not up");
    std::vector<network::NetworkId> networks;
    if (request.contains("networks"))
        networks = TRY(read_networks(request));
    const bool plain = networks.empty() || networks == std::vector<network::NetworkId>{0};
    auto slot = plain ? TRY(network_->acquire()) : TRY(network_->acquire_on(networks));
    given_.insert(slot.number);
    Reply reply;
    Json attachments = Json::array();
    for (const auto& one : slot.attachments)
        attachments.push_back({{"network", one.network}, {"address", one.address}, {"address6", one.address6}});
    reply.fields = {{"slot", slot.number}, {"attachments", std::move(attachments)}};
    reply.fds.push_back(std::move(slot.netns));
    reply.fds.push_back(std::move(slot.sysfs));
    return reply;
}

Result<Reply> Service::network_release(const Json& request) {
    const auto number = TRY(read_slot(request));
    if (!network_)
        return fail(ErrorKind::not_found, "no such network slot");
    given_.erase(number);
    Reply reply;
    reply.fields["recycled"] = TRY(network_->release(number));
    return reply;
}

// The second uplink is there (again), and these slots may use it, besides those that may already. One whose container
// has ended meanwhile must not be in the others' way.
Result<Reply> Service::network_host_loopback(const Json& request) {
    const auto slots = TRY(read_slots(request));
    if (!network_)
        return fail(ErrorKind::unavailable, "the network is not up");
    TRY(network_->set_up_host_loopback());
    Json unknown = Json::array();
    for (const auto slot : slots) {
        const auto allowed = network_->allow_host_loopback(slot);
        if (!allowed && allowed.error().kind != ErrorKind::not_found)
            return std::unexpected(allowed.error());
        if (!allowed)
            unknown.push_back(slot);
    }
    Reply reply;
    reply.fields["unknown"] = std::move(unknown);
    return reply;
}

// A new squishd says which slots its containers use; what an old one had taken and not used comes back.
Result<Reply> Service::network_retain(const Json& request) {
    const auto slots = TRY(read_slots(request));
    const std::set<std::uint32_t> used(slots.begin(), slots.end());
    for (const auto slot : given_)
        if (!used.contains(slot) && network_)
            (void) network_->release(slot);
    std::erase_if(given_, [&](std::uint32_t slot) { return !used.contains(slot); });
    return Reply{};
}

// `mode = "none"`: a network namespace with nothing but its loopback.
Result<Reply> Service::isolated_network() {
    const auto home = TRY(os::open_namespace(::getpid(), "net"));
    if (::unshare(CLONE_NEWNET) < 0)
        return fail_errno("make a network namespace");
    auto made = [&]() -> Result<Reply> {
        Reply reply;
        const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ifreq lo{};
        lo.ifr_name[0] = 'l';
        lo.ifr_name[1] = 'o';
        lo.ifr_flags = IFF_UP;
        if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &lo) < 0)
            return fail_errno("bring up loopback");
        TRY(os::write_existing("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"));
        reply.fds.push_back(TRY(os::open_namespace(::getpid(), "net")));
        reply.fds.push_back(TRY(os::new_filesystem(
            "sysfs", {}, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)));
        return reply;
    }();
    if (auto back = os::enter_namespace(home.get(), CLONE_NEWNET); !back)
        ::_exit(1); // cannot happen with the capabilities we hold; in the wrong namespace nothing we do would be right
    return made;
}

bool Service::idle() {
    if (!network_)
        return false;
    const auto made = network_->prepare(wanted_spares_);
    return made && *made;
}

} // namespace squish::stager
