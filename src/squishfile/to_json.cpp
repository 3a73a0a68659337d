// The adapter to nlohmann::json for writing.
#include "squishfile/layer_rules.h"
#include "squishfile/squishfile.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace squish {

namespace {

using Json = nlohmann::ordered_json;

template <class T> void put(Json& out, const char* key, const std::optional<T>& value) {
    if (value)
        out[key] = *value;
}

// Sizes are written as strings: JSON's integers end, for some readers, at 2^53.
void put_size(Json& out, const char* key, const std::optional<std::uint64_t>& bytes) {
    if (bytes)
        out[key] = std::to_string(*bytes);
}

Json layers_json(const Squishfile& file) {
    auto out = Json::object();
    for (const auto& layer : file.layers) {
        auto one = Json::object();
        switch (layer.source) {
        case LayerSpec::Source::version:
            one["version"] = layer.version;
            break;
        case LayerSpec::Source::path:
            one["path"] = layer.path;
            break;
        case LayerSpec::Source::url:
            one["url"] = layer.url;
            break;
        }
        if (!layer.sha256.empty())
            one["sha256"] = layer.sha256;
        put(one, "target", layer.target);
        if (layer.read_write)
            one["rw"] = true;
        if (!layer.unpack)
            one["unpack"] = false;
        if (layer.rootfs != is_rootfs_by_name(layer))
            one["rootfs"] = layer.rootfs;
        out[layer.name] = std::move(one);
    }
    return out;
}

Json run_json(const Squishfile& file) {
    auto out = Json::object();
    if (!file.run)
        return out;
    out["command"] = file.run->command;
    out["args"] = file.run->args;
    put(out, "workdir", file.run->workdir);
    if (const auto& user = file.run->user)
        out["user"] = std::to_string(user->uid) + ":" + std::to_string(user->gid);
    return out;
}

Json env_json(const Squishfile& file) {
    auto out = Json::object();
    for (const auto& [key, value] : file.env)
        out[key] = value;
    return out;
}

Json ports_json(const Squishfile& file) {
    auto out = Json::array();
    for (const auto& port : file.ports) {
        Json one = {{"container", port.container},
                    {"host", port.host},
                    {"protocol", port.protocol == Protocol::udp ? "udp" : "tcp"},
                    {"address", port.address}};
        if (port.activation)
            one["activation"] = true;
        if (!port.name.empty())
            one["name"] = port.name;
        out.push_back(std::move(one));
    }
    return out;
}

Json network_json(const Squishfile& file) {
    auto out = Json::object();
    switch (file.network.mode) {
    case NetworkMode::bridge:
        out["mode"] = "bridge";
        break;
    case NetworkMode::none:
        out["mode"] = "none";
        break;
    case NetworkMode::host:
        out["mode"] = "host";
        break;
    }
    if (!file.network.networks.empty())
        out["networks"] = file.network.networks;
    if (!file.network.aliases.empty())
        out["aliases"] = file.network.aliases;
    if (file.network.host_loopback)
        out["host_loopback"] = true;
    return out;
}

template <class Duration> void put_duration(Json& out, const char* key, const std::optional<Duration>& time) {
    if (time)
        out[key] = std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(*time).count()) + "ms";
}

Json io_json(const IoLimits& limits) {
    auto out = Json::object();
    if (!limits.device.empty())
        out["device"] = limits.device;
    put_size(out, "read_bps", limits.read_bps);
    put_size(out, "write_bps", limits.write_bps);
    put(out, "read_iops", limits.read_iops);
    put(out, "write_iops", limits.write_iops);
    return out;
}

Json resources_json(const ResourceSpec& resources) {
    auto out = Json::object();
    put_size(out, "memory", resources.memory);
    put_size(out, "memory_high", resources.memory_high);
    put_size(out, "memory_low", resources.memory_low);
    put_size(out, "swap", resources.swap);
    put(out, "cpus", resources.cpus);
    put_duration(out, "cpu_period", resources.cpu_period);
    put_duration(out, "cpu_burst", resources.cpu_burst);
    put(out, "cpu_weight", resources.cpu_weight);
    put(out, "cpuset", resources.cpuset);
    put(out, "pids", resources.pids);
    auto devices = Json::array();
    for (const auto& limits : resources.io)
        devices.push_back(io_json(limits));
    if (!devices.empty())
        out["io"] = devices.size() == 1 ? devices.front() : devices;
    for (const auto& [page_size, bytes] : resources.hugetlb)
        out["hugetlb"][std::to_string(page_size)] = std::to_string(bytes);
    return out;
}

