// Profiles in the JSON of the OCI runtime specification (config-linux.md, "Seccomp") and in Docker's and Podman's wider
// form of it (archMap, includes, excludes, minKernel, errno names).
//
// How this works
//   Rules that are for other capabilities, architectures or kernels are left out; the rest is grouped by call, in the
//   order of the file. A rule without arguments outweighs all others on the same call, wherever it stands, as in the
//   other runtimes; a rule that names one argument twice is a rule for each (runc and crun do the same). Unknown keys
//   are errors: a misspelt "excludes" would open a door.
#pragma once

#include "base/result.h"
#include "seccomp/profile.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace squish::seccomp {

struct Surroundings {
    std::vector<std::string> capabilities;         // of the container: "CAP_NET_RAW"
    std::pair<unsigned, unsigned> kernel = {0, 0}; // version and patchlevel: {6, 1}
};
// Of the running kernel; {0, 0} where uname(2) says something else than a version.
[[nodiscard]] std::pair<unsigned, unsigned> running_kernel();

struct OciProfile {
    Profile profile;
    std::vector<std::string> warnings; // "ignored, since no system call has this name: …"
};

inline constexpr std::size_t kMaxProfileBytes = 1 << 20;

// Errors: invalid, with every reason found, each naming its key: "'syscalls[3].args[0].op' must be one of …".
// unsupported: SCMP_ACT_NOTIFY and what goes with it, for which somebody would have to listen.
[[nodiscard]] Result<OciProfile> parse_oci_profile(std::string_view json, const Surroundings& surroundings);

} // namespace squish::seccomp
