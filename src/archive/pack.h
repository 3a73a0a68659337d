// Makes an archive of a folder.
#pragma once

#include "archive/sha256.h"
#include "archive/unpack.h"
#include "base/result.h"

#include <cstdint>
#include <functional>

namespace squish::archive {

struct PackOptions {
    std::int64_t time = 0; // of every entry, in seconds; SOURCE_DATE_EPOCH where the caller has one
    // Called now and then with the bytes that were read; false ends the work ("cancelled").
    std::function<bool(std::uint64_t bytes, std::uint64_t entries)> on_progress = [](std::uint64_t, std::uint64_t) {
        return true;
    };
};

struct Packed {
    Digest sha256{};        // of what was written
    std::uint64_t size = 0; // likewise
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0; // of the files
};

// Reproducible tar.zst: equal content gives equal bytes, whoever packs it, when and where. Sorted; times as given;
// owner 0:0; modes 0755 for folders and for files that somebody may execute, else 0644; hard links within the folder
// kept; user.* attributes kept; zstd at a fixed level in one thread (equal bytes need the same libzstd). Refuses
// sockets, pipes and devices. Both fds are borrowed; `output` is written from where it stands, in order.
[[nodiscard]] Result<Packed> pack(int folder, int output, const PackOptions& options = {});

// The folder's content into an empty folder, by the rules of unpack() and with its manifest: modes, owners and times as
// they are there.
[[nodiscard]] Result<Unpacked> copy_tree(int folder, int target, const UnpackOptions& options);

} // namespace squish::archive
