// The record of an entry that is on disk, with its content hashed: what a manifest would say of it.
#pragma once

#include "archive/manifest.h"
#include "archive/sha256.h"
#include "archive/walk.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace squish::archive {

class Describer {
public:
    using OnRead = std::function<Result<void>(std::uint64_t bytes)>; // an error ends the reading
    explicit Describer(OnRead on_read) : on_read_(std::move(on_read)), buffer_(256 * 1024) {}

    [[nodiscard]] Result<Record> folder(const Node& node, int fd);
    // A file that was met before under another name becomes a hard link to that. Neither file nor symlink: an error.
    [[nodiscard]] Result<Record> leaf(const Node& node);

private:
    OnRead on_read_;
    std::vector<char> buffer_;
    Sha256 hash_;
    std::unordered_map<ino_t, std::string> first_;
};

// The text of a symlink, whole.
[[nodiscard]] Result<std::string> read_link(const Node& node);

} // namespace squish::archive
