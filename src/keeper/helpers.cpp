#include "keeper/helpers.h"

#include "base/unique_fd.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace squish::keeper {

namespace {

constexpr int kParking = 1000; // above all that a helper is given

// Should: end with the keeper. Must not: allocate, but for a copy made before.
[[noreturn]] void become_helper(const HelperStart& start, std::vector<int>& fds, pid_t keeper, int report) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper)
        ::_exit(127);
    const auto give_up = [&] {
        const int error = errno;
        [[maybe_unused]] const auto put = ::write(report, &error, sizeof error);
        ::_exit(127);
    };
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || ::setns(start.host_mounts, CLONE_NEWNS) < 0)
        give_up();
    const auto park = [&](int fd) {
        const int parked = ::fcntl(fd, F_DUPFD_CLOEXEC, kParking);
        if (parked < 0)
            give_up();
        return parked;
    };
    report = park(report);
    const int program = park(start.program), log = park(start.log);
    for (int& fd : fds)
        fd = park(fd);
    if (::dup2(null, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0)
        give_up();
    int next = 3;
    for (const int fd : fds)
        if (::dup2(fd, next++) < 0)
            give_up();
    ::syscall(SYS_close_range, next, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char* argv[] = {const_cast<char*>(start.name.c_str()), nullptr};
    char* envp[] = {path, nullptr};
    ::syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    give_up();
    __builtin_unreachable();
}

} // namespace

Result<os::Child> start_helper(const HelperStart& start) {
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    UniqueFd reader(pipe_fds[0]), writer(pipe_fds[1]);
    std::vector<int> fds(start.fds.begin(), start.fds.end());
    const auto keeper = ::getpid();
    auto child = TRY(os::clone_process(0));
    if (child.pid == 0)
        become_helper(start, fds, keeper, writer.get());
    writer.reset();
    int error = 0;
    ssize_t got = 0;
    while ((got = ::read(reader.get(), &error, sizeof error)) < 0 && errno == EINTR) {
    }
    if (got == static_cast<ssize_t>(sizeof error)) {
        (void) os::wait_ended(child.pidfd.get(), 1000);
        (void) os::reap(child.pidfd.get());
        return fail_errno("start '" + start.name + "'", error);
    }
    return child;
}

} // namespace squish::keeper
