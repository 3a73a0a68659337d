// Typed wrappers over raw.h for what init does. Values: >= 0 fine, < 0 a negative errno.
#pragma once

#include "init/raw.h"

#include <asm/unistd.h>
#include <cstdint>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/socket.h>

// fcntl.h of this libc defines neither without _GNU_SOURCE
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

namespace squish::raw {

inline int as_int(long value) {
    return static_cast<int>(value);
}

inline long close(int fd) {
    return call(__NR_close, fd);
}
inline long write(int fd, const void* bytes, std::size_t size) {
    return call(__NR_write, fd, arg(bytes), static_cast<long>(size));
}
inline int openat(int dir, const char* path, int flags, int mode = 0) {
    return as_int(call(__NR_openat, dir, arg(path), flags | O_CLOEXEC, mode));
}
inline int openat2(int dir, const char* path, std::uint64_t flags, std::uint64_t resolve) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = resolve;
    return as_int(call(__NR_openat2, dir, arg(path), arg(&how), sizeof how));
}

inline int open_tree(int dir, const char* path, unsigned flags) {
    return as_int(call(__NR_open_tree, dir, arg(path), static_cast<long>(flags | OPEN_TREE_CLOEXEC)));
}
// Moves the mount behind `mount` onto what `target` refers to.
inline long move_mount(int mount, int target) {
    return call(__NR_move_mount, mount, arg(""), target, arg(""), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
inline long move_mount_to(int mount, int dir, const char* path) {
    return call(__NR_move_mount, mount, arg(""), dir, arg(path), MOVE_MOUNT_F_EMPTY_PATH);
}
inline int fsopen(const char* type) {
    return as_int(call(__NR_fsopen, arg(type), FSOPEN_CLOEXEC));
}
inline long fsconfig(int context, unsigned command, const char* key, const char* value) {
    return call(__NR_fsconfig, context, command, arg(key), arg(value), 0);
}
inline int fsmount(int context, std::uint64_t attributes) {
    return as_int(call(__NR_fsmount, context, FSMOUNT_CLOEXEC, static_cast<long>(attributes)));
}
inline long mount_setattr(int mount, std::uint64_t set) {
    mount_attr attributes{};
    attributes.attr_set = set;
    return call(__NR_mount_setattr, mount, arg(""), AT_EMPTY_PATH, arg(&attributes), sizeof attributes);
}
// What the descriptor itself refers to.
inline long statx(int fd, unsigned mask, struct statx& out) {
    return call(__NR_statx, fd, arg(""), AT_EMPTY_PATH, static_cast<long>(mask), arg(&out));
}
inline long prctl(int option, long a = 0, long b = 0, long c = 0, long d = 0) {
    return call(__NR_prctl, option, a, b, c, d);
}
inline long ioctl(int fd, unsigned long request, long value) {
    return call(__NR_ioctl, fd, static_cast<long>(request), value);
}
inline long kill(int pid, int number) {
    return call(__NR_kill, pid, number);
}
inline int fork() {
    return as_int(call(__NR_clone, 17 /* SIGCHLD */, 0, 0, 0, 0));
}
[[noreturn]] inline void exit(int code) {
    for (;;)
        call(__NR_exit_group, code);
}
inline long send(int socket, const void* bytes, std::size_t size) {
    return call(__NR_sendto, socket, arg(bytes), static_cast<long>(size), MSG_NOSIGNAL, 0, 0);
}

// One message with a descriptor (SCM_RIGHTS, unix(7)).
inline long send_fd(int socket, const void* bytes, std::size_t size, int fd) {
    iovec data{const_cast<void*>(bytes), size};
    union {
        cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control{};
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    *reinterpret_cast<int*>(control.bytes + CMSG_LEN(0)) = fd;
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_LEN(sizeof(int));
    return call(__NR_sendmsg, socket, arg(&message), MSG_NOSIGNAL);
}

struct Timespec {
    std::int64_t seconds, nanoseconds;
};
inline Timespec clock(int which) {
    Timespec now{};
    call(__NR_clock_gettime, which, arg(&now));
    return now;
}
inline std::uint64_t monotonic_ns() {
    const auto now = clock(1);
    return static_cast<std::uint64_t>(now.seconds) * 1'000'000'000U + static_cast<std::uint64_t>(now.nanoseconds);
}

} // namespace squish::raw
