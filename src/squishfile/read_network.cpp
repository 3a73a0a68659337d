// [[ports]] and [network]: how the container is reached.
#include "base/text.h"
#include "squishfile/sections.h"

#include <algorithm>

namespace squish::reader {

namespace {

std::optional<std::uint16_t> read_port_number(const Table& table, std::string_view key, std::string_view why) {
    const auto node = table.need(key, why);
    const auto number = node ? node->integer(1, 65535) : std::nullopt;
    return number ? std::optional(static_cast<std::uint16_t>(*number)) : std::nullopt;
}

std::optional<Protocol> read_protocol(const Table& table) {
    const auto node = table.get("protocol");
    if (!node)
        return Protocol::tcp;
    const auto text = node->string();
    if (!text)
        return std::nullopt;
    if (*text == "tcp")
        return Protocol::tcp;
    if (*text == "udp")
        return Protocol::udp;
    fail_choice(*node, *text, {"tcp", "udp"});
    return std::nullopt;
}

std::optional<std::string> read_address(const Table& table) {
    const auto node = table.get("address");
    if (!node)
        return PortSpec{}.address;
    const auto text = node->string();
    if (!text)
        return std::nullopt;
    const auto address = parse_address(*text);
    if (!address) {
        node->fail(address.error().text());
        return std::nullopt;
    }
    return *address;
}

// A port that is whole; otherwise what is missing has been reported.
std::optional<PortSpec> read_port(const Node& node) {
    const auto table = node.table({"container", "host", "protocol", "address"});
    const auto container = read_port_number(table, "container", "the port that the payload listens on");
    const auto host = read_port_number(table, "host", "the port to publish it at");
    const auto protocol = read_protocol(table);
    const auto address = read_address(table);
    if (!container || !host || !protocol || !address)
        return std::nullopt;
    return PortSpec{
        .container = *container, .host = *host, .protocol = *protocol, .address = *address, .at = node.at()};
}

std::string where(const PortSpec& port) {
    return port.at.line == 0 ? std::string() : " in line " + std::to_string(port.at.line);
}

// Names, each valid and given once.
std::vector<std::string> read_names(const Node& node, std::string_view what) {
    std::vector<std::string> names;
    for (const auto& item : node.items("an array of strings", kMaxNames)) {
        auto name = item.string();
        if (!name)
            continue;
        if (!is_valid_name(*name))
            item.fail(quoted(*name) + " is not the name of " + std::string(what) +
                      ": letters, digits, '_', '.' and "
                      "'-', at most 63");
        else if (std::ranges::find(names, *name) != names.end())
            item.fail("repeats " + quoted(*name));
        else
            names.push_back(*std::move(name));
    }
    return names;
}

std::optional<NetworkMode> read_mode(const Table& table) {
    const auto node = table.get("mode");
    if (!node)
        return NetworkMode::bridge;
    const auto text = node->string();
    if (!text)
        return std::nullopt;
    if (*text == "bridge")
        return NetworkMode::bridge;
    if (*text == "none")
        return NetworkMode::none;
    if (*text == "host")
        return NetworkMode::host;
    fail_choice(*node, *text, {"bridge", "none", "host"});
    return std::nullopt;
}

} // namespace

std::vector<PortSpec> read_ports(const Node& node) {
    std::vector<PortSpec> ports;
    for (const auto& item : node.items("an array of tables, each one headed [[ports]]", kMaxPorts)) {
        const auto port = read_port(item);
        if (!port)
            continue;
        const auto taken = std::ranges::find_if(ports, [&](const PortSpec& one) { return ports_collide(one, *port); });
        if (taken != ports.end())
            item.fail("publishes " + to_string(*port) + ", but that port is taken by " + to_string(*taken) +
                      where(*taken));
        ports.push_back(*port);
    }
    return ports;
}

NetworkSpec read_network(const Node& node) {
    NetworkSpec network;
    network.at = node.key_at();
    const auto table = node.table({"mode", "networks", "aliases"});
    const auto mode = read_mode(table);
    network.mode = mode.value_or(NetworkMode::bridge);
    const auto read = [&](std::string_view key, std::string_view what) -> std::vector<std::string> {
        const auto names = table.get(key);
        if (!names)
            return {};
        auto out = read_names(*names, what);
        if (network.mode != NetworkMode::bridge && !out.empty())
            names->fail("needs network.mode = \"bridge\": without it the container joins no network");
        return out;
    };
    network.networks = read("networks", "a network");
    network.aliases = read("aliases", "a container");
    return network;
}

} // namespace squish::reader
