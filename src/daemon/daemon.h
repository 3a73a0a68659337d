// squishd from the claim on its socket to its orderly end.
#pragma once

#include "base/paths.h"
#include "daemon/containers.h"
#include "daemon/instance.h"

#include <functional>

namespace squish::daemon {

// What opens the containers, once the socket listens: the engine in squishd, a fake in tests.
using OpenContainers = std::function<Task<std::unique_ptr<Containers>>(boost::asio::io_context& loop)>;

// Serves until SIGTERM, SIGINT or POST /v1/daemon/stop. `ready` is told when requests are served, or what failed.
[[nodiscard]] Result<void> serve(const Paths& paths, OpenContainers open, ReadyPipe& ready);

} // namespace squish::daemon
