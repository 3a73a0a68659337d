// The seccomp filter that makes sysinfo(2) a question to squish-sysinfo, by way of the keeper (keeper/listeners.h).

#include "init/kernel.h"
#include "init/state.h"

#include <cerrno>
#include <cstddef>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) // Linux 5.19
#endif

namespace squish::init {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// Other architectures and x32 pass: whether they may call at all is up to the payload's own filter, and what that one
// refuses is refused (seccomp(2): the stricter answer counts).
constexpr sock_filter kSysinfoAsks[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, kArchitecture},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_sysinfo},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
};

int install(std::uint64_t flags) {
    const struct {
        std::uint16_t size;
        const sock_filter* instructions;
    } program{sizeof kSysinfoAsks / sizeof kSysinfoAsks[0], kSysinfoAsks}; // struct sock_fprog
    return raw::as_int(raw::call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, static_cast<long>(flags), raw::arg(&program)));
}

} // namespace

// Should: install the filter with the capabilities that we still have, without no_new_privs. Must not: keep the
// listener: a container that held it could answer itself.
long notify(const State& state, std::uint64_t key, bool may_fail) {
    if (key == 0)
        return -EINVAL;
    constexpr auto kFlags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // Once the question was read no signal breaks off the call: sysinfo(2) knows no EINTR.
    int listener = install(kFlags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if (listener == -EINVAL)
        listener = install(kFlags);
    if (listener < 0)
        return may_fail ? 0 : listener;
    const launch::Report report{launch::kMagic, launch::ReportKind::listener, state.step, 0, key, 0, 0};
    const long sent = raw::send_fd(kControl, &report, sizeof report, listener);
    raw::close(listener);
    return sent < 0 ? sent : 0;
}

} // namespace squish::init
