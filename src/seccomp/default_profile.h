// The profile that every container gets unless its squishfile says otherwise: an allow-list of our own.
//
// How this works
//   It is put together from groups, each with the reason why it is as it is; docs/security.md has them in the same
//   order, and a test compares the two. Three answers: *allow*; EPERM (or what a kernel without the feature says) for
//   what is known to be dangerous or useless without capabilities; ENOSYS for everything else, known or not, so that
//   programs do what they do on an older kernel.
#pragma once

#include "seccomp/profile.h"

#include <span>
#include <string_view>

namespace squish::seccomp {

struct Group {
    std::string_view title;  // "files"
    std::string_view reason; // one or two sentences
    Action action;
    std::span<const std::string_view> names;
};
[[nodiscard]] std::span<const Group> default_groups();

enum class IoUring { refused, allowed };
[[nodiscard]] Profile default_profile(IoUring io_uring);

} // namespace squish::seccomp
