// The forwarder as a program, without its process-wide settings.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "forward/pipe_pool.h"

namespace squish::forward {

// Serves control clients and connections until SIGTERM (blocked and ignored signals of the process are changed:
// SIGTERM, SIGPIPE).
[[nodiscard]] Result<void> serve(UniqueFd control_listener, PipePool::Limits pipes);

} // namespace squish::forward
