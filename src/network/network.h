// The user's containers' network, seen from inside the user's own network namespace ("the bridge namespace"):
// a bridge, a packet filter, and one network namespace with an address per container (a "slot").
//
// How this works. The caller (the stager) is single-threaded, lives in the bridge namespace and in the user's own user
// namespace, where it holds all capabilities, and sees a /proc and a /sys that nothing is mounted over. A slot is a
// network namespace made there: it belongs to the *user's* user namespace, not to the container's, so a payload has no
// capability over it even as root of its container: it cannot change addresses, routes, sysctls or filters, nor open
// raw or packet sockets, nor, by that, pretend to be somebody else. Its "eth0" is one end of a veth whose other
// end, "sqN", is on the bridge. Who owns what: the Network keeps one descriptor per slot that it has made, until
// release(); the namespace lives as long as anything in it does, and its link and address with it.
//
// Restart. What a slot needs is in the kernel. A new Network finds the links that exist and leaves their numbers
// alone until they vanish; release() of such a slot does nothing but say so.
//
// Recycling. Making a namespace costs about a millisecond, ending one much more (the kernel waits for all CPUs, and
// others wait for its lock meanwhile), so a used one is kept where that is safe. It is, because of a payload without
// capabilities over it nothing can be left but sockets: its processes have ended (the caller says so by releasing),
// sysctls and links were never writable for it, and a socket, also one that was passed to another process or waits in
// the kernel to send its last bytes, is counted by /proc/net/sockstat, as are connections in TIME_WAIT and
// half-received datagrams. Each figure must be what it was when the namespace was new, eth0 must be up and the
// addresses ours and no others. What does stay: counters of eth0 (they go on counting: take a baseline), ARP entries of
// siblings (right by construction, see address_plan.h), TCP's remembered round-trip times, and connection tracking
// entries of the bridge namespace, just as when an address is given to a new namespace. The commonest trace goes away
// by itself: TIME_WAIT after a minute, a payload's last netlink socket after some milliseconds. So a namespace with
// traces is set aside first, and looked at again when the next is needed; the oldest of those set aside is let go when
// there are too many. Not recycled: a namespace whose container had CAP_NET_ADMIN or CAP_NET_RAW over it
// (Payload::privileged); one with anything left for too long; one that this process has not made (it has no baseline
// for it).
//
// Errors: conflict where all addresses or all ports of the bridge (1,023) are taken; system, naming the call, else.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/address_plan.h"
#include "network/container_namespace.h"
#include "network/netlink.h"
#include "network/rules.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace squish::network {

// The content of the /etc/resolv.conf of a container whose first network this is: its gateway, where squish-dns is.
[[nodiscard]] std::string resolv_conf_of(NetworkId network);

struct Options {
    RuleOptions rules;                       // names of the bridge and the uplink
    std::uint32_t mtu = 65520;               // of every link; what the uplink has
    std::size_t max_spares = 16;             // namespaces kept for the next acquire()
    std::size_t max_aside = 16;              // namespaces kept although not clean yet
    std::uint32_t last_number = kLastNumber; // fewer for tests
};

// A container's place on one network.
struct Attachment {
    NetworkId network = 0;
    std::string address;  // "10.89.0.2"
    std::string address6; // "fd73:7175:6973::2", empty where the kernel has no IPv6
};

struct Slot {
    std::uint32_t number = 0;            // in the first network
    std::vector<Attachment> attachments; // eth0, eth1, …
    NsFd netns;
    MountFd sysfs; // read-only sysfs of that namespace, attached nowhere
};

// What the payload was able to do to its network namespace.
enum class Payload {
    confined,   // nothing: no capability over it
    privileged, // it was given CAP_NET_ADMIN or CAP_NET_RAW there
};

class Network {
public:
    // Sets up the namespace that the caller is in: lo, the bridge with the gateway's address, forwarding, the filter.
    // Does again what was done before without disturbing what runs; IPv6 to the outside (rules.ipv6) stays as it was
    // when the bridge was made, so that all slots are alike. unsupported where that is wanted and the kernel has none.
    [[nodiscard]] static Result<Network> open(Options options = {});

