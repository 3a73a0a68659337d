// Starting our own programs, which live in our namespaces but see the host's files.
#pragma once

#include "base/result.h"
#include "os/process.h"

#include <span>
#include <string>

namespace squish::keeper {

struct HelperStart {
    const std::string& name; // its argv[0]
    int host_mounts;         // the mount namespace that it is in
    int program;
    int log;                  // its 1 and 2; 0 is /dev/null
    std::span<const int> fds; // its 3, 4, …
};

// A child of ours that ends with us. Waits until it has been executed; an error has the errno of what failed.
[[nodiscard]] Result<os::Child> start_helper(const HelperStart& start);

} // namespace squish::keeper
