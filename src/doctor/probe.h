// Trying things out in a child that is gone afterwards.
#pragma once

#include "base/result.h"

#include <string>

namespace squish::doctor {

// Runs `attempt` in a forked child and returns what it returned: nothing, or the error. The child is single-threaded,
// has no parent's cleanups, and its namespaces and mounts end with it.
using Attempt = Result<void> (*)();
[[nodiscard]] Result<void> try_in_child(Attempt attempt);

// For use within an attempt.
[[nodiscard]] Result<void> enter_user_namespace(); // with our own id as its root
[[nodiscard]] Result<void> unshare(int flags, const char* what);

// The first line of a file, without blanks around it; empty where it cannot be read.
[[nodiscard]] std::string first_line(const std::string& path);

} // namespace squish::doctor
