// The real filters in the real kernel: what is refused is refused by the filter, and what ordinary programs do goes on.
//
// Each case runs in a child with every capability over user, mount and network namespaces of its own, as an attacker
// would like to be. Each refusal is also tried without the filter, and must then end otherwise: else it would prove
// nothing.
#include "os/process.h"
#include "seccomp/filters.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace squish;

namespace {

constexpr unsigned long kHighBits = 0xdeadbeef00000000;

// What squish-init does.
bool install(const seccomp::Filter& filter) {
    void* const code =
        ::mmap(nullptr, filter.instructions * sizeof(sock_filter), PROT_READ, MAP_PRIVATE, filter.program.get(), 0);
    if (code == MAP_FAILED || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return false;
    const sock_fprog program{static_cast<unsigned short>(filter.instructions), static_cast<sock_filter*>(code)};
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter.flags, &program) == 0;
}

class SeccompFilter : public ::testing::Test {
protected:
    SeccompFilter() {
        std::string pattern = (std::filesystem::temp_directory_path() / "squish-seccomp.XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data()) ? pattern : std::string();
    }
    ~SeccompFilter() override { std::filesystem::remove_all(folder_); }

    void use_default(seccomp::IoUring io_uring = seccomp::IoUring::refused) {
        auto made = seccomp::Filters(folder_ + "/filters").standard(io_uring);
        ASSERT_TRUE(made) << made.error().text();
        filter_ = *made;
    }
    void use(const std::string& json) {
        std::ofstream(folder_ + "/profile.json") << json;
        auto made = seccomp::Filters(folder_ + "/filters").custom(folder_ + "/profile.json", {});
        ASSERT_TRUE(made) << made.error().text();
        filter_ = *made;
    }

    // The wait status of `body` in such a child.
    [[nodiscard]] static int in_child(const std::function<int()>& body) {
        auto child = os::clone_process(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET);
        if (!child) {
            ADD_FAILURE() << child.error().text();
            return -1;
        }
        if (child->pid == 0)
            ::_exit(body());
        int status = 0;
        EXPECT_EQ(::waitpid(child->pid, &status, 0), child->pid);
        return status;
    }
    // 0, or the errno of a call.
    enum class Guard { on, off };
    [[nodiscard]] int result(Guard guard, const std::function<long()>& call) const {
        const int status = in_child([&] {
            if (guard == Guard::on && !install(*filter_))
                return 255;
            errno = 0;
            return call() < 0 ? errno : 0;
        });
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    void expect_refused(const char* what, int error, const std::function<long()>& call) const {
        EXPECT_EQ(result(Guard::on, call), error) << what;
        EXPECT_NE(result(Guard::off, call), error) << what << ": shut without the filter, so this proves nothing";
    }
    void expect_allowed(const char* what, const std::function<long()>& call) const {
        EXPECT_EQ(result(Guard::on, call), 0) << what;
    }

    std::string folder_;
    seccomp::FilterPtr filter_;
};

TEST_F(SeccompFilter, RefusesNewNamespaces) {
    use_default();
    expect_refused("unshare", EPERM, [] { return ::unshare(CLONE_NEWNS); });
    expect_refused("setns", EPERM, [] { return ::setns(-1, 0); });
    for (const unsigned long high : {0UL, kHighBits})
        expect_refused("clone", EPERM, [high] {
            const long pid = ::syscall(SYS_clone, high | CLONE_NEWUTS | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
            if (pid == 0)
                ::_exit(0);
            return pid;
        });
    expect_refused("clone3", ENOSYS, [] { return ::syscall(SYS_clone3, nullptr, 0); });
}

TEST_F(SeccompFilter, RefusesMounts) {
    use_default();
    expect_refused("mount", EPERM, [] { return ::mount("none", "/tmp", "tmpfs", 0, nullptr); });
    expect_refused("remount", EPERM, [] { return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr); });
    expect_refused("umount2", EPERM, [] { return ::umount2("/nowhere/at/all", 0); });
    expect_refused("open_tree", EPERM, [] { return ::syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE); });
    expect_refused("move_mount", EPERM, [] { return ::syscall(SYS_move_mount, -1, "", -1, "", 4); });
    expect_refused("fsopen", EPERM, [] { return ::syscall(SYS_fsopen, "tmpfs", 0); });
    expect_refused("fsconfig", EPERM, [] { return ::syscall(SYS_fsconfig, -1, 6, nullptr, nullptr, 0); });
    expect_refused("fsmount", EPERM, [] { return ::syscall(SYS_fsmount, -1, 0, 0); });
    expect_refused("fspick", EPERM, [] { return ::syscall(SYS_fspick, AT_FDCWD, "/nowhere", 0); });
    expect_refused("mount_setattr", EPERM, [] { return ::syscall(SYS_mount_setattr, -1, "", 0x1000, nullptr, 0); });
    expect_refused("pivot_root", EPERM, [] { return ::syscall(SYS_pivot_root, "/nowhere", "/nowhere"); });
}

TEST_F(SeccompFilter, RefusesSocketsThatLeadIntoTheKernel) {
    use_default();
    // The kernel of the test may not have the family; then the answer is the same without the filter.
    for (const int family : {AF_ALG, AF_VSOCK, AF_XDP, AF_BLUETOOTH, AF_TIPC})
        for (const unsigned long high : {0UL, kHighBits})
            EXPECT_EQ(
                result(Guard::on,
                       [=] { return ::syscall(SYS_socket, high | static_cast<unsigned>(family), SOCK_SEQPACKET, 0); }),
                EAFNOSUPPORT)
                << family;
    for (const unsigned long high : {0UL, kHighBits})
        expect_refused("packets", EAFNOSUPPORT, [=] { return ::syscall(SYS_socket, high | AF_PACKET, SOCK_RAW, 0); });
    for (const unsigned long high : {0UL, kHighBits})
        expect_refused("netfilter", EPROTONOSUPPORT,
                       [=] { return ::syscall(SYS_socket, AF_NETLINK, SOCK_RAW, high | NETLINK_NETFILTER); });
    expect_refused("generic netlink", EPROTONOSUPPORT, [] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC); });
}

