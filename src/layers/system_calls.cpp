#include "layers/system_calls.h"

#include <cstddef>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace squish::layers {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH_* is this?"
#endif

// Files by descriptor, memory, threads, time, and the socket that is open. No execve, no ptrace, no new socket, no
// mount, no namespace, no ioctl, no signal to others.
constexpr long kAllowed[] = {
    // most frequent first; the kernel remembers which numbers are allowed (5.11), so that it hardly matters
    SYS_read,
    SYS_write,
    SYS_pread64,
    SYS_pwrite64,
    SYS_close,
    SYS_openat,
    SYS_openat2,
    SYS_fstat,
    SYS_newfstatat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_mkdirat,
    SYS_symlinkat,
    SYS_linkat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_lseek,
    SYS_ftruncate,
    SYS_readv,
    SYS_writev,
    SYS_fsetxattr,
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_fremovexattr,
    SYS_syncfs,
    SYS_fsync,
    SYS_fdatasync,
    SYS_fcntl,
    SYS_fadvise64,
    SYS_statx,
    SYS_dup,
    SYS_pipe2,
    SYS_eventfd2,
    SYS_ppoll,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendto,
    SYS_recvfrom,
    SYS_futex,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getppid,
    SYS_exit,
    SYS_exit_group,
    SYS_prlimit64,
    SYS_sysinfo,
    SYS_uname,
    SYS_umask,
    SYS_tgkill,
#if defined(__x86_64__)
    SYS_poll,
    SYS_time,
#endif
};

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | 38U; // ENOSYS: glibc then takes the older call

sock_filter load(std::size_t offset) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter answer(std::uint32_t value) {
    return BPF_STMT(BPF_RET | BPF_K, value);
}
sock_filter unless_equal(std::uint32_t value, std::uint8_t skip) {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip);
}

} // namespace

Result<void> filter_system_calls() {
    std::vector<sock_filter> program = {
        load(offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
        answer(SECCOMP_RET_KILL_PROCESS),
        load(offsetof(seccomp_data, nr)),
    };
    for (const long number : kAllowed) {
        program.push_back(unless_equal(static_cast<std::uint32_t>(number), 1));
        program.push_back(answer(SECCOMP_RET_ALLOW));
    }
    // A thread, not a process and no namespace. clone3(2) hides its flags; glibc takes this one instead.
    program.push_back(unless_equal(SYS_clone, 3));
    program.push_back(load(offsetof(seccomp_data, args[0])));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(answer(kRefuse));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
        return fail_errno("install the filter of system calls");
    return {};
}

} // namespace squish::layers
