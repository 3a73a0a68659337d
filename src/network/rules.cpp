#include "network/rules.h"

#include "base/text.h"
#include "network/address_plan.h"

#include <memory>
#include <nftables/libnftables.h>
#include <vector>

namespace squish::network {

namespace {

struct FreeContext {
    void operator()(nft_ctx* context) const noexcept { nft_ctx_free(context); }
};

// Runs nft text; what it prints is returned. The context lives for this one call only: it holds a cache of the
// ruleset that nobody needs afterwards.
Result<std::string> run(const std::string& text) {
    const std::unique_ptr<nft_ctx, FreeContext> context(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context || nft_ctx_buffer_output(context.get()) != 0 || nft_ctx_buffer_error(context.get()) != 0)
        return fail(ErrorKind::system, "cannot set up libnftables: out of memory");
    if (nft_run_cmd_from_buffer(context.get(), text.c_str()) != 0) {
        const std::string_view why = trim(nft_ctx_get_error_buffer(context.get()));
        return fail(ErrorKind::system, "nf_tables: " + printable(why.substr(0, why.find('\n'))),
                    "the kernel needs nf_tables with conntrack, nat, masquerade and reject (modules nf_tables, nft_ct, "
                    "nft_nat, "
                    "nft_masq, nft_reject_inet)");
    }
    return std::string(nft_ctx_get_output_buffer(context.get()));
}

// $NAMES are replaced by rules_text(), and lines with "6|" are there only with IPv6 to the outside. `add` before
// `delete` makes the deletion succeed where there is no table yet.
//
// A container may: reach its siblings (on the bridge itself, not through here), go out through the uplink with its own
// address, ping its gateway and ask it for names (squish-dns, which listens on each bridge by itself).
// It may not: reach another network's containers, nor anything on the uplink's network (its router 10.0.2.2 stands for
// the host), nor any other service in this namespace, nor send with a foreign source address. Of the second uplink's
// network only the one address that is the host's loopback is reached, and only by the containers in the set; that is
// asked of every packet, both ways and before connection tracking: what the former owner of an address had established
// is nothing to the next. This namespace's own processes do not use it at all. From outside nothing
// comes in but answers: published ports do not pass here, the forwarder connects inside the container's own namespace.
//
// IPv6 likewise. Neighbour discovery is what ARP is for IPv4, which no filter sees: without it neither gateway nor
// uplink is found. What the uplink would send to the host itself is refused: its own network (slirp4netns makes any
// address there ::1), ::/16 with the IPv4 addresses written as IPv6 (::ffff:127.0.0.1 could be taken for 127.0.0.1 by
// the host) and link-local addresses. So are the containers' own networks. libslirp says that something is out of reach
// with its link-local address, which nobody forwards: it gets the router's, or containers would wait for a time-out.
constexpr std::string_view kRules = R"(add table inet squish
delete table inet squish
table inet squish {
    set host_loopback {
        type ipv4_addr
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        oifname "$LOOPBACK" jump to_host_loopback
        iifname "$LOOPBACK" ip daddr != @host_loopback drop
        iifname "$LOOPBACK" meta nfproto != ipv4 drop
        ct state invalid drop
        ct state established,related accept
        iifname "$BRIDGE" oifname "$BRIDGE" accept comment "siblings, where br_netfilter sends them here"
        iifname "$BRIDGE" oifname "$UPLINK" ip saddr $CONTAINERS jump outgoing
        iifname "$NAMED" oifname "$UPLINK" ip saddr $CONTAINERS jump outgoing
6|      iifname "$BRIDGE" oifname "$UPLINK" ip6 saddr $6CONTAINERS jump outgoing6
6|      iifname "$NAMED" oifname "$UPLINK" ip6 saddr $6CONTAINERS jump outgoing6
    }
    chain to_host_loopback {
        ct state invalid drop
        ip saddr @host_loopback ip daddr $HOST_ADDRESS accept
        reject with icmpx type admin-prohibited
    }
    chain outgoing {
        ip daddr $UPLINK_NETWORK reject with icmp type admin-prohibited
        accept
    }
6|  chain outgoing6 {
6|      ip6 daddr { $6UPLINK_NETWORK, $6CONTAINERS } reject with icmpv6 type admin-prohibited
6|      ip6 daddr { ::/16, fe80::/10, fec0::/10, ff00::/8 } reject with icmpv6 type admin-prohibited
6|      accept
6|  }
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state invalid drop
        ct state established,related accept
        iifname "$BRIDGE" ip daddr $GATEWAY jump gateway
        iifname "$NAMED" ip daddr & 255.255.0.255 == $GATEWAY jump gateway
6|      iifname { "$BRIDGE", "$UPLINK" } jump neighbours
6|      iifname "$NAMED" jump neighbours
6|      iifname "$BRIDGE" ip6 daddr $6GATEWAY icmpv6 type echo-request accept
6|      iifname "$NAMED" ip6 daddr & ffff:ffff:ffff:ff00:ffff:ffff:ffff:ffff == $6GATEWAY icmpv6 type echo-request accept
    }
6|  chain prerouting {
6|      type filter hook prerouting priority raw; policy accept;
6|      iifname "$UPLINK" ip6 saddr fe80::/10 icmpv6 type destination-unreachable ip6 saddr set $6ROUTER
6|  }
6|  chain neighbours {
6|      ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
6|  }
    chain gateway {
        icmp type echo-request accept
        udp dport 53 accept
        tcp dport 53 accept
    }
    chain output {
        type filter hook output priority filter; policy accept;
        oifname "$LOOPBACK" reject with icmpx type admin-prohibited
    }
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "$LOOPBACK" ip saddr $CONTAINERS masquerade
        oifname "$UPLINK" ip saddr $CONTAINERS masquerade
6|      oifname "$UPLINK" ip6 saddr $6CONTAINERS masquerade
    }
}
)";

} // namespace