TEST_F(SeccompFilter, RefusesWaysIntoTheKernelAndTheTerminal) {
    use_default();
    expect_refused("add_key", EPERM, [] { return ::syscall(SYS_add_key, nullptr, nullptr, nullptr, 0, 0); });
    expect_refused("keyctl", EPERM, [] { return ::syscall(SYS_keyctl, 9999, 0, 0, 0, 0); });
    expect_refused("perf_event_open", EPERM, [] { return ::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0); });
    expect_refused("userfaultfd", EPERM, [] { return ::syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */); });
    expect_refused("vmsplice", EPERM, [] { return ::syscall(SYS_vmsplice, -1, nullptr, 0, 0); });
    expect_refused("io_uring_setup", EPERM, [] {
        io_uring_params parameters{};
        return ::syscall(SYS_io_uring_setup, 1, &parameters);
    });
    for (const unsigned long request : {0x5412UL, 0x541cUL, 0x5423UL})
        for (const unsigned long high : {0UL, kHighBits})
            expect_refused("ioctl", EPERM, [=] { return ::syscall(SYS_ioctl, -1, high | request, nullptr); });
    expect_refused("personality", EPERM, [] { return ::personality(ADDR_NO_RANDOMIZE); });
    // Shut by the kernel as well; the filter keeps the code behind them out of reach.
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }), EPERM);
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }), EPERM);
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(470); }), ENOSYS);
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(-1); }), ENOSYS);
}

TEST_F(SeccompFilter, LetsIoUringPassWhereItIsAskedFor) {
    use_default(seccomp::IoUring::allowed);
    const auto ring = [] {
        io_uring_params parameters{};
        return ::syscall(SYS_io_uring_setup, 1, &parameters);
    };
    EXPECT_EQ(result(Guard::on, ring), result(Guard::off, ring));
}

#if defined(__x86_64__)
TEST_F(SeccompFilter, EndsWhoeverCallsAsAnotherArchitecture) {
    use_default();
    const auto by_i386 = [] { // getpid
        long out = 0;
        __asm__ volatile("int $0x80" : "=a"(out) : "a"(20L) : "memory");
        return out;
    };
    EXPECT_EQ(result(Guard::on, by_i386), 1000 + SIGSYS);
    EXPECT_NE(result(Guard::off, by_i386), 1000 + SIGSYS);
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(0x40000000 | 39); }), 1000 + SIGSYS) << "x32";
}
#endif

TEST_F(SeccompFilter, LetsOrdinaryProgramsGoOn) {
    use_default();
    expect_allowed("threads", [] {
        int sum = 0;
        std::thread([&] { sum = 42; }).join();
        return sum == 42 ? 0 : -1;
    });
    expect_allowed("processes", [] {
        const int status =
            std::system("true | cat && test -d / && ls / >/dev/null"); // NOLINT(concurrency-mt-unsafe,cert-env33-c)
        return status == 0 ? 0 : -1;
    });
    expect_allowed("interfaces", [] {
        ifaddrs* list = nullptr;
        const int got = ::getifaddrs(&list);
        ::freeifaddrs(list);
        return got;
    });
    for (const int family : {AF_UNIX, AF_INET, AF_INET6})
        for (const int type : std::initializer_list<int>{SOCK_STREAM, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK})
            expect_allowed("sockets", [=] { return ::socket(family, type, 0); });
    expect_allowed("pairs", [] {
        int pair[2];
        return ::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
    });
    expect_allowed("personality", [] { return ::personality(0xffffffff); });
    expect_allowed("memory", [] { return ::memfd_create("x", 0); });
    expect_allowed("tracing", [] {
        const auto child = ::fork();
        if (child == 0) {
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            ::raise(SIGSTOP);
            ::_exit(7);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        if (!WIFSTOPPED(status) || ::ptrace(PTRACE_CONT, child, nullptr, nullptr) < 0)
            return -1;
        ::waitpid(child, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : -1;
    });
    expect_allowed("a filter on top", [] {
        sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        const sock_fprog program{1, code};
        return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    });
}

TEST_F(SeccompFilter, DoesWhatACustomProfileSays) {
    use(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["uname"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["lseek"], "action": "SCMP_ACT_ERRNO", "errnoRet": 75, "args": [
            {"index": 1, "value": 4294967296, "op": "SCMP_CMP_GE"}, {"index": 2, "value": 1, "op": "SCMP_CMP_NE"}]}]})");
    expect_refused("mkdir", ENOSPC, [this] { return ::mkdir((folder_ + "/made").c_str(), 0755); });
    expect_allowed("lseek", [] { return ::lseek(::memfd_create("x", 0), 4294967295, SEEK_SET) >= 0 ? 0 : -1; });
    expect_refused("lseek", EOVERFLOW, [] { return ::lseek(::memfd_create("x", 0), 4294967296, SEEK_SET); });
    expect_allowed("lseek", [] { return ::lseek(::memfd_create("x", 0), 4294967296, SEEK_CUR) >= 0 ? 0 : -1; });
    EXPECT_EQ(result(Guard::on, [] { return ::syscall(SYS_uname, nullptr); }), 1000 + SIGSYS);
}

} // namespace
