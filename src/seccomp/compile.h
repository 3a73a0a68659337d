// From a profile to the program that the kernel runs at every system call (classic BPF, seccomp(2)).
//
// How this works
//   Neighbouring numbers with one answer are one range, and a binary tree over the ranges leads to the answer. That is
//   why it is not left to libseccomp: its tree has a leaf for every call that is named. Ours is a third of its size,
//   and what an installation costs grows with the size (the kernel checks it, compiles it to machine code, and asks it
//   for every number in advance). libseccomp gives the same answers; a test compares them. The program is written from
//   its end to its beginning, since jumps lead forward only and over 255 instructions at most: a target that is too far
//   away gets a stepping stone.
#pragma once

#include "base/result.h"
#include "seccomp/profile.h"

#include <linux/filter.h>
#include <vector>

namespace squish::seccomp {

using Program = std::vector<sock_filter>;

// Errors (invalid): more than the kernel's 4096 instructions; a profile under which no payload could be started, since
// squish-init needs execve(2) to start it, and write(2) and exit_group(2) to say why it could not.
[[nodiscard]] Result<Program> compile(const Profile& profile);

} // namespace squish::seccomp
