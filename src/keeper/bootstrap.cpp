#include "keeper/bootstrap.h"

#include "keeper/cell.h"
#include "keeper/twin.h"
#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"
#include "os/socket.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

constexpr const char* kUserNamespaceRemedy =
    "run 'squish doctor': user namespaces may be switched off (sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)";

Result<void> run_map_tool(const char* tool, pid_t pid, const std::vector<std::string>& map) {
    std::vector<std::string> args{tool, std::to_string(pid)};
    args.insert(args.end(), map.begin(), map.end());
    for (const std::string folder : {"/usr/bin/", "/usr/local/bin/", "/bin/"}) {
        auto child = os::spawn_child({.program = folder + tool,
                                      .args = args,
                                      .environment = {"PATH=/usr/bin:/bin"},
                                      .keep = {},
                                      .stderr_fd = STDERR_FILENO});
        if (!child && child.error().sys_errno == ENOENT)
            continue;
        if (!child)
            return std::unexpected(std::move(child).error());
        int status = 0;
        while (::waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (os::exit_code(status) != 0)
            return fail(ErrorKind::unsupported, std::string(tool) + " refused the map of subordinate ids",
                        std::string("check the user's lines in /etc/subuid and /etc/subgid, and that ") + tool +
                            " is setuid root");
        return {};
    }
    return fail(ErrorKind::unsupported, std::string("cannot find ") + tool, "apt install uidmap");
}

// The maps are written by a helper that stays behind in the old user namespace.
Result<void> map_ranges(const IdMaps& maps) {
    auto [ours, theirs] = TRY(os::socket_pair());
    const pid_t keeper = ::getpid();
    auto helper = TRY(os::clone_process(0));
    if (helper.pid == 0) {
        ours.reset();
        auto go = os::receive_message(theirs.get(), 16);
        if (!go || go->peer_closed)
            ::_exit(0); // the keeper gave up
        auto mapped = run_map_tool("newuidmap", keeper, maps.uids);
        if (mapped)
            mapped = run_map_tool("newgidmap", keeper, maps.gids);
        const std::string answer = mapped ? "ok" : mapped.error().message + "\n" + mapped.error().remedy;
        ::_exit(os::send_message(theirs.get(), answer) ? 0 : 1);
    }
    theirs.reset();
    if (::unshare(CLONE_NEWUSER) < 0) {
        const int error = errno;
        ours.reset();
        ::waitpid(helper.pid, nullptr, 0);
        auto failed = fail_errno("make a user namespace", error, kUserNamespaceRemedy);
        failed.error().kind = ErrorKind::unsupported;
        return failed;
    }
    TRY(os::send_message(ours.get(), "go"));
    auto answer = TRY(os::receive_message(ours.get(), 4096));
    ::waitpid(helper.pid, nullptr, 0);
    if (answer.bytes == "ok")
        return {};
    const auto cut = answer.bytes.find('\n');
    return fail(ErrorKind::unsupported, answer.bytes.substr(0, cut),
                cut == std::string::npos ? "" : answer.bytes.substr(cut + 1));
}

Result<void> map_single() {
    const auto uid = std::to_string(::getuid());
    const auto gid = std::to_string(::getgid());
    if (::unshare(CLONE_NEWUSER) < 0) {
        auto failed = fail_errno("make a user namespace", errno, kUserNamespaceRemedy);
        failed.error().kind = ErrorKind::unsupported;
        return failed;
    }
    TRY(os::write_existing("/proc/self/setgroups", "deny")); // user_namespaces(7): before an unprivileged gid_map
    TRY(os::write_existing("/proc/self/uid_map", "0 " + uid + " 1"));
    TRY(os::write_existing("/proc/self/gid_map", "0 " + gid + " 1"));
    return {};
}

// Ours and a hundred more, which is a tenth of the machine's memory: a container goes before the keeper, without which
// all of them go.
Result<std::string> containers_oom_score() {
    constexpr long kMore = 100, kMost = 1000; // proc_pid_oom_score_adj(5)
    const auto text = TRY(os::read_file("/proc/self/oom_score_adj"));
    return std::to_string(std::min(std::strtol(text.c_str(), nullptr, 10) + kMore, kMost));
}

constexpr std::array kDevices = {"null", "zero", "full", "random", "urandom", "tty"};

// The root that every container's mount namespace starts from: few mounts, because all are copied and torn down each
// time.
Result<void> enter_tiny_root() {
    const auto proc = TRY(os::clone_mount(AT_FDCWD, "/proc", true));
    std::vector<MountFd> devices;
    for (const auto* name : kDevices) {
        const auto path = std::string("/dev/") + name;
        struct stat info{};
        if (::stat(path.c_str(), &info) < 0 || !S_ISCHR(info.st_mode))
            return fail(ErrorKind::unsupported, "'" + path + "' is not a device", "mount a devtmpfs on /dev");
        devices.push_back(TRY(os::clone_mount(AT_FDCWD, path, false)));
        // For the containers, which clone these: a node can be used, and that is all.
        TRY(os::set_mount_attributes(devices.back().get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false));
    }
    const auto root =
        TRY(os::new_filesystem("tmpfs", {{"size", "64k"}, {"mode", "0755"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    for (const auto* folder : {"proc", "dev", "root", "stage", "stage/0", "stage/1", "stage/2", "stage/3", "stage/4"})
        if (::mkdirat(root.get(), folder, 0755) < 0)
            return fail_errno(std::string("make /") + folder);
    {
        const auto anchor = TRY(os::open_file("/tmp", O_PATH | O_DIRECTORY));
        TRY(os::attach_mount(root.get(), anchor.get()));
    }
    const auto proc_point = TRY(os::open_at(root.get(), "proc", O_PATH | O_DIRECTORY));
    TRY(os::attach_mount(proc.get(), proc_point.get()));
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const auto point =
            TRY(os::open_at(root.get(), std::string("dev/") + kDevices[i], O_CREAT | O_EXCL | O_WRONLY, 0666));
        TRY(os::attach_mount(devices[i].get(), point.get()));
    }
    if (::fchdir(root.get()) < 0 || ::syscall(SYS_pivot_root, ".", ".") < 0)
        return fail_errno("pivot_root");
    if (::umount2(".", MNT_DETACH) < 0 || ::chdir("/") < 0)
        return fail_errno("leave the host's root");
    return {};
}

} // namespace

Result<void> enter_user_namespace(const IdMaps& maps) {
    // The files in /proc/PID that the keeper must write belong to root while it is not dumpable.
    ::prctl(PR_SET_DUMPABLE, 1);
    TRY(maps.uids.empty() ? map_single() : map_ranges(maps));
    // The user's supplementary groups stay: the stager opens the user's files with them. Payloads lose them.
    if (::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0)
        return fail_errno("become the namespace's root");
    ::prctl(PR_SET_DUMPABLE, 1);
    return {};
}

Result<void> leave_users_keyring() {
    // ENOSYS: no keys in the kernel. EPERM: a filter that squish itself runs under, and with it all that we start.
    if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS && errno != EPERM)
        return fail_errno("make a session keyring", errno,
                          "the user has too many keys: see keyctl(1) and /proc/key-users");
    return {};
}

Result<Home> build_home(int init) {
    Home home;
    home.uid_map = TRY(os::identity_map("/proc/self/uid_map"));
    home.gid_map = TRY(os::identity_map("/proc/self/gid_map"));
    home.oom_score_adj = TRY(containers_oom_score());
    home.single_id = TRY(os::read_file("/proc/self/setgroups")).starts_with("deny");
    if (::unshare(CLONE_NEWNS) < 0)
        return fail_errno("make a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) <
        0) // new mounts of the host arrive, ours never leave
        return fail_errno("make mounts follow the host");
    home.host_mounts = TRY(os::open_namespace(::getpid(), "mnt"));
    if (::unshare(CLONE_NEWNS) < 0)
        return fail_errno("make a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
        return fail_errno("make mounts private");
    TRY(enter_tiny_root());
    home.twin = TRY(start_twin(Cloner{init, home.uid_map, home.gid_map, home.oom_score_adj, -1}));
    if (::unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
        return fail_errno("make a network namespace");
    home.network = TRY(os::open_namespace(::getpid(), "net"));
    return home;
}

} // namespace squish::keeper
