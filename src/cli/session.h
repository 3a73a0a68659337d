// An attached container or exec, seen from the caller: its events, our signals, and its terminal.
#pragma once

#include "base/paths.h"
#include "cli/client.h"

#include <string>

namespace squish::cli {

struct SessionRequest {
    std::string target;       // "/v1/containers?wait=exit"
    Json body;                // without "terminal"
    std::string resource;     // "/v1/containers/" or "/v1/exec/": where its id is signalled and waited for
    bool interactive = false; // it gets our stdin
    bool terminal = false;    // it gets a terminal of its own
};

// Starts it, stays until it has ended, and returns the exit code for squish. Complains itself.
[[nodiscard]] int run_session(const Paths& paths, SessionRequest request);

// `invalid` where -t is given and stdin is no terminal.
[[nodiscard]] Result<void> check_terminal(bool terminal);

} // namespace squish::cli
