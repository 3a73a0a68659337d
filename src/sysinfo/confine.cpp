#include "sysinfo/confine.h"

#include "base/sanitizers.h"
#include "os/privileges.h"

#include <cstddef>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace squish::sysinfo {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH_* is this?"
#endif

// Files to read, the memory of others by descriptor, descriptors that come, and what sysinfo/apart.h needs. No execve,
// no ptrace, no process_vm_writev, no socket, no mount, no thread.
constexpr long kAllowed[] = {
    SYS_epoll_pwait,  SYS_pread64,
    SYS_pwrite64,     SYS_read,
    SYS_openat,       SYS_openat2,
    SYS_close,        SYS_clock_gettime,
    SYS_setitimer,    SYS_recvmsg,
    SYS_epoll_ctl,    SYS_getdents64,
    SYS_fstat,        SYS_newfstatat,
    SYS_lseek,        SYS_fcntl,
    SYS_write, // what goes wrong, to the log
    SYS_munmap,       SYS_mremap,
    SYS_madvise,      SYS_brk,
    SYS_futex,        SYS_getrandom,
    SYS_sched_yield,  SYS_rt_sigprocmask,
    SYS_rt_sigreturn, SYS_restart_syscall,
    SYS_getpid,       SYS_gettid,
    SYS_pidfd_open,   SYS_pidfd_send_signal,
    SYS_ppoll,        SYS_waitid,
    SYS_exit,         SYS_exit_group,
#if defined(__x86_64__)
    SYS_epoll_wait,   SYS_poll,
#endif
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
    // A process, in no new namespace. clone3(2) hides its flags; glibc takes this one instead.
    constexpr std::uint32_t kNoFork = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PTRACE | CLONE_PARENT |
                                      CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                      CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    program.push_back(unless_equal(SYS_clone, 4));
    program.push_back(load(offsetof(seccomp_data, args[0])));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kNoFork, 1, 0));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(answer(kRefuse));
    // Of the ioctls those of listeners ('!') and PROCMAP_QUERY ('f', 17), by type and number.
    program.push_back(unless_equal(SYS_ioctl, 7));
    program.push_back(load(offsetof(seccomp_data, args[1])));
    program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff));
    program.push_back(unless_equal('f' << 8 | 17, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8));
    program.push_back(unless_equal('!', 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
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
    TRY(os::give_up_privileges(1ULL << CAP_SYS_PTRACE | 1ULL << CAP_DAC_OVERRIDE));
    return kAddressSanitizer ? Result<void>() : filter_system_calls(); // it calls what it likes
}

} // namespace squish::sysinfo
