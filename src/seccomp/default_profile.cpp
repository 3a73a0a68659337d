#include "seccomp/default_profile.h"

#include "seccomp/names.h"

#include <array>
#include <cerrno>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>

namespace squish::seccomp {

namespace {

using Names = std::string_view;

constexpr auto kFiles = std::to_array<Names>({"access",
                                              "chdir",
                                              "chmod",
                                              "chown",
                                              "close",
                                              "close_range",
                                              "copy_file_range",
                                              "creat",
                                              "dup",
                                              "dup2",
                                              "dup3",
                                              "faccessat",
                                              "faccessat2",
                                              "fadvise64",
                                              "fallocate",
                                              "fchdir",
                                              "fchmod",
                                              "fchmodat",
                                              "fchmodat2",
                                              "fchown",
                                              "fchownat",
                                              "fcntl",
                                              "fdatasync",
                                              "fgetxattr",
                                              "flistxattr",
                                              "flock",
                                              "fremovexattr",
                                              "fsetxattr",
                                              "fstat",
                                              "fstatfs",
                                              "fsync",
                                              "ftruncate",
                                              "futimesat",
                                              "getcwd",
                                              "getdents",
                                              "getdents64",
                                              "getxattr",
                                              "getxattrat",
                                              "lchown",
                                              "lgetxattr",
                                              "link",
                                              "linkat",
                                              "listxattr",
                                              "listxattrat",
                                              "llistxattr",
                                              "lremovexattr",
                                              "lseek",
                                              "lsetxattr",
                                              "lstat",
                                              "mkdir",
                                              "mkdirat",
                                              "mknod",
                                              "mknodat",
                                              "name_to_handle_at",
                                              "newfstatat",
                                              "open",
                                              "openat",
                                              "openat2",
                                              "pread64",
                                              "preadv",
                                              "preadv2",
                                              "pwrite64",
                                              "pwritev",
                                              "pwritev2",
                                              "read",
                                              "readahead",
                                              "readlink",
                                              "readlinkat",
                                              "readv",
                                              "removexattr",
                                              "removexattrat",
                                              "rename",
                                              "renameat",
                                              "renameat2",
                                              "rmdir",
                                              "sendfile",
                                              "setxattr",
                                              "setxattrat",
                                              "splice",
                                              "stat",
                                              "statfs",
                                              "statx",
                                              "symlink",
                                              "symlinkat",
                                              "sync",
                                              "sync_file_range",
                                              "syncfs",
                                              "tee",
                                              "truncate",
                                              "umask",
                                              "unlink",
                                              "unlinkat",
                                              "utime",
                                              "utimensat",
                                              "utimes",
                                              "write",
                                              "writev",
                                              "chroot"});

constexpr auto kWaiting = std::to_array<Names>({"epoll_create",
                                                "epoll_create1",
                                                "epoll_ctl",
                                                "epoll_pwait",
                                                "epoll_pwait2",
                                                "epoll_wait",
                                                "eventfd",
                                                "eventfd2",
                                                "inotify_add_watch",
                                                "inotify_init",
                                                "inotify_init1",
                                                "inotify_rm_watch",
                                                "io_cancel",
                                                "io_destroy",
                                                "io_getevents",
                                                "io_pgetevents",
                                                "io_setup",
                                                "io_submit",
                                                "pipe",
                                                "pipe2",
                                                "poll",
                                                "ppoll",
                                                "pselect6",
                                                "select",
                                                "signalfd",
                                                "signalfd4",
                                                "timerfd_create",
                                                "timerfd_gettime",
                                                "timerfd_settime"});

constexpr auto kMemory = std::to_array<Names>({"brk",
                                               "get_mempolicy",
                                               "madvise",
                                               "map_shadow_stack",
                                               "mbind",
                                               "membarrier",
                                               "memfd_create",
                                               "memfd_secret",
                                               "mincore",
                                               "mlock",
                                               "mlock2",
                                               "mlockall",
                                               "mmap",
                                               "mprotect",
                                               "mremap",
                                               "mseal",
                                               "msync",
                                               "munlock",
                                               "munlockall",
                                               "munmap",
                                               "pkey_alloc",
                                               "pkey_free",
                                               "pkey_mprotect",
                                               "process_madvise",
                                               "process_mrelease",
                                               "remap_file_pages",
                                               "set_mempolicy",
                                               "set_mempolicy_home_node"});

constexpr auto kProcesses = std::to_array<Names>({"alarm",
                                                  "arch_prctl",
                                                  "capget",
                                                  "capset",
                                                  "execve",
                                                  "execveat",
                                                  "exit",
                                                  "exit_group",
                                                  "fork",
                                                  "futex",
                                                  "futex_requeue",
                                                  "futex_wait",
                                                  "futex_waitv",
                                                  "futex_wake",
                                                  "get_robust_list",
                                                  "getcpu",
                                                  "getegid",
                                                  "geteuid",
                                                  "getgid",
                                                  "getgroups",
                                                  "getitimer",
                                                  "getpgid",
                                                  "getpgrp",
                                                  "getpid",
                                                  "getppid",
                                                  "getpriority",
                                                  "getrandom",
                                                  "getresgid",
                                                  "getresuid",
                                                  "getrlimit",
                                                  "getrusage",
                                                  "getsid",
                                                  "gettid",
                                                  "getuid",
                                                  "ioprio_get",
                                                  "ioprio_set",
                                                  "kill",
                                                  "landlock_add_rule",
                                                  "landlock_create_ruleset",
                                                  "landlock_restrict_self",
                                                  "pause",
                                                  "pidfd_open",
                                                  "pidfd_send_signal",
                                                  "prctl",
                                                  "prlimit64",
                                                  "restart_syscall",
                                                  "rseq",
                                                  "rt_sigaction",
                                                  "rt_sigpending",
                                                  "rt_sigprocmask",
                                                  "rt_sigqueueinfo",
                                                  "rt_sigreturn",
                                                  "rt_sigsuspend",
                                                  "rt_sigtimedwait",
                                                  "rt_tgsigqueueinfo",
                                                  "sched_get_priority_max",
                                                  "sched_get_priority_min",
                                                  "sched_getaffinity",
                                                  "sched_getattr",
                                                  "sched_getparam",
                                                  "sched_getscheduler",
                                                  "sched_rr_get_interval",
                                                  "sched_setaffinity",
                                                  "sched_setattr",
                                                  "sched_setparam",
                                                  "sched_setscheduler",
                                                  "sched_yield",
                                                  "seccomp",
                                                  "set_robust_list",
                                                  "set_tid_address",
                                                  "setfsgid",
                                                  "setfsuid",
                                                  "setgid",
                                                  "setgroups",
                                                  "setitimer",
                                                  "setpgid",
                                                  "setpriority",
                                                  "setregid",
                                                  "setresgid",
                                                  "setresuid",
                                                  "setreuid",
                                                  "setrlimit",
                                                  "setsid",
                                                  "setuid",
                                                  "sigaltstack",
                                                  "sysinfo",
                                                  "tgkill",
                                                  "times",
                                                  "tkill",
                                                  "uname",
                                                  "uprobe",
                                                  "uretprobe",
                                                  "vfork",
                                                  "wait4",
                                                  "waitid"});

constexpr auto kTime = std::to_array<Names>({"adjtimex", "clock_adjtime", "clock_getres", "clock_gettime",
                                             "clock_nanosleep", "gettimeofday", "nanosleep", "time", "timer_create",
                                             "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime"});

constexpr auto kSockets = std::to_array<Names>({"accept", "accept4", "bind", "connect", "getpeername", "getsockname",
                                                "getsockopt", "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg",
                                                "sendmsg", "sendto", "setsockopt", "shutdown"});

constexpr auto kSystemV = std::to_array<Names>(
    {"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget",
     "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat", "shmctl", "shmdt", "shmget"});

constexpr auto kDebugging = std::to_array<Names>({"pidfd_getfd", "process_vm_readv", "process_vm_writev", "ptrace"});

constexpr auto kNamespaces = std::to_array<Names>({"setns", "unshare"});

constexpr auto kMounts = std::to_array<Names>({"fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
                                               "move_mount", "open_tree", "open_tree_attr", "pivot_root", "umount2"});

constexpr auto kKeys = std::to_array<Names>({"add_key", "keyctl", "request_key"});

constexpr auto kKernelCode = std::to_array<Names>(
    {"bpf", "fanotify_init", "fanotify_mark", "kcmp", "lookup_dcookie", "perf_event_open", "userfaultfd", "vmsplice"});

constexpr auto kIoUring = std::to_array<Names>({"io_uring_enter", "io_uring_register", "io_uring_setup"});

constexpr auto kHandles = std::to_array<Names>({"open_by_handle_at"});

constexpr auto kMachine = std::to_array<Names>(
    {"acct",        "clock_settime",   "delete_module", "finit_module",  "init_module",  "ioperm",
     "iopl",        "kexec_file_load", "kexec_load",    "migrate_pages", "move_pages",   "quotactl",
     "quotactl_fd", "reboot",          "setdomainname", "sethostname",   "settimeofday", "swapoff",
     "swapon",      "syslog",          "vhangup"});

constexpr auto kGroups = std::to_array<Group>({
    {"files",
     "Files, folders, links, extended attributes. What may be opened is decided by the mounts and by file permissions; "
     "nodes of devices cannot be made in a user namespace.",
     kAllow, kFiles},
    {"waiting",
     "Polling, pipes, timers and events as descriptors, and the kernel's older asynchronous I/O, which databases use.",
     kAllow, kWaiting},
    {"memory", "A process's own address space and where its pages lie.", kAllow, kMemory},
    {"processes",
     "Starting, signalling and scheduling processes of the container, ids and limits (the kernel asks for capabilities "
     "that the payload lacks), further filters and Landlock rules on top of ours.",
     kAllow, kProcesses},
    {"time",
     "Reading clocks and sleeping. Adjusting a clock needs a capability over the host, so that only reading is left.",
     kAllow, kTime},
    {"sockets", "What is done with a socket that exists; which ones can be made is said below.", kAllow, kSockets},
    {"System V", "Messages, semaphores and shared memory, and POSIX queues, of the container's own IPC namespace.",
     kAllow, kSystemV},
    {"debugging",
     "Debuggers, within the container: the kernel allows it among processes of one user without further capabilities, "
     "and "
     "others are not visible. A tracer cannot get around a filter since Linux 4.8.",
     kAllow, kDebugging},
    {"namespaces",
     "A user namespace of its own would give the payload every capability within it, and with it most of the code that "
     "escapes were found in.",
     refuse_with(EPERM), kNamespaces},
    {"mounts",
     "Old and new ways to mount, unmount, move and change mounts: what squish mounted read-only, or over something, "
     "stays "
     "so.",
     refuse_with(EPERM), kMounts},
    {"keys", "The kernel's keyrings are not separated by containers and have a history of bugs.", refuse_with(EPERM),
     kKeys},
    {"kernel code",
     "Programs and probes in the kernel, page faults handled by the payload (which make races in the kernel easy to "
     "win), "
     "gifts of pages, comparisons of kernel objects, watching whole filesystems.",
     refuse_with(EPERM), kKernelCode},
    {"io_uring",
     "Makes other calls without being asked by this filter, and has had more than its share of bugs. Software that "
     "uses it "
     "goes on without. `io_uring = true` allows it.",
     refuse_with(EPERM), kIoUring},
    {"file handles", "Opens files by number, past every folder and mount (the escape \"shocker\").", refuse_with(EPERM),
     kHandles},
    {"the machine",
     "Kernels, modules, ports of hardware, swap, quotas, clocks, names, accounting, the kernel's log, pages of others. "
     "All "
     "need capabilities that no container has; refusing them here keeps the code behind them out of reach.",
     refuse_with(EPERM), kMachine},
});

Condition is(std::uint32_t argument, std::uint32_t value) {
    return {argument, Compare::equal, value, ~std::uint64_t{0}, Width::low32};
}
Condition masked(std::uint32_t argument, std::uint32_t mask, std::uint32_t value) {
    return {argument, Compare::masked_equal, value, mask, Width::low32};
}

// New namespaces are refused by mask. clone3(2) keeps its flags in memory, where a filter cannot look: it is ENOSYS,
// and libraries then use clone(2). CLONE_NEWTIME cannot be asked for here: its bit belongs to the exit signal.
Call clone_call() {
    constexpr std::uint32_t kNew =
        CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    return {{{{masked(0, kNew, 0)}, kAllow}}, refuse_with(EPERM)};
}

// unix, inet and inet6 with the protocols of ordinary programs, netlink for what getifaddrs(3) asks. No ALG (it could
// write the page cache of read-only files, which containers share), no PACKET, VSOCK, no nf_tables by netlink. The
// answers are those of a kernel without the family or protocol: libraries know them (libaudit, for one).
Call socket_call() {
    constexpr std::uint32_t kInetMask = ~std::uint32_t{AF_INET ^ AF_INET6};
    constexpr std::uint32_t kInet = AF_INET & kInetMask;
    static_assert((AF_INET6 & kInetMask) == kInet && (AF_INET ^ AF_INET6) == 8, "one mask for both");
    constexpr std::uint32_t kTypeMask = 0xf;       // without SOCK_CLOEXEC and SOCK_NONBLOCK
    constexpr std::uint32_t kStreamOrDatagram = 0; // types 1 and 2, of those below 4; 3 is SOCK_RAW
    const auto inet = masked(0, kInetMask, kInet);
    Call call{{}, refuse_with(EAFNOSUPPORT)};
    call.rules.push_back({{is(0, AF_UNIX)}, kAllow});
    constexpr std::uint32_t kProtocols[] = {IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};
    for (const auto protocol : kProtocols) // no SCTP, DCCP, L2TP, MPTCP, SMC
        call.rules.push_back({{inet, is(2, protocol), masked(1, kTypeMask & ~3U, kStreamOrDatagram)}, kAllow});
    call.rules.push_back({{inet, masked(1, kTypeMask, SOCK_RAW)}, kAllow}); // CAP_NET_RAW decides
    call.rules.push_back({{inet}, refuse_with(EPROTONOSUPPORT)});
    call.rules.push_back({{is(0, AF_NETLINK), is(2, 0 /* NETLINK_ROUTE */)}, kAllow});
    call.rules.push_back({{is(0, AF_NETLINK)}, refuse_with(EPROTONOSUPPORT)});
    return call;
}

Call socketpair_call() {
    return {{{{is(0, AF_UNIX)}, kAllow}}, refuse_with(EAFNOSUPPORT)};
}

// TIOCSTI and TIOCLINUX type into the terminal that the caller goes on using (CVE-2016-7545 and others); TIOCSETD leads
// to line disciplines, most of which no terminal needs.
Call ioctl_call() {
    constexpr std::uint32_t kTiocLinux = 0x541C; // TIOCLINUX, ioctl_console(2)
    Call call{{}, kAllow};
    for (const std::uint32_t request : {std::uint32_t{TIOCSTI}, kTiocLinux, std::uint32_t{TIOCSETD}})
        call.rules.push_back({{is(1, request)}, refuse_with(EPERM)});
    return call;
}

// What lets a socket be bound to an address that is nobody's, IPv4's name for it included, which IPv6 sockets take as
// well. By IPv6 it needs no privilege, and what is sent then has that address: a neighbour's, say. By IPv4 the kernel
// refuses to send.
Call setsockopt_call() {
    constexpr std::uint32_t kIpFreebind = 15, kIpv6Freebind = 78; // linux/in.h, linux/in6.h
    Call call{{}, kAllow};
    call.rules.push_back({{is(1, IPPROTO_IP), is(2, kIpFreebind)}, refuse_with(EPERM)});
    call.rules.push_back({{is(1, IPPROTO_IPV6), is(2, kIpv6Freebind)}, refuse_with(EPERM)});
    return call;
}

// The ordinary personalities and the question for the current one; none that turns off protections of memory.
Call personality_call() {
    constexpr std::uint32_t kUname26 = UNAME26;
    Call call{{}, refuse_with(EPERM)};
    for (const std::uint32_t persona : {std::uint32_t{PER_LINUX}, std::uint32_t{PER_LINUX32}, kUname26,
                                        std::uint32_t{PER_LINUX32} | kUname26, ~std::uint32_t{0}})
        call.rules.push_back({{is(0, persona)}, kAllow});
    return call;
}

void set(Profile& profile, std::string_view name, Call call) {
    if (const auto found = find_call(name); found.where == NamedCall::Where::here)
        profile.calls[found.number] = std::move(call);
}

} // namespace

std::span<const Group> default_groups() {
    return kGroups;
}

Profile default_profile(IoUring io_uring) {
    Profile profile{.standard = refuse_with(ENOSYS), .foreign = kKillProcess, .calls = {}, .flags = 0};
    for (const auto& group : kGroups) {
        const bool opened = group.names.data() == kIoUring.data() && io_uring == IoUring::allowed;
        for (const auto name : group.names)
            set(profile, name, {{}, opened ? kAllow : group.action});
    }
    set(profile, "clone", clone_call());
    set(profile, "socket", socket_call());
    set(profile, "socketpair", socketpair_call());
    set(profile, "ioctl", ioctl_call());
    set(profile, "setsockopt", setsockopt_call());
    set(profile, "personality", personality_call());
    return profile;
}

} // namespace squish::seccomp
