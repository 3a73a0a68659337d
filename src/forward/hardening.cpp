#include "forward/hardening.h"

#include "os/privileges.h"

#include <linux/capability.h>
#include <sys/resource.h>

namespace squish::forward {

namespace {

// setns(2); IP_TRANSPARENT, SO_MARK and the rule for UDP (base/client_route.h).
constexpr std::uint64_t kKept = 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN;

} // namespace

Result<void> harden() {
    return os::give_up_privileges(kKept);
}

Result<void> raise_fd_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) < 0)
        return fail_errno("getrlimit");
    files.rlim_cur = files.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &files) < 0)
        return fail_errno("setrlimit");
    return {};
}

} // namespace squish::forward
