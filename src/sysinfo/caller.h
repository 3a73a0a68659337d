// The memory of a task that waits for the answer to its call.
//
// How this works
//   A pid can be another process's a moment later, and the address is the caller's choice. So its memory is opened
//   first, which holds on to this memory whatever becomes of the pid; then the kernel is asked whether the call still
//   waits (SECCOMP_IOCTL_NOTIF_ID_VALID), which says that what was opened is the caller's; then it is written.
//   Writing through /proc/PID/mem does not ask whether a page may be written to (FOLL_FORCE), which would let a program
//   that may not change its own code have it changed by us; so that is looked up. process_vm_writev(2) would ask, but
//   goes by pid.
//   A page of a file that is not in memory yet is read by that file's file system, which may be one of the container's
//   own that never answers; writing through /proc/PID/mem then waits so that not even SIGKILL ends it. (A page that
//   userfaultfd(2) watches is an error at once.) So such memory is told apart: sysinfo/apart.h.
#pragma once

#include "base/unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace squish::sysinfo {

enum class Memory {
    none, // not there, or not to be written to: the kernel would say EFAULT
    own,
    of_file, // all or part of it
};
// By the text of /proc/PID/maps: before Linux 6.11, which has an ioctl for it.
[[nodiscard]] Memory look_in_text(int maps, std::uint64_t address, std::uint64_t end);

class Caller {
public:
    // `proc` is a descriptor of /proc. False where there is no such process, or its memory is not for us.
    [[nodiscard]] bool open(int proc, pid_t pid);
    [[nodiscard]] Memory look_at(std::uint64_t address, std::uint64_t size) const;
    // Only where look_at() found some. False where the kernel would say EFAULT.
    [[nodiscard]] bool write(std::uint64_t address, std::span<const std::byte> bytes) const;

private:
    UniqueFd memory_, maps_;
};

} // namespace squish::sysinfo
