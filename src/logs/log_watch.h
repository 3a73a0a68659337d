// Tells when a container's log files have grown (inotify(7)).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <span>
#include <string>

namespace squish {

class LogWatch {
public:
    // Make it before the first read: what is written between the read and the watch would be missed.
    [[nodiscard]] static Result<LogWatch> open(std::span<const std::string> paths);
    // Readable when something was written; then call clear() and read the logs to their end.
    [[nodiscard]] int fd() const { return events_.get(); }
    void clear();

private:
    explicit LogWatch(UniqueFd events) : events_(std::move(events)) {}
    UniqueFd events_; // non-blocking
};

} // namespace squish