std::string rules_text(const RuleOptions& options) {
    const std::vector<std::pair<std::string_view, std::string>> values = {
        {"$LOOPBACK", options.loopback},
        {"$HOST_ADDRESS", options.loopback_host},
        {"$UPLINK_NETWORK", options.uplink_network}, // before $UPLINK, its beginning
        {"$UPLINK", options.uplink},
        {"$BRIDGE", options.bridge},
        {"$NAMED", "sqb*"}, // bridge_name()
        {"$GATEWAY", to_string(kGateway)},
        {"$CONTAINERS", to_string(kAllNetworks) + "/" + std::to_string(kAllNetworksPrefix)},
        {"$6UPLINK_NETWORK", options.uplink_network6},
        {"$6ROUTER", options.uplink_router6},
        {"$6GATEWAY", to_string(gateway6_of(0))},
        {"$6CONTAINERS", to_string(kAllNetworks6) + "/" + std::to_string(kAllNetworks6Prefix)},
    };
    std::string text;
    for (const auto line : split(kRules, '\n')) {
        const bool for_ipv6 = line.starts_with("6|");
        if (!for_ipv6)
            text.append(line).append("\n");
        else if (options.ipv6)
            text.append("  ").append(line.substr(2)).append("\n");
    }
    for (const auto& [name, value] : values)
        for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
            text.replace(at, name.size(), value);
    return text;
}

std::string allow_host_loopback_text(const std::string& address) {
    return "add element inet squish host_loopback { " + address + " }\n";
}

std::string forbid_host_loopback_text(const std::string& address) {
    // To delete what is not there is an error; to add what is there is none.
    return allow_host_loopback_text(address) + "delete element inet squish host_loopback { " + address + " }\n";
}

Result<void> apply_rules(const std::string& text) {
    TRY(run(text));
    return {};
}

Result<std::string> list_rules() {
    return run("list ruleset");
}

} // namespace squish::network
