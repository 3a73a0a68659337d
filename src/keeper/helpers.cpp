// Starting the stager and the forwarder, which live in our namespaces but see the host's files.

#include "keeper/server.h"

#include "os/file.h"
#include "os/process.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

// fds: 0 = the program, 1 = its listening socket, 2 = its log. Only async-signal-safe calls.
[[noreturn]] void become_helper(const std::string& name, int host_mounts, int program, int listener, int log,
                                int report) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto give_up = [&] {
        const int error = errno;
        [[maybe_unused]] const auto put = ::write(report, &error, sizeof error);
        ::_exit(127);
    };
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (::setns(host_mounts, CLONE_NEWNS) < 0)
        give_up();
    constexpr int kParking = 1000;
    program = ::fcntl(program, F_DUPFD_CLOEXEC, kParking);
    listener = ::fcntl(listener, F_DUPFD_CLOEXEC, kParking);
    log = ::fcntl(log, F_DUPFD_CLOEXEC, kParking);
    report = ::fcntl(report, F_DUPFD_CLOEXEC, kParking);
    if (null < 0 || program < 0 || listener < 0 || log < 0 || report < 0)
        give_up();
    if (::dup2(null, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0 || ::dup2(listener, 3) < 0)
        give_up();
    ::syscall(SYS_close_range, 4, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char* argv[] = {const_cast<char*>(name.c_str()), nullptr};
    char* envp[] = {path, nullptr};
    ::syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    give_up();
    __builtin_unreachable();
}

} // namespace

Result<pid_t> Server::spawn(const std::string& name, std::vector<UniqueFd> fds) {
    if (fds.size() != 3)
        return fail_errno("spawn '" + name + "'", EINVAL);
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    UniqueFd reader(pipe_fds[0]), writer(pipe_fds[1]);
    auto child = TRY(os::clone_process(0));
    if (child.pid == 0)
        become_helper(name, home_.host_mounts.get(), fds[0].get(), fds[1].get(), fds[2].get(), writer.get());
    writer.reset();
    int error = 0;
    ssize_t got = 0;
    while ((got = ::read(reader.get(), &error, sizeof error)) < 0 && errno == EINTR) {
    }
    if (got == static_cast<ssize_t>(sizeof error)) {
        (void) os::wait_ended(child.pidfd.get(), 1000);
        (void) os::reap(child.pidfd.get());
        return fail_errno("start '" + name + "'", error);
    }
    const int fd = child.pidfd.get();
    TRY(add(fd, [this, fd](std::uint32_t) { on_helper_ended(fd); }));
    helpers_[fd] = Helper{name, child.pid, std::move(child.pidfd)};
    return child.pid;
}

void Server::on_helper_ended(int fd) {
    const auto found = helpers_.find(fd);
    if (found == helpers_.end())
        return;
    const auto result = os::reap(fd);
    if (result && !result->changed)
        return;
    remove(fd);
    const auto message = wire::keeper_message(wire::KeeperKind::helper_exited, 0)
                             .text(found->second.name)
                             .i32(result ? result->status : 0);
    helpers_.erase(found);
    tell_all(message);
}

} // namespace squish::keeper
