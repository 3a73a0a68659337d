#include "plan/container_plan.h"

#include "base/text.h"

namespace squish::plan {

namespace {

std::unexpected<Error> not_yet(const std::string& what, std::string remedy = "leave it out") {
    return fail(ErrorKind::unsupported, what + " is not supported yet by this version", std::move(remedy));
}

bool is_base(const LayerSpec& layer, const Machine& machine) {
    return layer.name == "base" &&
           (layer.version == "latest" || layer.version == "*" || layer.version == machine.base_version ||
            machine.base_version.starts_with(layer.version + "-"));
}

} // namespace

Result<void> refuse_unsupported(const Squishfile& file, const Machine& machine) {
    for (const auto& layer : file.layers) {
        const auto name = "[layers] " + printable(layer.name);
        if (layer.source == LayerSpec::Source::url)
            return not_yet(name + ": a layer by url", "download it and give its path");
        if (layer.source == LayerSpec::Source::version && !is_base(layer, machine))
            return not_yet(name + " = \"" + printable(layer.version) + "\": a layer by version",
                           layer.name == "base" ? "the built-in rootfs here is " + machine.base_version
                                                : "give the path of a folder");
    }
    if (file.resources.any())
        return not_yet("[resources]");
    if (file.security.seccomp != "default" || !file.security.capabilities.empty())
        return not_yet("[security]");
    if (file.health)
        return not_yet("[health]");
    if (file.restart != RestartPolicy::no)
        return not_yet("[restart] policy");
    if (file.procfs.memory || file.procfs.cpus)
        return not_yet("[procfs]");
    if (!file.network.networks.empty() || !file.network.aliases.empty())
        return not_yet("[network] networks and aliases");
    if (machine.single_id && file.run && file.run->user && (file.run->user->uid != 0 || file.run->user->gid != 0))
        return fail(ErrorKind::unsupported,
                    "[run] user = \"" + std::to_string(file.run->user->uid) + ":" +
                        std::to_string(file.run->user->gid) + "\": only one id is mapped for this account",
                    "give it a range of subordinate ids in /etc/subuid and /etc/subgid, then 'squish daemon stop'");
    return {};
}

} // namespace squish::plan
