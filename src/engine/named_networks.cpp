#include "engine/named_networks.h"

#include "base/text.h"
#include "os/file.h"
#include "squishfile/squishfile.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <string_view>

namespace squish {

using Json = nlohmann::json;

namespace {

constexpr const char* kFile = "networks.json";
constexpr std::size_t kMaxBytes = 256 * 1024;
constexpr std::array<std::string_view, 3> kModes{"bridge", "host", "none"};

NamedNetwork default_network() {
    return {kDefaultNetworkName, 0, 0};
}

} // namespace

Result<NamedNetworks> NamedNetworks::open(std::string folder) {
    NamedNetworks out(std::move(folder));
    const auto path = out.folder_ + "/" + kFile;
    const auto text = os::read_file(path, kMaxBytes);
    if (!text && text.error().sys_errno == ENOENT)
        return out;
    if (!text)
        return std::unexpected(text.error());
    const auto json = Json::parse(*text, nullptr, false);
    const auto damaged = [&](const std::string& why) {
        return fail(ErrorKind::invalid, "'" + printable(path) + "' is damaged: " + why,
                    "remove it; the networks that it names must be created again");
    };
    if (!json.is_object() || !json.contains("networks") || !json["networks"].is_array())
        return damaged("it has no list 'networks'");
    for (const auto& one : json["networks"]) {
        if (!one.is_object() || !one.contains("name") || !one["name"].is_string() || !one.contains("number") ||
            !one["number"].is_number_unsigned() || !one.contains("created_at") ||
            !one["created_at"].is_number_integer())
            return damaged("an entry is malformed");
        NamedNetwork network{one["name"].get<std::string>(), one["number"].get<std::uint32_t>(),
                             one["created_at"].get<std::int64_t>()};
        const bool twice = std::ranges::any_of(
            out.networks_, [&](const auto& other) { return other.second.number == network.number; });
        if (!is_valid_name(network.name) || network.number < 1 || network.number > kMostNamedNetworks || twice)
            return damaged("the entry of '" + printable(network.name) + "' cannot be");
        out.networks_[network.name] = std::move(network);
    }
    return out;
}

Result<void> NamedNetworks::save() const {
    Json list = Json::array();
    for (const auto& [name, network] : networks_)
        list.push_back({{"name", name}, {"number", network.number}, {"created_at", network.created_at}});
    TRY(os::make_dirs(folder_));
    const auto folder = TRY(os::open_file(folder_, O_RDONLY | O_DIRECTORY));
    return os::write_atomically(folder.get(), kFile, Json{{"networks", std::move(list)}}.dump(2) + "\n");
}

Result<NamedNetwork> NamedNetworks::create(const std::string& name, std::int64_t now) {
    if (!is_valid_name(name))
        return fail(ErrorKind::invalid, "'" + printable(name) + "' is not the name of a network",
                    "use letters, digits, '_', '.' and '-', at most 63, the first a letter or digit");
    if (std::ranges::find(kModes, name) != kModes.end())
        return fail(ErrorKind::invalid, "'" + name + "' is a network mode and cannot name a network");
    if (name == kDefaultNetworkName || networks_.contains(name))
        return fail(ErrorKind::conflict, "there is a network '" + name + "' already");
    NamedNetwork network{name, 1, now};
    const auto taken = [&] {
        return std::ranges::any_of(networks_, [&](const auto& other) { return other.second.number == network.number; });
    };
    while (network.number <= kMostNamedNetworks && taken())
        ++network.number;
    if (network.number > kMostNamedNetworks)
        return fail(ErrorKind::conflict, "there are " + std::to_string(kMostNamedNetworks) + " networks already",
                    "remove one: squish network rm NAME");
    networks_[name] = network;
    if (auto saved = save(); !saved) {
        networks_.erase(name);
        return std::unexpected(std::move(saved).error());
    }
    return network;
}

Result<void> NamedNetworks::remove(const std::string& name) {
    if (name == kDefaultNetworkName)
        return fail(ErrorKind::invalid, "the default network cannot be removed");
    const auto found = networks_.find(name);
    if (found == networks_.end())
        return fail(ErrorKind::not_found, "there is no network '" + printable(name) + "'",
                    "'squish network ls' lists them");
    const auto kept = found->second;
    networks_.erase(found);
    if (auto saved = save(); !saved) {
        networks_[name] = kept;
        return saved;
    }
    return {};
}

Result<NamedNetwork> NamedNetworks::find(const std::string& name) const {
    if (name == kDefaultNetworkName)
        return default_network();
    const auto found = networks_.find(name);
    if (found == networks_.end())
        return fail(ErrorKind::not_found, "there is no network '" + printable(name) + "'",
                    "make it: squish network create " + printable(name));
    return found->second;
}

std::vector<NamedNetwork> NamedNetworks::list() const {
    std::vector<NamedNetwork> out{default_network()};
    for (const auto& [name, network] : networks_)
        out.push_back(network);
    return out;
}

} // namespace squish
