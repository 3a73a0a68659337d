// A squishfile as it lies on disk.
#pragma once

#include "base/result.h"
#include "squishfile/squishfile.h"

#include <string>

namespace squish::cli {

struct SquishfileSource {
    std::string path;   // of the file itself, as to be named in messages
    std::string folder; // absolute: what its paths are relative to
    std::string text;
    bool bundle = false; // from an archive that squishd unpacked: its paths stay within it
};

// `file` may be a folder or an archive with a squishfile.toml at its root. An archive is given to squishd, which stores
// it as a layer, once.
[[nodiscard]] Result<SquishfileSource> read_source(const std::string& file);
// Parsed, with its paths resolved; errors are one per line, FILE:LINE:COLUMN: message.
[[nodiscard]] Result<Squishfile> parse_source(const SquishfileSource& source);
// `invalid`, one line for each path (a layer's source, a profile) that does not exist, with its place in the file.
[[nodiscard]] Result<void> check_paths(const SquishfileSource& source, const Squishfile& file);

} // namespace squish::cli
