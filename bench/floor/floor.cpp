// How this works
//   The same work as a start of squish, as one straight line of system calls: no daemon, no plan, no messages but one
//   byte that says that the id maps are written. Id maps are those that an unprivileged user may write without help:
//   the user's own id as root. Everything of the container is made after the clone, by its own first process, which
//   then becomes the payload (there is no init).
#include "floor/floor.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::bench {

namespace {

[[noreturn]] void give_up(const char* call) {
    std::fprintf(stderr, "floor: %s: %s\n", call, std::strerror(errno));
    ::_exit(125);
}

int must(long result, const char* call) {
    if (result < 0)
        give_up(call);
    return static_cast<int>(result);
}

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

int clone_mount(int folder, const char* path, unsigned flags) {
    return must(::syscall(SYS_open_tree, folder, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags), "open_tree");
}

void attach(int mount, int folder, const char* path) {
    must(::syscall(SYS_move_mount, mount, "", folder, path, MOVE_MOUNT_F_EMPTY_PATH), "move_mount");
}

int new_filesystem(const char* type, unsigned attributes) {
    const int context = must(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), "fsopen");
    must(::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), "fsconfig");
    const int mount = must(::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes), "fsmount");
    ::close(context);
    return mount;
}

int read_only_rootfs(const char* rootfs) {
    const int root = clone_mount(AT_FDCWD, rootfs, AT_RECURSIVE);
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    must(::syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes),
         "mount_setattr");
    return root;
}

void mount_dev(int root) {
    const int dev = new_filesystem("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    attach(dev, root, "dev");
    for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
        const int point = must(::openat(dev, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666), "openat");
        ::close(point);
        char path[32] = "/dev/";
        std::strcat(path, name);
        const int device = clone_mount(AT_FDCWD, path, 0);
        attach(device, dev, name);
        ::close(device);
    }
    ::close(dev);
}

[[noreturn]] void become_container(int maps, const char* rootfs, const char* program) {
    char written = 0;
    if (::read(maps, &written, 1) != 1)
        ::_exit(125);
    const int root = read_only_rootfs(rootfs);
    attach(root, AT_FDCWD, "/tmp"); // any folder that is always there; the copy is ours alone
    attach(new_filesystem("proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC), root, "proc");
    mount_dev(root);
    must(::fchdir(root), "fchdir");
    must(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(::umount2(".", MNT_DETACH), "umount2");
    must(::chdir("/"), "chdir");
    char* const arguments[] = {const_cast<char*>(program), nullptr};
    char* const environment[] = {nullptr};
    ::execve(program, arguments, environment);
    give_up("execve");
}

void write_file(const std::string& path, const std::string& text) {
    const int file = must(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path.c_str());
    if (::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        give_up(path.c_str());
    ::close(file);
}

void write_id_maps(pid_t pid) {
    const auto folder = "/proc/" + std::to_string(pid);
    write_file(folder + "/uid_map", "0 " + std::to_string(::getuid()) + " 1");
    write_file(folder + "/setgroups", "deny");
    write_file(folder + "/gid_map", "0 " + std::to_string(::getgid()) + " 1");
}

} // namespace

std::uint64_t start_on_the_floor(const char* rootfs, const char* program, FloorNetwork network) {
    const auto began = monotonic_ns();
    int maps[2];
    must(::pipe2(maps, O_CLOEXEC), "pipe2");
    int pidfd = -1;
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
                      CLONE_NEWCGROUP | (network == FloorNetwork::own ? CLONE_NEWNET : 0);
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    const int pid = must(::syscall(SYS_clone3, &arguments, sizeof arguments), "clone3");
    if (pid == 0)
        become_container(maps[0], rootfs, program);
    write_id_maps(pid);
    if (::write(maps[1], "m", 1) != 1)
        give_up("write");
    siginfo_t ended{};
    must(::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &ended, WEXITED), "waitid");
    if (ended.si_code != CLD_EXITED || ended.si_status != 0) {
        std::fprintf(stderr, "floor: the container ended with %d\n", ended.si_status);
        ::_exit(125);
    }
    for (const int fd : {maps[0], maps[1], pidfd})
        ::close(fd);
    return monotonic_ns() - began;
}

} // namespace squish::bench
