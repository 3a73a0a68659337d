// The routing rule that leads a payload's UDP answers back to the forwarder (base/client_route.h, rule 95).
#pragma once

#include "base/result.h"

#include <cstdint>

namespace squish::forward {

// In the network namespace that the caller is in. Adding twice makes two rules; removing takes one away.
[[nodiscard]] Result<void> add_udp_rule(int family, std::uint16_t port);
[[nodiscard]] Result<void> remove_udp_rule(int family, std::uint16_t port);

} // namespace squish::forward
