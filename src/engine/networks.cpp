// The networks that containers join, and the names that they have there.
//
// How this works
//   A network is a name and a number (engine/named_networks.h). Its bridge and its name server's socket are made when
//   the first container joins, and stay until the network is removed. A container's names are told to squish-dns before
//   its payload starts and taken back when it has ended; whoever asks in between gets an address where nobody answers.
//   A new squish-dns is told of all hosts at once: hosts_of().

#include "engine/impl.h"

#include "base/text.h"

#include <algorithm>

namespace squish {

using wire::Json;

namespace {

constexpr std::size_t kShortId = 12; // as the field abbreviates ids
constexpr int kLeaveRounds = 40;     // for the links of containers that have just ended
constexpr std::chrono::milliseconds kLeavePause{50};

// Whether a resolver can ask for it: names may have dots anywhere, labels may not be empty.
bool can_be_asked_for(const std::string& name) {
    return !name.ends_with('.') && !name.contains("..");
}

std::vector<std::string> names_of(const ContainerInfo& info) {
    std::vector<std::string> names{info.name};
    names.insert(names.end(), info.file.network.aliases.begin(), info.file.network.aliases.end());
    names.push_back(info.id.substr(0, kShortId));
    std::erase_if(names, [](const auto& name) { return !can_be_asked_for(name); });
    return names;
}

Json host_of(const ContainerInfo& info, const NetworkPlace& place) {
    Json host = Json::object();
    host["container"] = info.id;
    host["names"] = place.names;
    host["address"] = place.address;
    if (!place.address6.empty())
        host["address6"] = place.address6;
    return host;
}

} // namespace

// Those that a squishfile names, or the default one. Errors: not_found, conflict for one that is being removed.
Result<std::vector<NamedNetwork>> Engine::Impl::networks_of(const Squishfile& file) const {
    std::vector<NamedNetwork> out;
    if (file.network.mode != NetworkMode::bridge)
        return out;
    for (const auto& name : file.network.networks) {
        auto network = networks_->find(name);
        if (!network)
            return std::unexpected(std::move(network).error().within("[network] networks"));
        if (networks_leaving_.contains(network->number))
            return fail(ErrorKind::conflict, "[network] networks: '" + name + "' is being removed");
        out.push_back(std::move(*network));
    }
    if (out.empty())
        out.push_back(TRY(networks_->find(kDefaultNetworkName)));
    return out;
}

// The record says from here on where the container is, and how it is called there.
void Engine::Impl::take_place(Record& record, NetworkSlot slot) const {
    record.network = std::move(slot);
    auto& info = record.info;
    const auto& attachments = record.network.attachments;
    for (std::size_t i = 0; i < attachments.size(); ++i)
        info.networks.push_back({record.networks[i].name, "eth" + std::to_string(i), attachments[i].address,
                                 attachments[i].address6, names_of(info)});
    if (attachments.empty())
        return;
    info.address = attachments.front().address;
    info.address6 = attachments.front().address6;
    if (!can_be_asked_for(info.name))
        info.warnings.push_back("other containers cannot look up the name '" + info.name + "': no name in the DNS " +
                                "ends with a dot or has two in a row");
}

Task<void> Engine::Impl::add_names(RecordPtr record) {
    record->named = true; // from here on a new squish-dns is told as well
    const auto places = record->info.networks;
    for (std::size_t i = 0; i < places.size(); ++i) {
        auto host = host_of(record->info, places[i]);
        CO_TRY(co_await ground_->add_host(record->networks[i].number, std::move(host)));
    }
    co_return Result<void>{};
}

asio::awaitable<void> Engine::Impl::remove_names(RecordPtr record) {
    if (!std::exchange(record->named, false))
        co_return;
    for (const auto& network : std::vector(record->networks))
        co_await ground_->remove_host(network.number, record->info.id);
}

Json Engine::Impl::hosts_of(std::uint32_t network) const {
    Json hosts = Json::array();
    for (const auto& [id, record] : records_) {
        if (!record->named)
            continue;
        for (std::size_t i = 0; i < record->info.networks.size(); ++i)
            if (record->networks[i].number == network)
                hosts.push_back(host_of(record->info, record->info.networks[i]));
    }
    return hosts;
}

std::vector<NetworkInfo::Member> Engine::Impl::members_of(std::uint32_t network) const {
    std::vector<NetworkInfo::Member> members;
    for (const auto& [id, record] : records_) {
        if (record->info.state == ContainerState::exited)
            continue;
        for (std::size_t i = 0; i < record->networks.size(); ++i) {
            if (record->networks[i].number != network)
                continue;
            const auto place = i < record->info.networks.size() ? record->info.networks[i] : NetworkPlace{};
            members.push_back({id, record->info.name, place.address, place.address6, place.names});
        }
    }
    std::ranges::sort(members, {}, &NetworkInfo::Member::name);
    return members;
}

// Those of the containers that run.
std::vector<std::uint32_t> Engine::Impl::networks_in_use() const {
    std::set<std::uint32_t> numbers;
    for (const auto& [id, record] : records_)
        if (is_alive(record->info.state))
            for (const auto& network : record->networks)
                numbers.insert(network.number);
    return {numbers.begin(), numbers.end()};
}

Task<std::vector<NetworkInfo>> Engine::Impl::describe(std::vector<NamedNetwork> networks) {
    std::vector<std::uint32_t> numbers;
    for (const auto& network : networks)
        numbers.push_back(network.number);
    CO_TRY_TO(const auto described, co_await ground_->describe_networks(std::move(numbers)));
    std::vector<NetworkInfo> out;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        const auto text = [&](const char* member) { return described[i].value(member, std::string()); };
        NetworkInfo info;
        info.name = networks[i].name;
        info.created_at = networks[i].created_at;
        info.subnet = text("subnet");
        info.subnet6 = text("subnet6");
        info.gateway = text("gateway");
        info.interface = text("interface");
        info.containers = members_of(networks[i].number);
        out.push_back(std::move(info));
    }
    co_return out;
}