Json security_json(const Squishfile& file) {
    auto out = Json::object();
    out["seccomp"] = file.security.seccomp;
    if (file.security.io_uring)
        out["io_uring"] = true;
    if (file.security.tmp_noexec)
        out["tmp_noexec"] = true;
    out["capabilities"] = file.security.capabilities;
    if (file.security.ids != IdsChoice::automatic)
        out["ids"] = file.security.ids == IdsChoice::own ? "own" : "user";
    return out;
}

Json procfs_json(const Squishfile& file) {
    auto out = Json::object();
    if (file.procfs.mode_given || file.procfs.mode == ProcfsSpec::Mode::host)
        out["mode"] = file.procfs.mode == ProcfsSpec::Mode::host ? "host" : "virtual";
    put_size(out, "memory", file.procfs.memory);
    put(out, "cpus", file.procfs.cpus);
    return out;
}

Json restart_json(const Squishfile& file) {
    auto out = Json::object();
    switch (file.restart.policy) {
    case RestartPolicy::no:
        out["policy"] = "no";
        break;
    case RestartPolicy::on_failure:
        out["policy"] = "on-failure";
        break;
    case RestartPolicy::always:
        out["policy"] = "always";
        break;
    }
    const RestartSpec usual;
    put(out, "max_retries", file.restart.max_retries);
    if (file.restart.delay != usual.delay)
        put_duration(out, "delay", std::optional(file.restart.delay));
    if (file.restart.max_delay != usual.max_delay)
        put_duration(out, "max_delay", std::optional(file.restart.max_delay));
    return out;
}

Json health_json(const Squishfile& file) {
    auto out = Json::object();
    if (!file.health)
        return out;
    const HealthSpec usual;
    const auto& health = *file.health;
    out["command"] = health.command;
    put_duration(out, "interval", std::optional(health.interval));
    if (health.timeout != usual.timeout)
        put_duration(out, "timeout", std::optional(health.timeout));
    if (health.retries != usual.retries)
        out["retries"] = health.retries;
    if (health.start_period != usual.start_period)
        put_duration(out, "start_period", std::optional(health.start_period));
    return out;
}

// Each table: its key, whether the file says anything in it, and how it is written.
struct Section {
    const char* key;
    bool (*is_given)(const Squishfile&);
    Json (*write)(const Squishfile&);
};

constexpr std::array<Section, 10> kSections{{
    {"layers", [](const Squishfile& file) { return !file.layers.empty(); }, layers_json},
    {"run", [](const Squishfile& file) { return file.run.has_value(); }, run_json},
    {"env", [](const Squishfile& file) { return !file.env.empty(); }, env_json},
    {"ports", [](const Squishfile& file) { return !file.ports.empty(); }, ports_json},
    {"network",
     [](const Squishfile& file) {
         return file.network.mode != NetworkMode::bridge || !file.network.networks.empty() ||
                !file.network.aliases.empty() || file.network.host_loopback;
     },
     network_json},
    {"resources", [](const Squishfile& file) { return file.resources.any(); },
     [](const Squishfile& file) { return resources_json(file.resources); }},
    {"security",
     [](const Squishfile& file) {
         return file.security.seccomp != "default" || file.security.io_uring || file.security.tmp_noexec ||
                !file.security.capabilities.empty() || file.security.ids != IdsChoice::automatic;
     },
     security_json},
    {"procfs",
     [](const Squishfile& file) {
         return file.procfs.mode_given || file.procfs.mode != ProcfsSpec::Mode::virtual_ || file.procfs.memory ||
                file.procfs.cpus;
     },
     procfs_json},
    {"restart",
     [](const Squishfile& file) {
         auto restart = file.restart;
         restart.at = {};
         return restart != RestartSpec{};
     },
     restart_json},
    {"health", [](const Squishfile& file) { return file.health.has_value(); }, health_json},
}};

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace

std::string resources_to_json(const ResourceSpec& resources) {
    return dump(resources_json(resources));
}

std::string to_json(const Squishfile& file) {
    auto out = Json::object();
    put(out, "name", file.name);
    for (const auto& table : file.tables) { // in the order in which they were given, empty ones too
        const auto section = std::ranges::find_if(kSections, [&](const Section& one) { return one.key == table; });
        const bool absent_by_now = (table == "run" && !file.run) || (table == "health" && !file.health);
        if (section != kSections.end() && !absent_by_now)
            out[section->key] = section->write(file);
    }
    for (const auto& section : kSections) // what was added since, by a command line for one
        if (section.is_given(file) && !out.contains(section.key))
            out[section.key] = section.write(file);
    return dump(out);
}

} // namespace squish
