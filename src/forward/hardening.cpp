#include "forward/hardening.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::forward {

namespace {

// setns(2); IP_TRANSPARENT, SO_MARK and the rule for UDP (base/client_route.h).
constexpr std::uint64_t kKept = 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN;

struct Capabilities {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};

    [[nodiscard]] std::uint64_t permitted() const {
        return data[0].permitted | static_cast<std::uint64_t>(data[1].permitted) << 32;
    }
    void set(std::uint64_t kept) {
        for (unsigned i = 0; i < 2; ++i) {
            data[i].permitted = data[i].effective = static_cast<std::uint32_t>(kept >> (32 * i));
            data[i].inheritable = 0;
        }
    }
};

Result<void> drop_capabilities() {
    Capabilities capabilities;
    if (::syscall(SYS_capget, &capabilities.header, capabilities.data) < 0)
        return fail_errno("capget");
    if (capabilities.permitted() & 1ULL << CAP_SETPCAP) {
        // Beyond the last capability the kernel answers EINVAL.
        for (unsigned long number = 0; ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0; ++number) {
        }
        if (::prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0)
            return fail_errno("PR_SET_SECUREBITS");
    }
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fail_errno("PR_CAP_AMBIENT_CLEAR_ALL");
    capabilities.set(capabilities.permitted() & kKept);
    if (::syscall(SYS_capset, &capabilities.header, capabilities.data) < 0)
        return fail_errno("capset");
    return {};
}

} // namespace

Result<void> harden() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail_errno("PR_SET_NO_NEW_PRIVS");
    TRY(drop_capabilities());
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail_errno("PR_SET_DUMPABLE");
    return {};
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
