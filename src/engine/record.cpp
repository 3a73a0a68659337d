#include "engine/record.h"

#include "base/text.h"
#include "os/file.h"

#include <chrono>
#include <fcntl.h>
#include <nlohmann/json.hpp>

namespace squish {

using Json = nlohmann::ordered_json; // the squishfile's tables keep their order over a restart

namespace {

constexpr int kVersion = 3;

Result<ContainerState> parse_state(const std::string& text) {
    for (const auto state : {ContainerState::created, ContainerState::running, ContainerState::paused,
                             ContainerState::restarting, ContainerState::exited})
        if (text == to_string(state))
            return state;
    return fail(ErrorKind::invalid, "unknown state '" + printable(text) + "'");
}

Json mounts_to_json(const std::vector<MountInfo>& mounts) {
    Json out = Json::array();
    for (const auto& mount : mounts)
        out.push_back({{"source", mount.source},
                       {"target", mount.target},
                       {"layer", mount.layer},
                       {"read_only", mount.read_only}});
    return out;
}

Json layers_to_json(const std::vector<LayerInfo>& layers) {
    Json out = Json::array();
    for (const auto& layer : layers)
        out.push_back({{"name", layer.name},
                       {"origin", layer.origin},
                       {"asked", layer.asked},
                       {"version", layer.version},
                       {"digest", layer.digest},
                       {"source", layer.source},
                       {"target", layer.target},
                       {"path", layer.path},
                       {"why", layer.why},
                       {"notes", layer.notes}});
    return out;
}

LayerInfo layer_from_json(const Json& json) {
    LayerInfo layer;
    layer.name = json.at("name").get<std::string>();
    layer.origin = json.at("origin").get<std::string>();
    layer.asked = json.at("asked").get<std::string>();
    layer.version = json.at("version").get<std::string>();
    layer.digest = json.at("digest").get<std::string>();
    layer.source = json.at("source").get<std::string>();
    layer.target = json.at("target").get<std::string>();
    layer.path = json.at("path").get<std::string>();
    layer.why = json.at("why").get<std::vector<std::string>>();
    layer.notes = json.at("notes").get<std::map<std::string, std::uint64_t>>();
    return layer;
}

// Not what the squishfile says: the host's ports as they are now.
Json ports_to_json(const std::vector<PortSpec>& ports) {
    Json out = Json::array();
    for (const auto& port : ports)
        out.push_back({{"spec", to_string(port)}, {"activation", port.activation}, {"name", port.name}});
    return out;
}

std::vector<PortSpec> ports_from(const Json& json) {
    std::vector<PortSpec> ports;
    for (const auto& entry : json) {
        auto port = parse_port(entry.at("spec").get<std::string>());
        if (!port)
            continue; // of no use to anybody
        port->activation = entry.at("activation").get<bool>();
        port->name = entry.at("name").get<std::string>();
        ports.push_back(std::move(*port));
    }
    return ports;
}

Json places_to_json(const Record& record) {
    Json out = Json::array();
    for (std::size_t i = 0; i < record.info.networks.size(); ++i) {
        const auto& place = record.info.networks[i];
        out.push_back({{"network", place.network},
                       {"number", record.networks[i].number},
                       {"interface", place.interface},
                       {"address", place.address},
                       {"address6", place.address6},
                       {"names", place.names}});
    }
    return out;
}

Json health_to_json(const std::optional<HealthInfo>& health) {
    if (!health)
        return nullptr;
    return {{"status", to_string(health->status)},
            {"failing_streak", health->failing_streak},
            {"checked_at", health->checked_at},
            {"last_code", health->last_code},
            {"last_output", health->last_output}};
}

std::optional<HealthInfo> health_from_json(const Json& json) {
    if (json.is_null())
        return std::nullopt;
    HealthInfo health;
    const auto status = json.at("status").get<std::string>();
    for (const auto one : {HealthInfo::Status::starting, HealthInfo::Status::healthy, HealthInfo::Status::unhealthy})
        if (status == to_string(one))
            health.status = one;
    health.failing_streak = json.at("failing_streak").get<std::uint32_t>();
    health.checked_at = json.at("checked_at").get<std::int64_t>();
    health.last_code = json.at("last_code").get<int>();
    health.last_output = json.at("last_output").get<std::string>();
    return health;
}

void read_places(const Json& json, Record& record) {
    for (const auto& one : json.at("networks")) {
        NetworkPlace place{one.at("network").get<std::string>(), one.at("interface").get<std::string>(),
                           one.at("address").get<std::string>(), one.at("address6").get<std::string>(),
                           one.at("names").get<std::vector<std::string>>()};
        const auto number = one.at("number").get<std::uint32_t>();
        record.networks.push_back({place.network, number, 0});
        record.network.attachments.push_back({number, place.address, place.address6});
        record.info.networks.push_back(std::move(place));
    }
}

// Everything of nlohmann's that throws on a damaged file, in one place.
Result<RecordPtr> from_json(const asio::any_io_executor& executor, const std::string& text, const std::string& folder) {
    auto record = std::make_shared<Record>(executor);
    record->folder = folder;
    auto& info = record->info;
    std::string squishfile, resources;
    std::string state;
    try {
        const auto json = Json::parse(text);
        if (json.at("version").get<int>() != kVersion)
            return fail(ErrorKind::invalid, "written by another version of squish");
        info.id = json.at("id").get<std::string>();
        info.name = json.at("name").get<std::string>();
        state = json.at("state").get<std::string>();
        info.pid = json.at("pid").get<pid_t>();
        info.created_at = json.at("created_at").get<std::int64_t>();
        info.started_at = json.at("started_at").get<std::int64_t>();
        info.exited_at = json.at("exited_at").get<std::int64_t>();
        if (const auto& exit = json.at("exit"); !exit.is_null())
            info.exit = ExitInfo{exit.at("code").get<int>(), exit.at("signal").get<int>(),
                                 exit.at("reason").get<std::string>()};
        info.command = json.at("command").get<std::string>();
        info.address = json.at("address").get<std::string>();
        info.address6 = json.at("address6").get<std::string>();
        info.network_mode = json.at("network_mode").get<std::string>();
        info.attached = json.at("attached").get<bool>();
        info.terminal = json.at("terminal").get<bool>();
        info.remove_on_exit = json.at("remove_on_exit").get<bool>();
        info.stdout_log = json.at("stdout_log").get<std::string>();
        info.stderr_log = json.at("stderr_log").get<std::string>();
        for (const auto& mount : json.at("mounts"))
            info.mounts.push_back({mount.at("source").get<std::string>(), mount.at("target").get<std::string>(),
                                   mount.at("layer").get<std::string>(), mount.at("read_only").get<bool>()});
        for (const auto& layer : json.at("layers"))
            info.layers.push_back(layer_from_json(layer));
        const auto& filter = json.at("seccomp");
        info.seccomp = {filter.at("profile").get<std::string>(), filter.at("digest").get<std::string>(),
                        filter.at("instructions").get<std::size_t>()};
        info.ids = {json.at("own_ids").get<bool>(), json.at("users_ids_why").get<std::string>()};
        for (const auto& pair : json.at("environment"))
            record->environment.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
        for (const auto& warning : json.at("warnings"))
            info.warnings.push_back(warning.get<std::string>());
        for (const auto& pair : json.at("timings"))
            info.timings.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
        record->network.number = json.at("slot").get<std::uint32_t>();
        record->changes = json.at("layer_changes").get<std::size_t>();
        read_places(json, *record);
        info.ports = ports_from(json.at("ports"));
        record->leaving = ports_from(json.at("leaving_ports"));
        info.restarts = json.at("restarts").get<std::uint32_t>();
        record->attempts = json.at("restart_attempts").get<std::uint32_t>();
        record->stop_requested = json.at("stop_requested").get<bool>();
        info.limits_driver = json.at("limits_driver").get<std::string>();
        info.cgroup = json.at("cgroup").get<std::string>();
        if (const auto& kills = json.at("oom_kills"); !kills.is_null())
            info.oom_kills = kills.get<std::uint64_t>();
        info.health = health_from_json(json.at("health"));
        const auto& shown = json.at("procfs");
        record->view = shown.at("view").get<procshare::Key>();
        info.procfs = {shown.at("shown").get<bool>(), shown.at("sysinfo").get<bool>(),
                       shown.at("why").get<std::string>(), shown.at("cpus").get<std::string>()};
        resources = json.at("resources").dump();
        squishfile = json.at("squishfile").dump();
    } catch (const Json::exception& error) {
        return fail(ErrorKind::invalid, std::string("damaged: ") + error.what());
    }
    info.state = TRY(parse_state(state));
    auto file = parse_json(squishfile);
    if (!file)
        return fail(ErrorKind::invalid, "damaged: " + file.error().front().message);
    info.file = std::move(*file);
    info.resources = TRY(parse_resources_json(resources)).set;
    if (info.state == ContainerState::exited)
        record->ended.open();
    return record;
}

} // namespace

const char* to_string(ContainerState state) {
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

std::int64_t now_microseconds() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

Result<void> save(const Record& record) {
    const auto& info = record.info;
    Json json = {{"version", kVersion},
                 {"id", info.id},
                 {"name", info.name},
                 {"state", to_string(info.state)},
                 {"pid", info.pid},
                 {"created_at", info.created_at},
                 {"started_at", info.started_at},
                 {"exited_at", info.exited_at},
                 {"exit", nullptr},
                 {"restarts", info.restarts},
                 {"restart_attempts", record.attempts},
                 {"stop_requested", record.stop_requested},
                 {"limits_driver", info.limits_driver},
                 {"cgroup", info.cgroup},
                 {"oom_kills", info.oom_kills ? Json(*info.oom_kills) : Json(nullptr)},
                 {"health", health_to_json(info.health)},
                 {"command", info.command},
                 {"address", info.address},
                 {"address6", info.address6},
                 {"network_mode", info.network_mode},
                 {"networks", places_to_json(record)},
                 {"slot", record.network.number},
                 {"layer_changes", record.changes},
                 {"ports", ports_to_json(info.ports)},
                 {"leaving_ports", ports_to_json(record.leaving)},
                 {"attached", info.attached},
                 {"terminal", info.terminal},
                 {"remove_on_exit", info.remove_on_exit},
                 {"stdout_log", info.stdout_log},
                 {"stderr_log", info.stderr_log},
                 {"mounts", mounts_to_json(info.mounts)},
                 {"layers", layers_to_json(info.layers)},
                 {"seccomp",
                  {{"profile", info.seccomp.profile},
                   {"digest", info.seccomp.digest},
                   {"instructions", info.seccomp.instructions}}},
                 {"procfs",
                  {{"view", record.view},
                   {"shown", info.procfs.shown},
                   {"sysinfo", info.procfs.sysinfo},
                   {"why", info.procfs.why},
                   {"cpus", info.procfs.cpus}}},
                 {"own_ids", info.ids.own},
                 {"users_ids_why", info.ids.why},
                 {"environment", record.environment},
                 {"warnings", info.warnings},
                 {"timings", info.timings}};
    if (info.exit)
        json["exit"] = {{"code", info.exit->code}, {"signal", info.exit->signal}, {"reason", info.exit->reason}};
    // spliced as text: the squishfile module writes its own JSON
    auto text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    text.pop_back();
    text += ",\"resources\":" + resources_to_json(info.resources) + ",\"squishfile\":" + to_json(info.file) + "}";
    const auto folder = TRY(os::open_file(record.folder, O_PATH | O_DIRECTORY));
    return os::write_atomically(folder.get(), "state.json", text);
}

Result<RecordPtr> load(const asio::any_io_executor& executor, const std::string& folder, const std::string& id) {
    const auto text = TRY(os::read_file(folder + "/state.json"));
    auto record = from_json(executor, text, folder);
    if (!record)
        return std::unexpected(std::move(record).error().within("'" + folder + "/state.json'"));
    if ((*record)->info.id != id)
        return fail(ErrorKind::invalid, "'" + folder + "/state.json' belongs to another container");
    return record;
}

} // namespace squish
