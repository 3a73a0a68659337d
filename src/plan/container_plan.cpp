#include "plan/container_plan.h"

#include "base/text.h"
#include "squishfile/capabilities.h"

#include <algorithm>

namespace squish::plan {

namespace {

bool beneath(const std::string& path, const std::string& folder) {
    return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

void plan_mounts(const std::vector<Layer>& layers, ContainerPlan& plan, const std::string& state_folder) {
    for (const auto& layer : layers) {
        if (layer.rootfs)
            continue;
        plan.mounts.push_back({.layer = layer.name,
                               .source = layer.path,
                               .target = layer.target,
                               .read_only = !layer.read_write,
                               .closed = layer.closed,
                               .nested = false});
    }
    // The files that name the container, unless the squishfile brings its own.
    const auto taken = [&](const std::string& target) {
        return std::ranges::any_of(
            plan.mounts, [&](const Mount& mount) { return mount.target == target || beneath(target, mount.target); });
    };
    for (const std::string name : {"hostname", "hosts"})
        if (const auto target = "/etc/" + name; !taken(target))
            plan.mounts.push_back({.layer = "",
                                   .source = state_folder + "/" + name,
                                   .target = target,
                                   .read_only = true,
                                   .nested = false});
    if (plan.network == NetworkMode::host && !taken("/etc/resolv.conf"))
        plan.mounts.push_back({.layer = "",
                               .source = "/etc/resolv.conf",
                               .target = "/etc/resolv.conf",
                               .read_only = true,
                               .nested = false});
    if (plan.network == NetworkMode::bridge && !taken("/etc/resolv.conf"))
        plan.files.emplace_back("/etc/resolv.conf", plan.machine.resolv_conf);
    if (plan.network == NetworkMode::host) // the payload has no right to a sysfs of the host's network namespace
        plan.mounts.push_back({.layer = "", .source = "/sys", .target = "/sys", .read_only = true, .nested = false});
    std::ranges::stable_sort(plan.mounts, {}, &Mount::target);
    plan.own_tmp = std::ranges::find(plan.mounts, "/tmp", &Mount::target) == plan.mounts.end();
    for (auto& mount : plan.mounts) {
        mount.nested = beneath(mount.target, "/tmp");
        for (const auto& other : plan.mounts)
            mount.nested |= beneath(mount.target, other.target);
    }
    plan.folders = {"/dev", "/proc", kSdkFolder, "/sys", "/tmp"};
    std::erase_if(plan.folders, [&](const std::string& folder) { // an ancestor that the user mounts brings its own
        return folder == kSdkFolder && taken(folder);
    });
}

// What was given later wins; a variable keeps the place of its first mention.
void set(std::vector<std::pair<std::string, std::string>>& env, const std::string& key, const std::string& value) {
    const auto known = std::ranges::find(env, key, &std::pair<std::string, std::string>::first);
    if (known != env.end())
        known->second = value;
    else
        env.emplace_back(key, value);
}

void plan_environment(const Squishfile& file, const std::vector<Layer>& layers, ContainerPlan& plan) {
    auto& env = plan.environment;
    std::string path;
    for (const auto& layer : layers)
        if (layer.in_path)
            path += layer.target + "/bin:";
    env.emplace_back("PATH", path + kDefaultPath);
    env.emplace_back("HOME", plan.user.uid == 0 ? "/root" : "/");
    env.emplace_back("HOSTNAME", plan.hostname);
    env.emplace_back("container", "squish"); // what programs look at to know (systemd's container interface)
    for (const auto& layer : layers)
        for (const auto& [key, value] : layer.env)
            set(env, key, value);
    for (const auto& [key, value] : file.env)
        set(env, key, value);
}

} // namespace

std::string hosts_file(const ContainerPlan& plan, const std::string& address) {
    std::string text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    text += (address.empty() ? "127.0.1.1" : address) + "\t" + plan.hostname + "\n";
    if (plan.host_loopback) // 10.0.3.2: uplink/uplink.h
        text +=
            std::string(plan.network == NetworkMode::host ? "127.0.0.1" : "10.0.3.2") + "\t" + kHostLoopbackName + "\n";
    return text;
}

bool needs_keyring(const std::string& seccomp) {
    return seccomp != "default";
}

std::uint64_t capability_bits(const std::vector<std::string>& names) {
    std::uint64_t bits = 0;
    for (const auto& name : names)
        for (const auto& one : kGrantable)
            if (name == "CAP_" + std::string(one.name))
                bits |= 1ULL << one.number;
    return bits;
}

std::vector<Layer> layers_of(const Squishfile& file) {
    std::vector<Layer> layers;
    for (const auto& spec : file.layers) {
        Layer layer;
        layer.name = spec.name;
        layer.path = spec.path;
        layer.target = mount_target(spec).value_or("");
        layer.read_write = spec.read_write;
        layer.rootfs = spec.rootfs;
        layers.push_back(std::move(layer));
    }
    return layers;
}

Result<ContainerPlan> plan_container(const Squishfile& file, const std::vector<Layer>& layers, const std::string& id,
                                     const std::string& name, const Machine& machine, const std::string& state_folder) {
    ContainerPlan plan;
    plan.id = id;
    plan.machine = machine;
    plan.network = file.network.mode;
    plan.host_loopback = file.network.host_loopback;
    plan.tmp_noexec = file.security.tmp_noexec;
    plan.own_keyring = needs_keyring(file.security.seccomp);
    plan.own_cgroup = file.resources.any();
    plan.capabilities = capability_bits(file.security.capabilities);
    plan.hostname = name.substr(0, 63); // HOST_NAME_MAX is 64
    const auto rootfs = std::ranges::find(layers, true, &Layer::rootfs);
    const bool built_in = rootfs == layers.end() || rootfs->path.empty();
    plan.rootfs = built_in ? machine.base_rootfs : rootfs->path;
    plan.rootfs_layer = built_in ? "base" : rootfs->name;

    const auto run = file.run ? *file.run : TRY(default_command(layers));
    plan.command = run.command;
    plan.arguments.push_back(run.command);
    plan.arguments.insert(plan.arguments.end(), run.args.begin(), run.args.end());
    plan.work_folder = run.workdir.value_or("/");
    plan.user = run.user.value_or(UserSpec{});
    plan.user_given = run.user.has_value();
    for (const auto& port : file.ports)
        if (port.activation)
            plan.sockets.push_back(port.name.empty() ? std::to_string(port.container) : port.name);
    plan_mounts(layers, plan, state_folder);
    if (plan.tmp_noexec && !plan.own_tmp) {
        const auto tmp = std::ranges::find(plan.mounts, "/tmp", &Mount::target);
        return fail(ErrorKind::invalid,
                    "[security] tmp_noexec is about the container's own /tmp, but layer '" + printable(tmp->layer) +
                        "' is mounted there",
                    "mount the layer elsewhere, or leave out tmp_noexec");
    }
    plan_environment(file, layers, plan);
    return plan;
}

} // namespace squish::plan
