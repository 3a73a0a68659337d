#include "network/network.h"

#include "network/kernel_text.h"
#include "network/requests.h"
#include "os/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>

namespace squish::network {

namespace {

// A step whose result may be there already.
Result<void> unless_there(Result<void> done) {
    if (!done && done.error().sys_errno == EEXIST)
        return {};
    return done;
}

Result<void> unless_unknown(Result<void> done) {
    if (!done && done.error().sys_errno == ENOENT)
        return {};
    return done;
}

// Bridges and the tap have the addresses that we give them, and the link-local one that a router needs: without it the
// kernel looks for no neighbour on behalf of others (ndisc_send_ns()). They listen to no router. Slots' links on the
// bridges stay without IPv6: they carry it, and take no part.
Result<void> write_router_sysctls() {
    const std::string ipv6 = "/proc/sys/net/ipv6/conf/";
    TRY(os::write_existing(ipv6 + "all/forwarding", "1")); // and of what is made later
    for (const char* name : {"accept_ra", "autoconf", "accept_redirects", "accept_source_route", "dad_transmits"})
        for (const char* whose : {"all/", "default/"})
            TRY(unless_unknown(os::write_existing(std::string(ipv6).append(whose).append(name), "0")));
    return os::write_existing(ipv6 + "default/addr_gen_mode", "0"); // made of the MAC
}

Result<void> enable_ipv6(const std::string& link) {
    return os::write_existing("/proc/sys/net/ipv6/conf/" + link + "/disable_ipv6", "0");
}

// What was decided when the bridge was made holds: slots of that time have a default route, or none.
Result<bool> decide_ipv6_out(Netlink& netlink, const std::string& bridge, bool wanted) {
    const auto found = netlink.link(bridge);
    if (!found && found.error().sys_errno != ENODEV)
        return std::unexpected(found.error());
    if (!found && wanted && !has_ipv6())
        return fail(ErrorKind::unsupported, "there is no IPv6 to the outside: the kernel has none",
                    "set [uplink] ipv6 = \"auto\" in squishd.toml");
    if (!found || !has_ipv6())
        return wanted && has_ipv6();
    const auto addresses = TRY(parse_addresses6(TRY(os::read_file("/proc/thread-self/net/if_inet6"))));
    return std::ranges::any_of(
        addresses, [&](const Address6& one) { return one.link == bridge && one.address == gateway6_of(0); });
}

Result<void> write_bridge_sysctls() {
    TRY(os::write_existing("/proc/sys/net/ipv4/ip_forward", "1"));
    // Before the bridge and the uplink's tap are made: they start without IPv6.
    TRY(unless_unknown(os::write_existing("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")));
    // Where br_netfilter is there, traffic between siblings would go through the packet filter and connection tracking.
    for (const auto* tables : {"iptables", "ip6tables", "arptables"})
        TRY(unless_unknown(os::write_existing(std::string("/proc/sys/net/bridge/bridge-nf-call-") + tables, "0")));
    return {};
}

// The interface number of a network's bridge, which is up and has the gateway's address.
Result<std::uint32_t> set_up_bridge(Netlink& netlink, const std::string& name, NetworkId network,
                                    const Options& options) {
    const auto gateway = gateway_of(network);
    TRY(unless_there(netlink.send(add_bridge(name, gateway, options.mtu))));
    const auto bridge = TRY(netlink.link(name));
    TRY(netlink.send(bring_up(bridge.index)));
    TRY(unless_there(netlink.send(add_address(bridge.index, gateway, prefix_of(network)))));
    if (options.rules.ipv6) {
        TRY(enable_ipv6(name));
        TRY(unless_there(netlink.send(add_address6(bridge.index, gateway6_of(network), kNetwork6Prefix))));
    }
    return bridge.index;
}

std::string label_of(NetworkId network) {
    return network == 0 ? "the default network" : "the network on " + bridge_name(network);
}

std::vector<std::uint32_t> slot_numbers(const std::vector<LinkState>& links) {
    std::vector<std::uint32_t> numbers;
    for (const auto& link : links)
        if (const auto number = number_of_link(link.name))
            numbers.push_back(*number);
    return numbers;
}

} // namespace

std::string resolv_conf_of(NetworkId network) {
    return "nameserver " + to_string(gateway_of(network)) + "\n";
}

Result<Network> Network::open(Options options) {
    auto home = NsFd(TRY(os::open_file("/proc/thread-self/ns/net", O_RDONLY)));
    auto netlink = TRY(Netlink::open());
    TRY(netlink.send(bring_up(kLoopbackIndex)));
    TRY(write_bridge_sysctls());
    options.rules.ipv6 = TRY(decide_ipv6_out(netlink, options.rules.bridge, options.rules.ipv6));
    if (options.rules.ipv6)
        TRY(write_router_sysctls());
    const auto bridge = TRY(set_up_bridge(netlink, options.rules.bridge, 0, options));
    TRY(apply_rules(rules_text(options.rules)));

    const auto gid_map = TRY(os::read_file("/proc/self/gid_map"));
    const auto links = TRY(netlink.links());
    Network network(std::move(options), std::move(home), std::move(netlink));
    network.bridges_[0] = bridge;
    network.ping_groups_ = TRY(ping_group_range(gid_map));
    for (const auto number : slot_numbers(links))
        network.mark_elsewhere(number);
    TRY(network.put_back(links, 0)); // the bridge may be a new one
    return network;
}

Result<Slot> Network::acquire() {
    if (spares_.empty())
        spares_.push_back(TRY(obtain()));
    const auto number = spares_.back(); // the one used last: the kernel has it in its caches
    auto slot = TRY(slot_of(number));
    spares_.pop_back();
    return slot;
}

Result<Slot> Network::acquire_on(const std::vector<NetworkId>& networks) {
    for (const auto network : networks)
        TRY(add_network(network));
    return slot_of(TRY(make(networks)));
}

Result<Slot> Network::slot_of(std::uint32_t number) {
    TRY(forbid_host_loopback(number)); // whoever had it before and was not released
    auto& held = held_.at(number);
    Slot slot;
    slot.number = number;
    slot.attachments.push_back(attachment_of(number));
    for (const auto other : held.others)
        slot.attachments.push_back(attachment_of(other));
    slot.netns = NsFd(::fcntl(held.space.netns.get(), F_DUPFD_CLOEXEC, 0));
    if (!slot.netns)
        return fail_errno("duplicate the network namespace's descriptor");
    slot.sysfs = std::move(held.space.sysfs);
    return slot;
}

Result<void> Network::add_network(NetworkId network) {
    if (network > kNamedNetworks)
        return fail(ErrorKind::invalid, "there are networks 0 to " + std::to_string(kNamedNetworks));
    if (bridges_.contains(network))
        return {};
    bridges_[network] = TRY(set_up_bridge(netlink_, bridge_name(network), network, options_));
    return put_back(TRY(netlink_.links()), network);
}

// Puts those links that belong to a network's containers on its bridge, where they are not.
Result<void> Network::put_back(const std::vector<LinkState>& links, NetworkId network) {
    for (const auto& link : links)
        if (const auto number = number_of_link(link.name); number && network_of(*number) == network)
            if (auto moved = netlink_.send(move_to_bridge(link.index, bridges_.at(network)));
                !moved && moved.error().sys_errno != ENODEV) // its container has ended meanwhile
                return moved;
    return {};
}

Result<void> Network::remove_network(NetworkId network) {
    if (network == 0 || network > kNamedNetworks)
        return fail(ErrorKind::invalid, "the default network cannot be removed");
    TRY(finish_leaving());
    for (const auto& link : TRY(netlink_.links()))
        if (const auto number = number_of_link(link.name); number && network_of(*number) == network)
            return fail(ErrorKind::conflict, label_of(network) + " is in use");
    TRY(add_network(network)); // to know its number
    TRY(netlink_.send(move_to_group(bridges_.at(network), kLeavingGroup)));
    TRY(netlink_.send(delete_group(kLeavingGroup)));
    bridges_.erase(network);
    named_numbers_.erase(network);
    return {};
}

Result<bool> Network::repair() {
    const auto links = TRY(netlink_.links());
    bool repaired = false;
    for (auto& [network, index] : bridges_) {
        const auto name = network == 0 ? options_.rules.bridge : bridge_name(network);
        if (std::ranges::find(links, index, &LinkState::index) != links.end())
            continue;
        index = TRY(set_up_bridge(netlink_, name, network, options_));
        TRY(put_back(links, network));
        TRY(wait_until_operational(netlink_, name, std::chrono::seconds(2)));
        repaired = true;
    }
    return repaired;
}

Numbers& Network::numbers_of(NetworkId network) {
    if (network == 0)
        return numbers_;
    return named_numbers_.try_emplace(network, kLastNamedHost).first->second;
}

bool Network::is_elsewhere(std::uint32_t number) {
    return numbers_of(network_of(number)).is_elsewhere(host_of(number));
}

void Network::mark_elsewhere(std::uint32_t number) {
    numbers_of(network_of(number)).mark_elsewhere(host_of(number));
}

Result<bool> Network::prepare(std::size_t wanted) {
    if (spares_.size() >= std::min(wanted, options_.max_spares))
        return false;
    spares_.push_back(TRY(obtain()));
    return true;
}

Result<void> Network::set_up_host_loopback() {
    const auto link = netlink_.link(options_.rules.loopback);
    if (!link)
        return fail(ErrorKind::unavailable, "there is no uplink '" + options_.rules.loopback + "'");
    TRY(unless_there(netlink_.send(add_address(link->index, kHostLoopbackOwn, kHostLoopbackPrefix))));
    return netlink_.send(bring_up_with_mtu(link->index, options_.mtu));
}

Result<void> Network::allow_host_loopback(std::uint32_t number) {
    const bool known = number <= number_in(kNamedNetworks, kLastNamedHost) && is_elsewhere(number);
    if (!known && (!held_.contains(number) || std::ranges::count(spares_, number) != 0 ||
                   std::ranges::count(aside_, number) != 0))
        return fail(ErrorKind::not_found, "no network slot " + std::to_string(number) + " is in use");
    on_host_loopback_.insert(number); // first: a half-done one is taken back, too
    return apply_rules(allow_host_loopback_text(to_string(address_of(number))));
}

Result<void> Network::set_up_uplink6() {
    if (!has_ipv6_out())
        return {};
    const auto& name = options_.rules.uplink;
    const auto link = netlink_.link(name);
    if (!link && link.error().sys_errno == ENODEV)
        return fail(ErrorKind::unavailable, "there is no interface '" + name + "'", "see uplink.log");
    TRY(link);
    TRY(enable_ipv6(name));
    TRY(unless_there(netlink_.send(add_address6(link->index, kUplinkOwn6, kUplink6Prefix))));
    return unless_there(netlink_.send(add_default_route6(link->index, kUplinkRouter6)));
}

// Not without the filter's word: an address that may still reach the host's loopback is given to nobody.
Result<void> Network::forbid_host_loopback(std::uint32_t number) {
    if (!on_host_loopback_.contains(number))
        return {};
    TRY(apply_rules(forbid_host_loopback_text(to_string(address_of(number)))));
    on_host_loopback_.erase(number);
    return {};
}

Result<bool> Network::release(std::uint32_t number, Payload payload) {
    TRY(forbid_host_loopback(number));
    if (number <= number_in(kNamedNetworks, kLastNamedHost) && is_elsewhere(number))
        return false;
    if (!held_.contains(number) || std::ranges::count(spares_, number) != 0 || std::ranges::count(aside_, number) != 0)
        return fail(ErrorKind::not_found, "no network slot " + std::to_string(number) + " is in use");
    const bool plain = network_of(number) == 0 && held_.at(number).others.empty();
    if (!plain || payload == Payload::privileged || spares_.size() >= options_.max_spares) {
        let_go(number);
        return false;
    }
    if (renew(number)) {
        spares_.push_back(number);
        return true;
    }
    aside_.push_back(number);
    if (aside_.size() > options_.max_aside) {
        let_go(aside_.front());
        aside_.pop_front();
    }
    return false;
}

// True where the namespace is as good as new. One that cannot even be looked at is not.
bool Network::renew(std::uint32_t number) {
    const auto clean = check_clean_and_renew(held_.at(number).space, home_.get(), link_of(number));
    return clean && *clean;
}

// A namespace set aside that has become clean meanwhile. Looking costs a fiftieth of making one.
std::optional<std::uint32_t> Network::recover() {
    for (auto aside = aside_.begin(); aside != aside_.end(); ++aside)
        if (const auto number = *aside; renew(number)) {
            aside_.erase(aside);
            return number;
        }
    return std::nullopt;
}

// The number of a namespace that nobody uses.
Result<std::uint32_t> Network::obtain() {
    if (const auto number = recover())
        return *number;
    return make({0});
}

ContainerLink Network::link_of(std::uint32_t number) const {
    const auto network = network_of(number);
    return {address_of(number), prefix_of(network), gateway_of(network), address6_of(number),
            has_ipv6_out() ? std::optional(gateway6_of(network)) : std::nullopt};
}

Attachment Network::attachment_of(std::uint32_t number) const {
    return {network_of(number), to_string(address_of(number)),
            has_ipv6() ? to_string(address6_of(number)) : std::string()};
}

Result<std::uint32_t> Network::make(const std::vector<NetworkId>& networks) {
    std::vector<std::uint32_t> numbers; // so far
    auto made = make_container_namespace(home_.get(), ping_groups_, [&](int netns) -> Result<ContainerLinks> {
        ContainerLinks links;
        for (const auto network : networks) {
            numbers.push_back(TRY(connect(network, netns, static_cast<std::uint32_t>(links.size()))));
            links.push_back(link_of(numbers.back()));
        }
        return links;
    });
    if (!made) {
        for (const auto number : numbers)
            leave(number);
        return std::unexpected(std::move(made).error());
    }
    const auto number = numbers.front();
    held_.emplace(number, Held{std::move(*made), {numbers.begin() + 1, numbers.end()}});
    for (const auto one : numbers)
        if (auto settled = wait_until_settled(one); !settled) {
            let_go(number);
            return std::unexpected(std::move(settled).error());
        }
    return number;
}

// Until what is sent to and from this link arrives.
Result<void> Network::wait_until_settled(std::uint32_t number) {
    constexpr std::chrono::seconds kPatience(2);
    const auto network = network_of(number);
    for (const auto& link : {link_name(number), network == 0 ? options_.rules.bridge : bridge_name(network)})
        TRY(wait_until_operational(netlink_, link, kPatience));
    return has_ipv6_out() ? wait_until_local6({gateway6_of(network)}, kPatience) : Result<void>();
}

// Gives the namespace its veth under the network's next free number. The name is the judge: where one of that name
// exists after all, the number is not free.
Result<std::uint32_t> Network::connect(NetworkId network, int netns, std::uint32_t position) {
    for (;;) {
        const auto number = TRY(take_number(network));
        auto added = netlink_.send(add_veth({.number = number,
                                             .bridge_index = bridges_.at(network),
                                             .netns = netns,
                                             .mtu = options_.mtu,
                                             .position = position}));
        if (added)
            return number;
        const int error = added.error().sys_errno;
        if (error == EEXIST) {
            mark_elsewhere(number);
            continue;
        }
        numbers_of(network).mark_free(host_of(number));
        if (error != EXFULL)
            return std::unexpected(std::move(added).error());
        give_up_aside();
        if (leaving_.empty())
            return fail(ErrorKind::conflict,
                        label_of(network) + " is full: its bridge has all of its 1023 ports in use",
                        "stop containers, or use network mode \"none\" or \"host\" for some");
        TRY(finish_leaving());
    }
}

Result<std::uint32_t> Network::take_number(NetworkId network) {
    auto& numbers = numbers_of(network);
    if (const auto host = numbers.take())
        return number_in(network, *host);
    TRY(look_for_vanished());
    if (const auto host = numbers.take())
        return number_in(network, *host);
    give_up_aside();
    TRY(finish_leaving());
    if (const auto host = numbers.take())
        return number_in(network, *host);
    return fail(ErrorKind::conflict,
                label_of(network) + " is full: all " + std::to_string(numbers.capacity()) + " addresses are in use",
                "stop containers, or use network mode \"none\" or \"host\" for some");
}

Result<void> Network::look_for_vanished() {
    const auto links = TRY(netlink_.links());
    std::map<NetworkId, std::vector<std::uint32_t>> existing;
    for (const auto number : slot_numbers(links))
        existing[network_of(number)].push_back(host_of(number));
    numbers_.keep_elsewhere(existing[0]);
    for (auto& [network, numbers] : named_numbers_)
        numbers.keep_elsewhere(existing[network]);
    std::erase_if(leaving_, [&](std::uint32_t number) { return !is_elsewhere(number); });
    return {};
}

// Removes the links of what we have let go at once instead of waiting for the kernel, all together.
Result<void> Network::finish_leaving() {
    for (const auto number : leaving_)
        // ENODEV: it has gone by itself meanwhile.
        if (auto moved = netlink_.send(move_to_group(kFirstIndex + number, kLeavingGroup));
            !moved && moved.error().sys_errno != ENODEV)
            return moved;
    if (auto deleted = netlink_.send(delete_group(kLeavingGroup)); !deleted && deleted.error().sys_errno != ENODEV)
        return deleted;
    leaving_.clear();
    return look_for_vanished();
}

// When addresses or ports are short, nothing is kept for later.
void Network::give_up_aside() {
    for (const auto number : std::exchange(aside_, {}))
        let_go(number);
}

void Network::drop_surplus(std::size_t wanted) {
    auto& surplus = aside_.empty() ? spares_ : aside_;
    if (aside_.empty() && spares_.size() <= wanted)
        return;
    let_go(surplus.front());
    surplus.pop_front();
}

void Network::let_go(std::uint32_t number) {
    const auto others = std::move(held_.at(number).others);
    held_.erase(number);
    leave(number);
    for (const auto other : others)
        leave(other);
}

// A link that goes when the kernel has ended its namespace.
void Network::leave(std::uint32_t number) {
    mark_elsewhere(number);
    leaving_.push_back(number);
}

} // namespace squish::network
