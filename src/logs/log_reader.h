// Reads a container's log files: written by the payload itself, capped by the keeper by punching holes at the
// head (fallocate(2)), so a file may begin with a hole, which is skipped.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <optional>
#include <string>

namespace squish {

class LogReader {
public:
    // `tail`: start at the last N lines; everything that is kept where absent.
    [[nodiscard]] static Result<LogReader> open(const std::string& path, std::optional<std::size_t> tail);
    // The next bytes, at most `limit`; empty at the present end. Skips what has been cut off meanwhile.
    [[nodiscard]] Result<std::string> read(std::size_t limit = 64 * 1024);

private:
    LogReader(UniqueFd file, std::uint64_t offset) : file_(std::move(file)), offset_(offset) {}
    UniqueFd file_;
    std::uint64_t offset_;
};

} // namespace squish
