#include "os/process.h"

#include "base/text.h"
#include "os/file.h"
#include "os/socket.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/sched.h>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace squish::os {

Result<Child> clone_process(std::uint64_t flags, int cgroup) {
    int pidfd = -1;
    struct clone_args args{};
    args.flags = flags | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    // With CLONE_PARENT the signal is the parent's own; clone3 wants 0 there.
    args.exit_signal = (flags & CLONE_PARENT) ? 0 : SIGCHLD;
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(cgroup);
    }
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        return fail_errno("clone3");
    return Child{static_cast<pid_t>(pid), Pidfd(pid == 0 ? -1 : pidfd)};
}

Result<Pidfd> open_pidfd(pid_t pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return fail_errno("pidfd_open " + std::to_string(pid));
    return Pidfd(static_cast<int>(fd));
}

Result<void> send_signal(int pidfd, int signal_number) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0) < 0)
        return fail_errno("pidfd_send_signal");
    return {};
}

Result<WaitResult> reap(int pidfd) {
    siginfo_t info{};
    for (;;) {
        if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) == 0)
            break;
        if (errno != EINTR)
            return fail_errno("waitid");
    }
    if (info.si_pid == 0)
        return WaitResult{};
    const int status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
                                                  : (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
    return WaitResult{true, status};
}

int exit_code(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

bool wait_ended(int pidfd, int timeout_ms) {
    pollfd waiting{pidfd, POLLIN, 0};
    int got = 0;
    while ((got = ::poll(&waiting, 1, timeout_ms)) < 0 && errno == EINTR) {
    }
    return got > 0;
}

bool has_ended(int pidfd) {
    return wait_ended(pidfd, 0);
}

Result<pid_t> pid_of(int pidfd) {
    const auto text = TRY(read_file("/proc/self/fdinfo/" + std::to_string(pidfd)));
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with("Pid:"))
            continue;
        if (const auto pid = parse_number(trim(line.substr(4))); pid && *pid > 0)
            return static_cast<pid_t>(*pid);
        return fail_errno("pidfd", ESRCH);
    }
    return fail_errno("pidfd without 'Pid:' in its fdinfo", EINVAL);
}

Result<void> raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fail_errno("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fail_errno("setrlimit");
    return {};
}

Result<std::string> identity_map(const char* own_map) {
    const auto text = TRY(read_file(own_map));
    std::string map;
    for (const auto line : split(text, '\n')) {
        std::vector<std::string> fields;
        for (const auto word : split(line, ' '))
            if (!word.empty())
                fields.emplace_back(word);
        if (fields.size() == 3)
            map += fields[0] + " " + fields[0] + " " + fields[2] + "\n";
    }
    return map;
}

Result<NsFd> open_namespace(pid_t pid, const char* name) {
    return NsFd(TRY(open_file("/proc/" + std::to_string(pid) + "/ns/" + name, O_RDONLY)));
}

Result<void> enter_namespace(int ns, int kind) {
    if (::setns(ns, kind) < 0)
        return fail_errno("setns");
    return {};
}