Task<NetworkInfo> Engine::Impl::create_network(std::string name) {
    CO_TRY(networks_->create(name, now_microseconds()));
    co_return co_await inspect_network(std::move(name));
}

Task<std::vector<NetworkInfo>> Engine::Impl::list_networks() {
    return describe(networks_->list());
}

Task<NetworkInfo> Engine::Impl::inspect_network(std::string name) {
    CO_TRY_TO(auto network, networks_->find(name));
    std::vector<NamedNetwork> one(1, std::move(network));
    CO_TRY_TO(auto described, co_await describe(std::move(one)));
    co_return std::move(described.front());
}

// First nobody can join any more, then the bridge goes, then the name.
Task<void> Engine::Impl::remove_network(std::string name) {
    CO_TRY_TO(const auto network, networks_->find(name));
    if (network.number == 0)
        co_return fail(ErrorKind::invalid, "the default network cannot be removed");
    std::vector<std::string> users;
    for (const auto& member : members_of(network.number))
        users.push_back(member.name);
    if (!users.empty())
        co_return fail(ErrorKind::conflict, "network '" + name + "' is used by " + join(users, ", "),
                       "stop these containers first");
    if (!networks_leaving_.insert(network.number).second)
        co_return fail(ErrorKind::conflict, "network '" + name + "' is being removed");
    auto removed = co_await ground_->remove_network(network.number);
    for (int round = 0; !removed && removed.error().kind == ErrorKind::conflict && round < kLeaveRounds; ++round) {
        asio::steady_timer pause(executor_, kLeavePause);
        co_await pause.async_wait(kAwait);
        removed = co_await ground_->remove_network(network.number);
    }
    if (removed)
        removed = networks_->remove(name);
    networks_leaving_.erase(network.number);
    co_return removed;
}

} // namespace squish
