// The packet filter of the user's network namespace: one nf_tables table, "inet squish".
#pragma once

#include "base/result.h"

#include <string>

namespace squish::network {

struct RuleOptions {
    std::string bridge = "squish0";
    std::string uplink = "tap0";
    std::string uplink_network = "10.0.2.0/24";
    // The second uplink, through which nothing but the host's loopback is reached, by those who may.
    std::string loopback = "tap1";
    std::string loopback_host = "10.0.3.2"; // what stands for the host's 127.0.0.1
    bool ipv6 = false;                      // whether containers have IPv6 to the outside
    std::string uplink_network6 = "fd00::/64";
    std::string uplink_router6 = "fd00::2";
};

// The whole table as nft(8) text: one transaction that replaces whatever table of that name was there.
[[nodiscard]] std::string rules_text(const RuleOptions& options = {});

// Applies nft(8) text to the network namespace that the caller is in. All of it or nothing.
[[nodiscard]] Result<void> apply_rules(const std::string& text);
// Lets one container, by its address, reach the host's loopback, or no more. Both do nothing where it is so already.
[[nodiscard]] std::string allow_host_loopback_text(const std::string& address);
[[nodiscard]] std::string forbid_host_loopback_text(const std::string& address);
// The ruleset of the namespace that the caller is in, as nft(8) text.
[[nodiscard]] Result<std::string> list_rules();

} // namespace squish::network
