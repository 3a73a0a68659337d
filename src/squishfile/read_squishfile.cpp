// The top level of the squishfile, and the rules that concern more than one table.
#include "squishfile/sections.h"

#include <algorithm>

namespace squish::reader {

namespace {

void check_ports_against_network(const Node& ports, const Squishfile& file) {
    // A listening socket that the payload is given works in every network.
    if (std::ranges::all_of(file.ports, &PortSpec::activation))
        return;
    switch (file.network.mode) {
    case NetworkMode::bridge:
        return;
    case NetworkMode::none:
        ports.fail("cannot be published with network.mode = \"none\": the container has no network");
        return;
    case NetworkMode::host:
        ports.fail("cannot be published with network.mode = \"host\": the payload binds the host's ports itself");
        return;
    }
}

} // namespace

Squishfile read_squishfile(const Node& root) {
    Squishfile file;
    const auto table = root.table(
        {"name", "layers", "run", "env", "ports", "network", "resources", "security", "procfs", "restart", "health"});
    if (const auto name = table.get("name")) {
        file.name_at = name->key_at();
        file.name = name->string();
        if (file.name && !is_valid_name(*file.name))
            name->fail(quoted(*file.name) + " is not a name: letters, digits, '_', '.' and '-', the first one a "
                                            "letter or digit, at most 63");
    }
    if (const auto layers = table.get("layers"))
        file.layers = read_layers(*layers);
    if (const auto run = table.get("run"))
        file.run = read_run(*run);
    if (const auto env = table.get("env"))
        file.env = read_env(*env);
    if (const auto ports = table.get("ports"))
        file.ports = read_ports(*ports);
    if (const auto network = table.get("network"))
        file.network = read_network(*network);
    if (const auto resources = table.get("resources"))
        file.resources = read_resources(*resources);
    if (const auto security = table.get("security"))
        file.security = read_security(*security);
    if (const auto procfs = table.get("procfs"))
        file.procfs = read_procfs(*procfs);
    if (const auto restart = table.get("restart"))
        file.restart = read_restart(*restart);
    if (const auto health = table.get("health"))
        file.health = read_health(*health);

    if (const auto ports = table.get("ports"))
        check_ports_against_network(*ports, file);
    for (auto& overlap : check_targets(file))
        root.report().add(overlap.at, std::move(overlap.message));
    for (const auto& member : root.members(kMaxValues))
        if (member.key() != "name")
            file.tables.push_back(member.key());
    return file;
}

} // namespace squish::reader
