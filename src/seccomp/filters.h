// Compiled filters, ready to be attached: each is compiled once and shared by every container that has it.
//
// How this works
//   A filter is a sealed memfd with the kernel's instructions; its digest is over those and its flags. What the
//   engine's process has seen it keeps in memory, by what the profile was made of. A container goes on with its filter
//   when its profile's file has changed, or squish has, and so must what `squish exec` starts in it later: each filter
//   is therefore also a file of the state folder, named after its digest, read back (and compared with that name) after
//   a restart. That file is never a short cut for compiling.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "seccomp/default_profile.h"
#include "seccomp/oci_profile.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace squish::seccomp {

struct Filter {
    std::string digest; // sha256, hex
    std::size_t instructions = 0;
    std::uint32_t flags = 0;           // for seccomp(2)
    UniqueFd program;                  // a sealed memfd with struct sock_filter[]
    std::vector<std::string> warnings; // of reading the profile
};
using FilterPtr = std::shared_ptr<const Filter>;

class Filters {
public:
    // `folder` is made when the first filter is kept; it must be the user's alone.
    explicit Filters(std::string folder) : folder_(std::move(folder)) {}

    [[nodiscard]] Result<FilterPtr> standard(IoUring io_uring);
    // The profile in the file at `path` (absolute), for a container with these capabilities. The file is read each
    // time. Errors: not_found; invalid and unsupported as parse_oci_profile() and compile(), naming the file.
    [[nodiscard]] Result<FilterPtr> custom(const std::string& path, const std::vector<std::string>& capabilities);
    // The one with this digest, of a container that was started before this process.
    // Errors: not_found; invalid, where the file is damaged.
    [[nodiscard]] Result<FilterPtr> kept(const std::string& digest);
    // Removes the files of all others.
    void retain(const std::set<std::string>& digests);

private:
    [[nodiscard]] Result<FilterPtr> add(const std::string& key, const Profile& profile,
                                        std::vector<std::string> warnings);

    std::string folder_;
    std::map<std::string, FilterPtr> by_key_; // "default", or the digest of a profile's text and its surroundings
};

} // namespace squish::seccomp
