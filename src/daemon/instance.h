// One squishd per user: the lock that makes it so, and the way in which a starting daemon reports.
#pragma once

#include "base/paths.h"
#include "base/result.h"
#include "base/unique_fd.h"

#include <optional>

namespace squish::daemon {

// Held while the daemon lives; the kernel gives it back whatever becomes of us (flock(2)).
class Instance {
public:
    // Nothing where another squishd serves the socket already. Waits a few seconds for one that is on its way out.
    [[nodiscard]] static Result<std::optional<Instance>> claim(const Paths& paths);

    // Removes the socket, while no other daemon can have made a new one.
    void remove_socket(const Paths& paths) const;

private:
    explicit Instance(UniqueFd lock) : lock_(std::move(lock)) {}
    UniqueFd lock_;
};

// Whoever started us waits for "ready\n" or for an error as one line of JSON on this descriptor (--ready-fd).
class ReadyPipe {
public:
    explicit ReadyPipe(UniqueFd pipe) : pipe_(std::move(pipe)) {}
    void ready();
    void failed(const Error& error);

private:
    void tell(std::string_view line);
    UniqueFd pipe_;
};

} // namespace squish::daemon
