#include "os/privileges.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::os {

Result<void> give_up_privileges(std::uint64_t kept) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail_errno("PR_SET_NO_NEW_PRIVS");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) < 0)
        return fail_errno("capget");
    const auto permitted = data[0].permitted | static_cast<std::uint64_t>(data[1].permitted) << 32;
    if (permitted & 1ULL << CAP_SETPCAP) {
        // Beyond the last capability the kernel answers EINVAL.
        for (unsigned long number = 0; ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0; ++number) {
        }
        constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                        SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                        SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
        if (::prctl(PR_SET_SECUREBITS, kBits, 0, 0, 0) < 0)
            return fail_errno("PR_SET_SECUREBITS");
    }
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fail_errno("PR_CAP_AMBIENT_CLEAR_ALL");
    for (unsigned i = 0; i < 2; ++i) {
        data[i].permitted = data[i].effective = static_cast<std::uint32_t>((permitted & kept) >> (32 * i));
        data[i].inheritable = 0;
    }
    if (::syscall(SYS_capset, &header, data) < 0)
        return fail_errno("capset");
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail_errno("PR_SET_DUMPABLE");
    return {};
}

} // namespace squish::os
