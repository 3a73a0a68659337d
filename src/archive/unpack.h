// Unpacks an archive that nobody vouches for into an empty folder, and says what is there then.
//
// Formats, by content: tar (v7, ustar, GNU, pax), the same through gzip, bzip2, xz or zstd, and zip. Whatever else is a
// plain file. What is refused and what is tamed: docs/layers-unpacking.md.
//
// It confines nothing by itself but where it writes: run it where a fault in a parser can do no harm (layers/).
#pragma once

#include "archive/limits.h"
#include "archive/manifest.h"
#include "archive/tree_writer.h"
#include "base/archive_kind.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace squish::archive {

struct Progress {
    std::uint64_t read = 0;    // bytes of the archive
    std::uint64_t written = 0; // bytes of files, holes included
    std::uint64_t entries = 0;
};

struct UnpackOptions {
    Limits limits;
    Owners owners = Owners::kept;
    // What a file that is no archive is stored as, with mode 0755; without it such a file is an error (not_found).
    std::optional<std::string> plain_name;
    // Hash the archive itself on the way.
    bool input_digest = false;
    // Called now and then, at least once for each entry; false ends the work ("cancelled").
    std::function<bool(const Progress&)> on_progress = [](const Progress&) { return true; };
};

// What was left out or changed, so that it can be told. Counts of entries.
struct Tamed {
    std::uint64_t devices = 0;        // left out, with hard links to them
    std::uint64_t fifos = 0;          // left out, with sockets
    std::uint64_t setuid = 0;         // setuid, setgid, or the sticky bit of a file taken away
    std::uint64_t absolute_names = 0; // leading slash taken off
    std::uint64_t owners = 0;         // owner not in the user's range: 0 instead
    std::uint64_t xattrs = 0;         // attributes left out
    std::uint64_t duplicates = 0;     // replaced by a later entry of the same name
};

struct Unpacked {
    Kind kind = Kind::plain; // plain: the tree is one file
    Progress progress;
    Tamed tamed;
    std::uint64_t closed = 0; // files that not everybody may read, and folders that not everybody may enter and list
    std::string manifest;
    Digest tree_digest{}; // sha256 of the manifest
    std::optional<Digest> input_digest;
};

// `input` is read from where it stands to its end (on success); a zip in a file from its start. Both fds are borrowed.
// On an error the target holds whatever was made until then: remove it.
[[nodiscard]] Result<Unpacked> unpack(int input, int target, const UnpackOptions& options);

} // namespace squish::archive
