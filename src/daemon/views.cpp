#include "daemon/views.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <utility>

namespace squish::daemon {

const char* state_text(ContainerState state) {
    switch (state) {
    case ContainerState::created:
        return "created";
    case ContainerState::running:
        return "running";
    case ContainerState::paused:
        return "paused";
    case ContainerState::restarting:
        return "restarting";
    case ContainerState::exited:
        return "exited";
    }
    std::unreachable();
}

const char* health_text(HealthInfo::Status status) {
    switch (status) {
    case HealthInfo::Status::starting:
        return "starting";
    case HealthInfo::Status::healthy:
        return "healthy";
    case HealthInfo::Status::unhealthy:
        return "unhealthy";
    }
    std::unreachable();
}

Json time_view(std::int64_t microseconds) {
    if (microseconds <= 0)
        return nullptr;
    const std::time_t seconds = microseconds / 1'000'000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char date[32], text[48];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text, sizeof text, "%s.%06dZ", date, static_cast<int>(microseconds % 1'000'000));
    return text;
}

Json view(const ExitInfo& exit) {
    return {{"code", exit.code}, {"signal", exit.signal}, {"reason", exit.reason}};
}

Json view(const PortSpec& port) {
    Json out{{"address", port.address},
             {"host", port.host},
             {"container", port.container},
             {"protocol", port.protocol == Protocol::udp ? "udp" : "tcp"}};
    if (port.activation)
        out["activation"] = true;
    return out;
}

Json view(const NetworkInfo& network) {
    Json containers = Json::array();
    for (const auto& member : network.containers)
        containers.push_back({{"id", member.id},
                              {"name", member.name},
                              {"address", member.address},
                              {"address6", member.address6},
                              {"names", member.names}});
    return {{"name", network.name},
            {"created_at", time_view(network.created_at)},
            {"subnet", network.subnet},
            {"subnet6", network.subnet6},
            {"gateway", network.gateway},
            {"interface", network.interface},
            {"containers", std::move(containers)}};
}

Json view(const ResourceSpec& resources) {
    return Json::parse(resources_to_json(resources));
}

namespace {

Json or_null(const std::optional<std::uint64_t>& number) {
    return number ? Json(*number) : Json(nullptr);
}

Json view(const limits::Pressure::Share& share) {
    return {{"avg10", share.avg10}, {"avg60", share.avg60}, {"avg300", share.avg300}, {"total_us", share.total_us}};
}

Json view(const std::optional<limits::Pressure>& pressure) {
    if (!pressure)
        return nullptr;
    return {{"some", view(pressure->some)}, {"full", view(pressure->full)}};
}

} // namespace

Json view(const ContainerFigures& container) {
    const auto& figures = container.figures;
    // The two are read one after the other.
    const auto used = figures.memory - std::min(figures.memory, figures.memory_cache);
    const auto& network = container.network;
    return {{"id", container.id},
            {"name", container.name},
            {"source", figures.source == limits::Figures::Source::cgroup ? "cgroup" : "proc"},
            {"time_us", container.time_us},
            {"cpu_usage_us", figures.cpu_us},
            {"cpu_user_us", figures.cpu_user_us},
            {"cpu_system_us", figures.cpu_system_us},
            {"cpu_throttled_us", figures.throttled_us},
            {"cpu_throttled_periods", figures.throttled_periods},
            {"memory", figures.memory},
            {"memory_cache", figures.memory_cache},
            {"memory_used", used},
            {"memory_limit", or_null(figures.memory_limit)},
            {"memory_peak", or_null(figures.memory_peak)},
            {"swap", or_null(figures.swap)},
            {"pids", figures.pids},
            {"pids_limit", or_null(figures.pids_limit)},
            {"io_read", figures.io_read},
            {"io_written", figures.io_written},
            {"network_received", network ? Json(network->received) : Json(nullptr)},
            {"network_sent", network ? Json(network->sent) : Json(nullptr)},
            {"oom_kills", figures.oom_kills},
            {"pressure",
             {{"cpu", view(figures.cpu_pressure)},
              {"memory", view(figures.memory_pressure)},
              {"io", view(figures.io_pressure)}}}};
}

Json summary_view(const ContainerInfo& container) {
    Json ports = Json::array();
    for (const auto& port : container.ports)
        ports.push_back(view(port));
    return {{"id", container.id},
            {"name", container.name},
            {"pid", container.pid},
            {"state", state_text(container.state)},
            {"created_at", time_view(container.created_at)},
            {"started_at", time_view(container.started_at)},
            {"exited_at", time_view(container.exited_at)},
            {"exit", container.exit ? view(*container.exit) : Json(nullptr)},
            {"ports", std::move(ports)},
            {"command", container.command},
            {"health", container.health ? Json(health_text(container.health->status)) : Json(nullptr)},
            {"restarts", container.restarts}};
}

Json layer_view(const LayerInfo& layer) {
    return {{"name", layer.name},     {"origin", layer.origin}, {"asked", layer.asked},   {"version", layer.version},
            {"digest", layer.digest}, {"source", layer.source}, {"target", layer.target}, {"path", layer.path},
            {"why", layer.why},       {"notes", layer.notes}};
}

