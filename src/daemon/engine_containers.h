#pragma once

#include "daemon/containers.h"

namespace squish::daemon {

// The real containers.
[[nodiscard]] std::unique_ptr<Containers> engine_containers(std::unique_ptr<Engine> engine);

} // namespace squish::daemon
