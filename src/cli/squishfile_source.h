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
};

// `file` may be a folder with a squishfile.toml.
[[nodiscard]] Result<SquishfileSource> read_source(const std::string& file);
// Parsed, with its paths resolved; errors are one per line, FILE:LINE:COLUMN: message.
[[nodiscard]] Result<Squishfile> parse_source(const SquishfileSource& source);
// Path layers whose source does not exist: one diagnostic each.
[[nodiscard]] std::vector<Diagnostic> missing_layers(const Squishfile& file);

} // namespace squish::cli