Json layer_view(const ProvidedLayer& layer) {
    LayerInfo info;
    info.name = layer.name;
    info.origin = to_string(layer.origin);
    info.asked = layer.asked;
    info.version = layer.version;
    info.digest = layer.digest;
    info.source = layer.source;
    info.target = layer.target;
    info.path = layer.path;
    info.why = layer.why;
    info.notes = layer.notes;
    return layer_view(info);
}

namespace {

Json id_map_view(const std::vector<IsolationInfo::IdExtent>& map) {
    Json out = Json::array();
    for (const auto& extent : map)
        out.push_back({{"inside", extent.inside}, {"outside", extent.outside}, {"count", extent.count}});
    return out;
}

Json health_view(const HealthInfo& health) {
    const bool checked = health.checked_at > 0;
    return {{"status", health_text(health.status)},
            {"failing_streak", health.failing_streak},
            {"checked_at", time_view(health.checked_at)},
            {"last_code", checked ? Json(health.last_code) : Json(nullptr)},
            {"last_output", health.last_output}};
}

Json isolation_view(const IsolationInfo& isolation) {
    Json mounts = Json::array();
    for (const auto& mount : isolation.mounts)
        mounts.push_back({{"target", mount.target},
                          {"type", mount.type},
                          {"options", mount.options},
                          {"propagation", mount.propagation.empty() ? "private" : mount.propagation}});
    Json limits = Json::object();
    for (const auto& limit : isolation.limits)
        limits[limit.name] = {{"soft", limit.soft}, {"hard", limit.hard}, {"unit", limit.unit}};
    return {{"payload_pid", isolation.payload},
            {"namespaces", isolation.namespaces},
            {"uid_map", id_map_view(isolation.uid_map)},
            {"gid_map", id_map_view(isolation.gid_map)},
            {"groups", isolation.groups},
            {"capabilities", isolation.capabilities},
            {"no_new_privileges", isolation.no_new_privileges},
            {"seccomp_mode", isolation.seccomp_mode},
            {"seccomp_filters", isolation.seccomp_filters},
            {"oom_score_adj", isolation.oom_score_adj},
            {"mounts", std::move(mounts)},
            {"masked_paths", isolation.masked},
            {"read_only_paths", isolation.frozen},
            {"limits", std::move(limits)}};
}

} // namespace

Json inspect_view(const ContainerInfo& container, const std::optional<IsolationInfo>& isolation) {
    auto body = summary_view(container);
    body["network_mode"] = container.network_mode;
    body["address"] = container.address;
    body["address6"] = container.address6;
    Json networks = Json::array();
    for (const auto& place : container.networks)
        networks.push_back({{"network", place.network},
                            {"interface", place.interface},
                            {"address", place.address},
                            {"address6", place.address6},
                            {"names", place.names}});
    body["networks"] = std::move(networks);
    Json mounts = Json::array();
    for (const auto& mount : container.mounts)
        mounts.push_back({{"source", mount.source},
                          {"target", mount.target},
                          {"layer", mount.layer},
                          {"read_only", mount.read_only}});
    body["mounts"] = std::move(mounts);
    Json layers = Json::array();
    for (const auto& layer : container.layers)
        layers.push_back(layer_view(layer));
    body["layers"] = std::move(layers);
    body["security"] = {{"seccomp",
                         {{"profile", container.seccomp.profile},
                          {"digest", container.seccomp.digest},
                          {"instructions", container.seccomp.instructions}}},
                        {"ids", container.ids.own ? "own" : "user"},
                        {"ids_reason", container.ids.own ? Json(nullptr) : Json(container.ids.why)},
                        {"effective", isolation ? isolation_view(*isolation) : Json(nullptr)}};
    body["procfs"] = {{"mode", container.procfs.shown ? "virtual" : "host"},
                      {"sysinfo", container.procfs.sysinfo},
                      {"reason", container.procfs.why.empty() ? Json(nullptr) : Json(container.procfs.why)},
                      {"cpus", container.procfs.cpus.empty() ? Json(nullptr) : Json(container.procfs.cpus)}};
    body["resources"] = view(container.resources);
    body["limits"] = nullptr;
    if (!container.limits_driver.empty())
        body["limits"] = {{"driver", container.limits_driver}, {"cgroup", container.cgroup}};
    body["health"] = container.health ? health_view(*container.health) : Json(nullptr);
    body["oom_kills"] = or_null(container.oom_kills);
    body["attached"] = container.attached;
    body["terminal"] = container.terminal;
    body["remove_on_exit"] = container.remove_on_exit;
    body["stdout_log"] = container.stdout_log;
    body["stderr_log"] = container.stderr_log;
    body["warnings"] = container.warnings;
    body["timings"] = Json::object();
    for (const auto& [step, value] : container.timings)
        body["timings"][step] = value;
    auto file = Json::parse(to_json(container.file), nullptr, false);
    body["squishfile"] = file.is_discarded() ? Json(nullptr) : std::move(file);
    return body;
}

} // namespace squish::daemon
