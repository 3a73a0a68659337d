#include "forward/hardening.h"

#include "os/privileges.h"

#include <linux/capability.h>

namespace squish::forward {

namespace {

// setns(2); IP_TRANSPARENT, SO_MARK and the rule for UDP (base/client_route.h).
constexpr std::uint64_t kKept = 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN;

} // namespace

Result<void> harden() {
    return os::give_up_privileges(kKept);
}

} // namespace squish::forward
