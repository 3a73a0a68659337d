#include "procfsd/confine.h"

#include "base/sanitizers.h"
#include "base/unique_fd.h"
#include "os/file.h"
#include "os/privileges.h"

#include <cstddef>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace squish::procfsd {

namespace {

// --- Landlock; the numbers of its interface, since Debian 12's headers know its first three versions only

struct RulesetAttributes { // struct landlock_ruleset_attr
    std::uint64_t files = 0;
    std::uint64_t network = 0; // ABI 4
    std::uint64_t scoped = 0;  // ABI 6
};
struct [[gnu::packed]] BeneathAttributes { // struct landlock_path_beneath_attr
    std::uint64_t allowed = 0;
    std::int32_t folder = -1;
};
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr std::uint64_t kReadFile = 1 << 2, kReadFolder = 1 << 3;

std::uint64_t files_handled_by(long abi) {
    std::uint64_t all = (1 << 13) - 1; // ABI 1
    if (abi >= 2)
        all |= 1 << 13; // REFER
    if (abi >= 3)
        all |= 1 << 14; // TRUNCATE
    if (abi >= 5)
        all |= 1 << 15; // IOCTL_DEV
    return all;
}

Result<void> confine_files() {
    const long abi = ::syscall(kCreateRuleset, nullptr, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    if (abi < 1)
        return {}; // not in this kernel, or not enabled when it started
    RulesetAttributes attributes;
    attributes.files = files_handled_by(abi);
    attributes.network = abi >= 4 ? 3 : 0; // bind and connect
    attributes.scoped = abi >= 6 ? 3 : 0;  // abstract sockets and signals of others
    const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    const UniqueFd ruleset(static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0)));
    if (!ruleset)
        return fail_errno("landlock_create_ruleset");
    for (const auto* path : {"/proc", "/sys"}) {
        const auto folder = TRY(os::open_file(path, O_PATH | O_DIRECTORY));
        const BeneathAttributes rule{kReadFile | kReadFolder, folder.get()};
        if (::syscall(kAddRule, ruleset.get(), 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0) < 0)
            return fail_errno("landlock_add_rule");
    }
    if (::syscall(kRestrictSelf, ruleset.get(), 0) < 0)
        return fail_errno("landlock_restrict_self");
    return {};
}

// --- system calls

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH_* is this?"
#endif

// Requests and answers, files by descriptor, memory, time. No execve, no ptrace, no socket, no mount, no process, no
// thread, no ioctl; a signal only to itself.
constexpr long kAllowed[] = {
    SYS_read,
    SYS_writev,
    SYS_pread64,
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_getdents64,
    SYS_lseek,
    SYS_readlinkat,
    SYS_write, // what goes wrong, to the log
    SYS_timer_settime,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    SYS_getpid,
    SYS_gettid,
    SYS_exit,
    SYS_exit_group,
};

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | 38U; // ENOSYS: glibc then takes the older call

sock_filter load(std::size_t offset) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter answer(std::uint32_t value) {
    return BPF_STMT(BPF_RET | BPF_K, value);
}
sock_filter unless_equal(long value, std::uint8_t skip) {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(value), 0, skip);
}

Result<void> filter_system_calls() {
    std::vector<sock_filter> program = {
        load(offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
        answer(SECCOMP_RET_KILL_PROCESS),
        load(offsetof(seccomp_data, nr)),
    };
    for (const long number : kAllowed) {
        program.push_back(unless_equal(number, 1));
        program.push_back(answer(SECCOMP_RET_ALLOW));
    }
    for (const long number : {SYS_mmap, SYS_mprotect}) { // memory, but no code
        program.push_back(unless_equal(number, 4));
        program.push_back(load(offsetof(seccomp_data, args[2])));
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
        program.push_back(answer(SECCOMP_RET_ALLOW));
        program.push_back(answer(kRefuse));
    }
    program.push_back(unless_equal(SYS_fcntl, 6)); // fdopendir(3)
    program.push_back(load(offsetof(seccomp_data, args[1])));
    program.push_back(unless_equal(F_GETFL, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(unless_equal(F_SETFD, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(answer(kRefuse));
    program.push_back(unless_equal(SYS_tgkill, 4)); // abort(3)
    program.push_back(load(offsetof(seccomp_data, args[0])));
    program.push_back(unless_equal(::getpid(), 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(answer(kRefuse));
    program.push_back(answer(kRefuse));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
        return fail_errno("install the filter of system calls");
    return {};
}

} // namespace

Result<void> confine() {
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_CORE, &none) < 0)
        return fail_errno("setrlimit");
    TRY(os::give_up_privileges(0));
    TRY(confine_files());
    return kAddressSanitizer ? Result<void>() : filter_system_calls(); // it calls what it likes
}

} // namespace squish::procfsd