    // A slot for a container on the default network: a spare one (microseconds) or a new one (a millisecond).
    [[nodiscard]] Result<Slot> acquire();
    // One on these networks (at least one, each once), always a new one, which is not recycled. Their bridges are made
    // where they are not there. conflict where one has no address left.
    [[nodiscard]] Result<Slot> acquire_on(const std::vector<NetworkId>& networks);
    // Makes the bridge of a named network, with its gateway's address. Does nothing where it is there.
    [[nodiscard]] Result<void> add_network(NetworkId network);
    // Takes it away. conflict where a container is on it.
    [[nodiscard]] Result<void> remove_network(NetworkId network);
    // Makes bridges again that somebody has deleted, and puts the containers' links back on them; true where there was
    // one. What listened on the old one has to listen again.
    [[nodiscard]] Result<bool> repair();
    // Makes one more spare slot where there are fewer than `wanted` (at most max_spares); false where there are enough.
    // For idle moments.
    [[nodiscard]] Result<bool> prepare(std::size_t wanted);
    // Whether more is kept than `wanted` spares, and letting one of the surplus go: for when it has been quiet for a
    // while.
    [[nodiscard]] bool has_surplus(std::size_t wanted) const { return spares_.size() > wanted || !aside_.empty(); }
    void drop_surplus(std::size_t wanted);
    // Takes a slot back after the container's last process has ended. True: it is a spare one now. False: it was set
    // aside, or let go: then the kernel removes it once nobody holds it, and the address is free again. not_found
    // where there is none of that number.
    [[nodiscard]] Result<bool> release(std::uint32_t number, Payload payload = Payload::confined);

    // The second uplink's interface is there, unconfigured: gives it its address and brings it up. Does again what was
    // done before. unavailable where there is no such interface.
    [[nodiscard]] Result<void> set_up_host_loopback();
    // Whether the container on this slot may reach the host's loopback, through that. It may no more once the slot is
    // released. not_found where no such slot is in use.
    [[nodiscard]] Result<void> allow_host_loopback(std::uint32_t number);

    // Whether containers have IPv6 to the outside: what was asked for when the default network's bridge was made.
    [[nodiscard]] bool has_ipv6_out() const { return options_.rules.ipv6; }
    // The uplink's interface is there, and configured for IPv4: gives it IPv6, where that is to be. Does again what was
    // done before. unavailable where there is no such interface.
    [[nodiscard]] Result<void> set_up_uplink6();

    [[nodiscard]] std::string gateway() const { return to_string(kGateway); }
    [[nodiscard]] unsigned prefix_length() const { return kDefaultPrefix; }
    [[nodiscard]] std::uint32_t mtu() const { return options_.mtu; }
    [[nodiscard]] std::size_t spares() const { return spares_.size(); }

private:
    Network(Options options, NsFd home, Netlink netlink)
        : options_(std::move(options)), home_(std::move(home)), netlink_(std::move(netlink)),
          numbers_(options_.last_number) {}

    struct Held {
        ContainerNamespace space;
        std::vector<std::uint32_t> others; // numbers in further networks
    };

    [[nodiscard]] ContainerLink link_of(std::uint32_t number) const;
    [[nodiscard]] Attachment attachment_of(std::uint32_t number) const;
    [[nodiscard]] Result<std::uint32_t> obtain();
    [[nodiscard]] Result<std::uint32_t> make(const std::vector<NetworkId>& networks);
    [[nodiscard]] Result<void> wait_until_settled(std::uint32_t number);
    [[nodiscard]] Result<Slot> slot_of(std::uint32_t number);
    [[nodiscard]] Result<std::uint32_t> connect(NetworkId network, int netns, std::uint32_t position);
    [[nodiscard]] Result<std::uint32_t> take_number(NetworkId network);
    [[nodiscard]] Result<void> put_back(const std::vector<LinkState>& links, NetworkId network);
    [[nodiscard]] Numbers& numbers_of(NetworkId network);
    [[nodiscard]] Result<void> forbid_host_loopback(std::uint32_t number);
    [[nodiscard]] bool is_elsewhere(std::uint32_t number);
    void mark_elsewhere(std::uint32_t number);
    [[nodiscard]] Result<void> look_for_vanished();
    [[nodiscard]] Result<void> finish_leaving();
    [[nodiscard]] bool renew(std::uint32_t number);
    [[nodiscard]] std::optional<std::uint32_t> recover();
    void give_up_aside();
    void let_go(std::uint32_t number);
    void leave(std::uint32_t number);

    Options options_;
    NsFd home_;
    Netlink netlink_;                            // of the bridge namespace
    std::map<NetworkId, std::uint32_t> bridges_; // network → interface number
    std::string ping_groups_;
    Numbers numbers_;                            // of the default network
    std::map<NetworkId, Numbers> named_numbers_; // of the others: host numbers
    std::map<std::uint32_t, Held> held_;         // in use, spare or aside; the key is the number in the first network
    std::deque<std::uint32_t> spares_;
    std::deque<std::uint32_t> aside_;          // not clean when released, the oldest first
    std::set<std::uint32_t> on_host_loopback_; // slots that may reach the host's loopback
    std::vector<std::uint32_t> leaving_;       // let go by us, perhaps not gone yet
};

} // namespace squish::network
