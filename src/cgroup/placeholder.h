// A process that does nothing: systemd opens a scope only around one that is there.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <sys/types.h>

namespace squish::cgroup {

// Owns the process; it ends with this object, and with squishd.
class Placeholder {
public:
    // A fork of the caller that has closed everything and waits; costs some 0.3 ms.
    [[nodiscard]] static Result<Placeholder> start();
    Placeholder(Placeholder&&) noexcept = default;
    Placeholder& operator=(Placeholder&& other) noexcept;
    ~Placeholder() { end(); }

    [[nodiscard]] pid_t pid() const { return pid_; }
    // Ends and reaps it.
    void end() noexcept;

private:
    Placeholder(pid_t pid, Pidfd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
    pid_t pid_ = 0;
    Pidfd pidfd_;
};

} // namespace squish::cgroup