namespace {

struct PreparedExec {
    std::vector<char*> argv, envp;
    explicit PreparedExec(const Spawn& spawn) {
        for (const auto& arg : spawn.args)
            argv.push_back(const_cast<char*>(arg.c_str()));
        argv.push_back(nullptr);
        for (const auto& variable : spawn.environment)
            envp.push_back(const_cast<char*>(variable.c_str()));
        envp.push_back(nullptr);
    }
};

// Runs in the child. Only async-signal-safe calls. Never returns; on failure writes errno to `report`.
[[noreturn]] void exec_in_child(const Spawn& spawn, const PreparedExec& prepared, int report) {
    const auto give_up = [&] {
        const int error = errno;
        [[maybe_unused]] const auto put = ::write(report, &error, sizeof error);
        ::_exit(127);
    };
    // First out of the way of the numbers to be filled, then onto them.
    constexpr int kParking = 300;
    const int count = static_cast<int>(spawn.keep.size());
    int parked_report = ::fcntl(report, F_DUPFD_CLOEXEC, kParking);
    if (parked_report < 0)
        give_up();
    report = parked_report;
    int stdio[3] = {spawn.stdin_fd, spawn.stdout_fd, spawn.stderr_fd};
    for (int& fd : stdio) {
        const int source = fd >= 0 ? fd : ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (source < 0 || (fd = ::fcntl(source, F_DUPFD_CLOEXEC, kParking)) < 0)
            give_up();
    }
    int parked[256];
    for (int i = 0; i < count && i < 256; ++i)
        if ((parked[i] = ::fcntl(spawn.keep[static_cast<std::size_t>(i)], F_DUPFD_CLOEXEC, kParking)) < 0)
            give_up();
    for (int i = 0; i < 3; ++i)
        if (::dup2(stdio[i], i) < 0)
            give_up();
    for (int i = 0; i < count && i < 256; ++i)
        if (::dup2(parked[i], 3 + i) < 0)
            give_up();
    // Everything else is close-on-exec already; this is the second lock on the same door.
    ::syscall(SYS_close_range, 3 + count, ~0U, 4 /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */);
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    if (::chdir(spawn.folder.c_str()) < 0)
        give_up();
    ::execve(spawn.program.c_str(), prepared.argv.data(), prepared.envp.data());
    give_up();
    __builtin_unreachable();
}

Result<void> await_exec(int report, const Spawn& spawn) {
    int error = 0;
    ssize_t got = 0;
    while ((got = ::read(report, &error, sizeof error)) < 0 && errno == EINTR) {
    }
    if (got == static_cast<ssize_t>(sizeof error))
        return fail_errno("start '" + printable(spawn.program) + "'", error);
    return {};
}

} // namespace

Result<Child> spawn_child(const Spawn& spawn) {
    const PreparedExec prepared(spawn);
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    UniqueFd reader(pipe_fds[0]), writer(pipe_fds[1]);
    auto child = TRY(clone_process(0));
    if (child.pid == 0)
        exec_in_child(spawn, prepared, writer.get());
    writer.reset();
    if (auto started = await_exec(reader.get(), spawn); !started) {
        ::waitpid(child.pid, nullptr, 0);
        return std::unexpected(std::move(started).error());
    }
    return child;
}

Result<Child> spawn_detached(const Spawn& spawn) {
    const PreparedExec prepared(spawn);
    auto [ours, theirs] = TRY(socket_pair()); // carries the grandchild's pidfd, and errno of a failed exec
    auto middle = TRY(clone_process(0));
    if (middle.pid == 0) {
        // The socket goes to the grandchild only; when it execs, our reading end sees the end of it.
        auto grandchild = clone_process(0);
        if (!grandchild)
            ::_exit(126);
        if (grandchild->pid == 0)
            exec_in_child(spawn, prepared, theirs.get());
        const std::int64_t pid = grandchild->pid;
        const int fd = grandchild->pidfd.get();
        const auto sent =
            send_message(theirs.get(), std::string_view(reinterpret_cast<const char*>(&pid), sizeof pid), {&fd, 1});
        ::_exit(sent ? 0 : 126);
    }
    theirs.reset();
    Child child;
    std::optional<int> exec_error;
    for (;;) {
        auto message = TRY(receive_message(ours.get(), 64));
        if (message.peer_closed)
            break;
        if (message.bytes.size() == sizeof(std::int64_t) && message.fds.size() == 1) {
            std::int64_t pid = 0;
            std::memcpy(&pid, message.bytes.data(), sizeof pid);
            child.pid = static_cast<pid_t>(pid);
            child.pidfd = Pidfd(std::move(message.fds[0]));
        } else if (message.bytes.size() == sizeof(int)) {
            int error = 0;
            std::memcpy(&error, message.bytes.data(), sizeof error);
            exec_error = error;
        }
    }
    ::waitpid(middle.pid, nullptr, 0);
    if (exec_error)
        return fail_errno("start '" + printable(spawn.program) + "'", *exec_error);
    if (child.pid == 0)
        return fail_errno("start '" + printable(spawn.program) + "'", EAGAIN);
    return child;
}

} // namespace squish::os
