#include "network/network.h"

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

Result<void> write_bridge_sysctls() {
    TRY(os::write_existing("/proc/sys/net/ipv4/ip_forward", "1"));
    // Before the bridge and the uplink's tap are made: they start without IPv6.
    TRY(unless_unknown(os::write_existing("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")));
    // Where br_netfilter is there, traffic between siblings would go through the packet filter and connection tracking.
    TRY(unless_unknown(os::write_existing("/proc/sys/net/bridge/bridge-nf-call-iptables", "0")));
    return {};
}

Result<LinkState> set_up_bridge(Netlink& netlink, const Options& options) {
    const auto& name = options.rules.bridge;
    TRY(unless_there(netlink.send(add_bridge(name, kGateway, options.mtu))));
    auto bridge = TRY(netlink.link(name));
    TRY(netlink.send(bring_up(bridge.index)));
    TRY(unless_there(netlink.send(add_address(bridge.index, kGateway, kDefaultPrefix))));
    return bridge;
}

std::vector<std::uint32_t> slot_numbers(const std::vector<LinkState>& links) {
    std::vector<std::uint32_t> numbers;
    for (const auto& link : links)
        if (const auto number = number_of_link(link.name))
            numbers.push_back(*number);
    return numbers;
}

} // namespace

Result<Network> Network::open(Options options) {
    auto home = NsFd(TRY(os::open_file("/proc/thread-self/ns/net", O_RDONLY)));
    auto netlink = TRY(Netlink::open());
    TRY(netlink.send(bring_up(kLoopbackIndex)));
    TRY(write_bridge_sysctls());
    const auto bridge = TRY(set_up_bridge(netlink, options));
    TRY(apply_rules(rules_text(options.rules)));

    const auto gid_map = TRY(os::read_file("/proc/self/gid_map"));
    const auto links = TRY(netlink.links());
    Network network(std::move(options), std::move(home), std::move(netlink));
    network.bridge_index_ = bridge.index;
    network.ping_groups_ = TRY(ping_group_range(gid_map));
    for (const auto number : slot_numbers(links))
        network.numbers_.mark_elsewhere(number);
    return network;
}

Result<Slot> Network::acquire() {
    if (spares_.empty())
        spares_.push_back(TRY(obtain()));
    const auto number = spares_.back(); // the one used last: the kernel has it in its caches
    auto& space = held_.at(number);
    Slot slot;
    slot.number = number;
    slot.address = to_string(address_of(number));
    slot.address6 = has_ipv6() ? to_string(address6_of(number)) : std::string();
    slot.netns = NsFd(::fcntl(space.netns.get(), F_DUPFD_CLOEXEC, 0));
    if (!slot.netns)
        return fail_errno("duplicate the network namespace's descriptor");
    slot.sysfs = std::move(space.sysfs);
    spares_.pop_back();
    return slot;
}

Result<bool> Network::prepare(std::size_t wanted) {
    if (spares_.size() >= std::min(wanted, options_.max_spares))
        return false;
    spares_.push_back(TRY(obtain()));
    return true;
}

Result<bool> Network::release(std::uint32_t number, Payload payload) {
    if (numbers_.is_elsewhere(number))
        return false;
    if (!held_.contains(number) || std::ranges::count(spares_, number) != 0 || std::ranges::count(aside_, number) != 0)
        return fail(ErrorKind::not_found, "no network slot " + std::to_string(number) + " is in use");
    if (payload == Payload::privileged || spares_.size() >= options_.max_spares) {
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
    const auto clean = check_clean_and_renew(held_.at(number), home_.get(), link_of(number));
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
    return make();
}

ContainerLink Network::link_of(std::uint32_t number) const {
    return {address_of(number), kDefaultPrefix, kGateway, address6_of(number)};
}

Result<std::uint32_t> Network::make() {
    std::uint32_t number = 0; // none yet
    auto made = make_container_namespace(home_.get(), ping_groups_, [&](int netns) -> Result<ContainerLink> {
        number = TRY(connect(netns));
        return link_of(number);
    });
    if (!made) {
        if (number != 0)
            let_go(number);
        return std::unexpected(std::move(made).error());
    }
    held_.emplace(number, std::move(*made));
    for (const auto& link : {link_name(number), options_.rules.bridge})
        if (auto settled = wait_until_operational(netlink_, link, std::chrono::seconds(2)); !settled) {
            let_go(number);
            return std::unexpected(std::move(settled).error());
        }
    return number;
}

// Gives the namespace its veth under the next free number. The name is the judge: where one of that name exists
// after all, the number is not free.
Result<std::uint32_t> Network::connect(int netns) {
    for (;;) {
        const auto number = TRY(take_number());
        auto added = netlink_.send(add_veth({number, bridge_index_, netns, options_.mtu}));
        if (added)
            return number;
        const int error = added.error().sys_errno;
        if (error == EEXIST) {
            numbers_.mark_elsewhere(number);
            continue;
        }
        numbers_.mark_free(number);
        if (error != EXFULL)
            return std::unexpected(std::move(added).error());
        give_up_aside();
        if (leaving_.empty())
            return fail(ErrorKind::conflict, "the default network is full: its bridge has all of its 1023 ports in use",
                        "stop containers, or use network mode \"none\" or \"host\" for some");
        TRY(finish_leaving());
    }
}

Result<std::uint32_t> Network::take_number() {
    if (const auto number = numbers_.take())
        return *number;
    TRY(look_for_vanished());
    if (const auto number = numbers_.take())
        return *number;
    give_up_aside();
    TRY(finish_leaving());
    if (const auto number = numbers_.take())
        return *number;
    return fail(ErrorKind::conflict,
                "the default network is full: all " + std::to_string(numbers_.capacity()) + " addresses are in use",
                "stop containers, or use network mode \"none\" or \"host\" for some");
}

Result<void> Network::look_for_vanished() {
    const auto links = TRY(netlink_.links());
    numbers_.keep_elsewhere(slot_numbers(links));
    std::erase_if(leaving_, [&](std::uint32_t number) { return !numbers_.is_elsewhere(number); });
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
    held_.erase(number);
    numbers_.mark_elsewhere(number);
    leaving_.push_back(number);
}

} // namespace squish::network
