// A download in progress on disk: PATH holds the bytes, PATH.json says where they came from. Both survive SIGKILL and
// are taken up by the next process.
//
// Nothing is synced: what a power cut makes of the bytes is found by the digest, and then fetched again. Without a
// digest only the same address with the same validator may go on where the last process ended.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::fetch {

struct PartOrigin {
    std::string url;                   // that the newest bytes are from
    std::string etag, last_modified;   // of that
    std::string sha256;                // that is expected; empty where none is
    std::vector<std::string> rejected; // addresses that sent wrong contents
    std::uint64_t restarts = 0;        // how often all that had come was forgotten

    // What If-Range takes: a strong ETag, else the date; empty where there is neither.
    [[nodiscard]] std::string validator() const;
};

class PartFile {
public:
    // Opens or makes PATH (its folder must exist) and locks it; conflict where another process has it.
    [[nodiscard]] static Result<PartFile> open(const std::string& path);

    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] PartOrigin& origin() { return origin_; }
    [[nodiscard]] Result<void> save_origin() const;
    [[nodiscard]] Result<void> append(std::string_view bytes);
    // Forgets the bytes, not where they came from.
    [[nodiscard]] Result<void> clear();
    // Gives all bytes to `take`, from the first.
    [[nodiscard]] Result<void> replay(const std::function<Result<void>(std::string_view)>& take) const;
    // The bytes are all there: removes PATH.json.
    void complete() const;
    // Nothing here is worth keeping: removes both.
    void remove() const;

private:
    PartFile() = default;
    [[nodiscard]] std::string origin_path() const { return path_ + ".json"; }
    void load_origin();

    std::string path_;
    DirFd folder_;
    UniqueFd fd_;
    std::uint64_t size_ = 0;
    PartOrigin origin_;
};

} // namespace squish::fetch
