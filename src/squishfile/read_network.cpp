// [[ports]] and [network]: how the container is reached.
#include "base/text.h"
#include "squishfile/sections.h"

#include <algorithm>
#include <utility>

namespace squish::reader {

namespace {

// A port, or a range "8000-8010" of them, as text that parse_ports() takes.
std::optional<std::string> read_port_numbers(const Table& table, std::string_view key, std::uint64_t least,
                                             std::string_view why) {
    const auto node = table.need(key, why);
    if (!node)
        return std::nullopt;
    if (node->kind() == Value::Kind::string) {
        const auto text = node->string();
        if (text && text->contains('-') && text->find_first_not_of("0123456789-") == std::string::npos)
            return text;
    }
    const auto number = node->integer(least, 65535);
    return number ? std::optional(std::to_string(*number)) : std::nullopt;
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

std::string read_socket_name(const Table& table, bool activation) {
    const auto node = table.get("name");
    if (!node)
        return {};
    const auto name = node->string();
    if (name && !activation)
        node->fail("needs activation = true: it names the socket that the payload gets");
    else if (name && !is_valid_name(*name))
        node->fail(quoted(*name) + " is not the name of a socket: letters, digits, '_', '.' and '-', at most 63");
    return name.value_or("");
}

// The ports of one table, where it is whole; otherwise what is missing has been reported.
std::vector<PortSpec> read_port(const Node& node) {
    const auto table = node.table({"container", "host", "protocol", "address", "activation", "name"});
    const auto container = read_port_numbers(table, "container", 1, "the port that the payload listens on");
    const auto host = read_port_numbers(table, "host", 0, "the port to publish it at");
    const auto protocol = read_protocol(table);
    const auto address = read_address(table);
    const auto activation_node = table.get("activation");
    const bool activation = activation_node && activation_node->boolean().value_or(false);
    const auto name = read_socket_name(table, activation);
    if (!container || !host || !protocol || !address)
        return {};
    auto ports = parse_ports(*host + ":" + *container);
    if (!ports) {
        node.fail("is no port or range: " + ports.error().message);
        return {};
    }
    for (auto& port : *ports) {
        port.protocol = *protocol;
        port.address = *address;
        port.activation = activation;
        port.name = name;
        port.at = node.at();
    }
    return *std::move(ports);
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
        bool told = false; // once for a range
        for (auto& port : read_port(item)) {
            const auto taken =
                std::ranges::find_if(ports, [&](const PortSpec& one) { return ports_collide(one, port); });
            if (taken != ports.end() && !std::exchange(told, true))
                item.fail("publishes " + to_string(port) + ", but that port is taken by " + to_string(*taken) +
                          where(*taken));
            ports.push_back(std::move(port));
        }
        if (ports.size() > kMaxPorts) {
            item.fail("makes it more than " + std::to_string(kMaxPorts) + " ports");
            break;
        }
    }
    return ports;
}

NetworkSpec read_network(const Node& node) {
    NetworkSpec network;
    network.at = node.key_at();
    const auto table = node.table({"mode", "networks", "aliases", "host_loopback"});
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
    if (const auto flag = table.get("host_loopback")) {
        network.host_loopback = flag->boolean().value_or(false);
        if (network.host_loopback && network.mode == NetworkMode::none)
            flag->fail("needs network.mode = \"bridge\": with \"none\" the container reaches nothing but itself");
    }
    return network;
}

} // namespace squish::reader
