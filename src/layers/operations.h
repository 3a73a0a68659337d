// What can be asked of squish-layers (docs/architecture.md, "Layer requests"), apart from who asks and how it is
// confined.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "layers/sandbox.h"
#include "wire/json_channel.h"

#include <functional>
#include <string>
#include <vector>

namespace squish::layers {

struct Order {
    wire::Json request;
    std::vector<UniqueFd> fds;
};

// What an operation does with each of its descriptors.
enum class Role { stream, folder_to_read, folder_to_write };

// The roles of the descriptors that `request` must come with; an Error where it asks for nothing known or is malformed.
[[nodiscard]] Result<std::vector<Role>> roles_of(const wire::Json& request);

// Called often; it decides how often to tell.
using Tell = std::function<void(std::uint64_t read, std::uint64_t written, std::uint64_t entries)>;

// Does it, in the calling process. `fds` in the order of roles_of(). Returns the fields of the answer.
[[nodiscard]] Result<wire::Json> carry_out(const wire::Json& request, const std::vector<int>& fds, const Tell& tell);

// RLIMIT_FSIZE for it; 0 where it has none.
[[nodiscard]] std::uint64_t max_file_bytes(const wire::Json& request);

} // namespace squish::layers
