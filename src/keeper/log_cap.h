// Keeps log files below a size without touching what the payload writes: the oldest part of a file that has grown too
// far is punched out (fallocate(2), FALLOC_FL_PUNCH_HOLE), told of growth by inotify(7).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace squish::keeper {

class LogCap {
public:
    [[nodiscard]] static Result<LogCap> open();
    // Readable when a file has grown.
    [[nodiscard]] int fd() const { return inotify_.get(); }
    // Watches `files` on behalf of `owner`, which keeps at most `limit` bytes of each.
    [[nodiscard]] Result<void> watch(const std::string& owner, std::vector<UniqueFd> files, std::uint64_t limit);
    void forget(const std::string& owner);
    void on_readable();

private:
    struct File {
        std::string owner;
        UniqueFd fd;
        std::uint64_t limit;
    };
    static void trim(const File& file);
    UniqueFd inotify_;
    std::map<int, File> files_; // by watch descriptor
};

} // namespace squish::keeper
