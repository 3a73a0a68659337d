#include "keeper/cell.h"

#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

constexpr int kInitControl = 3; // init/state.h: kControl

// The child's only code between clone and exec. `control` becomes fd 3; everything else is close-on-exec.
// Should: die with the keeper. Must not: allocate, or return.
enum class Origin { cloned, cloned_in_cgroup, joined };
[[noreturn]] void become_init(const Cloner& cloner, int control, int keepers_end, Origin origin) {
    const int init = cloner.init;
    ::close(keepers_end); // else the end of the keeper would not be the end of the socket
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char go = 0;
    if (origin != Origin::joined && ::recv(control, &go, 1, 0) != 1)
        ::_exit(125); // the keeper died, or could not write the maps
    // The root of our namespace, which in a slice of ids is another than the user: for one that is not root there,
    // execve would take all capabilities (capabilities(7)). A change of ids takes the signal at the parent's death
    // (prctl(2)).
    if (::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0 || ::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        ::_exit(125);
    // clone3 takes the root of a new cgroup namespace from the parent's cgroup, not from the one that it clones into
    // (kernel/cgroup/namespace.c).
    if (origin == Origin::cloned_in_cgroup && ::unshare(CLONE_NEWCGROUP) < 0)
        ::_exit(125);
    // The memfd may itself be number 3: move it away first.
    const int program = init == kInitControl ? ::fcntl(init, F_DUPFD_CLOEXEC, 10) : init;
    if (control == kInitControl)
        ::fcntl(control, F_SETFD, 0);
    else if (::dup2(control, kInitControl) < 0)
        ::_exit(125);
    char name[] = "squish-init";
    char* argv[] = {name, nullptr};
    char* envp[] = {nullptr};
    ::syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    ::_exit(125);
}

// Of the calling process, and what it forks. In the keeper's own /proc: before another one is entered. A score can
// always be raised (proc_pid_oom_score_adj(5)); no allocation.
bool raise_oom_score(const Cloner& cloner) {
    const auto& score = cloner.oom_score_adj;
    const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const bool written = ::write(file, score.data(), score.size()) == static_cast<ssize_t>(score.size());
    ::close(file);
    return written;
}

bool is_ours(int time_namespace) {
    struct stat theirs{}, ours{};
    return ::fstat(time_namespace, &theirs) == 0 && ::stat("/proc/self/ns/time_for_children", &ours) == 0 &&
           theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

Result<void> write_map(pid_t pid, const char* file, const std::string& map) {
    return os::write_existing("/proc/" + std::to_string(pid) + "/" + file, map);
}

} // namespace

Result<Cell> clone_cell(const Cloner& cloner, const Birthplace& place) {
    auto [ours, theirs] = TRY(os::socket_pair());
    const auto origin = place.cgroup >= 0 ? Origin::cloned_in_cgroup : Origin::cloned;
    std::uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
    if (origin == Origin::cloned)
        flags |= CLONE_NEWCGROUP;
    if (place.as_sibling)
        flags |= CLONE_PARENT;
    // The network namespace belongs to our user namespace, not to the container's: it is entered before the clone,
    // because afterwards the child would have no right to.
    if (place.network >= 0)
        TRY(os::enter_namespace(place.network, CLONE_NEWNET));
    auto child = os::clone_process(flags, place.cgroup);
    if (child && child->pid == 0) {
        if (!raise_oom_score(cloner))
            ::_exit(125);
        become_init(cloner, theirs.get(), ours.get(), origin);
    }
    if (place.network >= 0)
        if (auto back = os::enter_namespace(cloner.own_network, CLONE_NEWNET); !back)
            ::abort(); // we hold this namespace and every capability over it; going on elsewhere would be worse
    if (!child)
        return std::unexpected(std::move(child).error());
    Cell cell{child->pid, std::move(child->pidfd), std::move(ours)};
    const auto prepared = [&]() -> Result<void> {
        TRY(write_map(cell.pid, "uid_map", cloner.uid_map));
        TRY(write_map(cell.pid, "gid_map", cloner.gid_map));
        return os::send_message(cell.control.get(), "m");
    }();
    if (!prepared) {
        (void) os::send_signal(cell.pidfd.get(), SIGKILL);
        if (!place.as_sibling)
            ::waitpid(cell.pid, nullptr, 0);
        return std::unexpected(prepared.error());
    }
    return cell;
}

Result<Cell> clone_into(const Cloner& cloner, int pidfd, pid_t pid, int cgroup) {
    auto [ours, theirs] = TRY(os::socket_pair());
    auto [answer, question] = TRY(os::socket_pair());
    // The payload's time namespace is that of init's children (time_namespaces(7)); a kernel without them has no file,
    // and a container without one of its own has ours, which cannot be entered from within (EPERM) and need not be.
    auto time = os::open_namespace(pid, "time_for_children");
    if (time && is_ours(time->get()))
        time = fail_errno("own time namespace", ENOENT);
    auto middle = TRY(os::clone_process(0, cgroup));
    if (middle.pid == 0) {
        const auto give_up = [&] {
            const std::int32_t error = errno;
            (void) os::send_message(question.get(),
                                    std::string_view(reinterpret_cast<const char*>(&error), sizeof error));
            ::_exit(1);
        };
        if (!raise_oom_score(cloner))
            give_up();
        // setns(2) with a pidfd enters all at once (Linux 5.8), judged by the rights we have before.
        constexpr int kNamespaces =
            CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWNET;
        if (::setns(pidfd, kNamespaces) < 0)
            give_up();
        if (time && ::setns(time->get(), CLONE_NEWTIME) < 0)
            give_up();
        auto child = os::clone_process(CLONE_PARENT);
        if (!child)
            give_up();
        if (child->pid == 0)
            become_init(cloner, theirs.get(), ours.get(), Origin::joined);
        const std::int32_t number = child->pid;
        const int fd = child->pidfd.get();
        (void) os::send_message(question.get(), std::string_view(reinterpret_cast<const char*>(&number), sizeof number),
                                {&fd, 1});
        ::_exit(0);
    }
    question.reset();
    auto message = os::receive_message(answer.get(), 64);
    while (::waitpid(middle.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!message)
        return std::unexpected(std::move(message).error());
    std::int32_t number = 0;
    if (message->bytes.size() != sizeof number)
        return fail_errno("join the container", ESRCH);
    std::memcpy(&number, message->bytes.data(), sizeof number);
    if (message->fds.size() != 1)
        return fail_errno("join the container", number);
    return Cell{number, Pidfd(std::move(message->fds[0])), std::move(ours)};
}

} // namespace squish::keeper
