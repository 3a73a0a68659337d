// Makes a layer of a folder: a reproducible archive, and its entry in a layer source.
#pragma once

#include "base/result.h"

#include <functional>
#include <optional>
#include <string>

namespace squish::builder {

struct Order {
    std::string folder;
    std::string name, version; // empty: as the folder's .squish/layer.toml says
    std::string arch;          // uname(2)'s, or "any"; empty: this machine's
    std::string source;        // the folder of the source; empty: the archive goes to `output`
    std::string output;        // a file; empty without a source: NAME-VERSION-ARCH.tar.zst here
    std::string key_file;      // minisign secret key without a password; signs the index
    bool replace = false;      // a version that the source has with other contents
    std::int64_t time = 0;     // of every entry; SOURCE_DATE_EPOCH
};

struct Built {
    std::string name, version, arch, archive, sha256;
    std::string index; // empty without a source
    std::uint64_t size = 0, entries = 0, bytes = 0;
};

// Nothing is left where it fails: the archive is written beside its place and renamed.
// Errors: invalid (name, version or manifest), conflict (the source has that version with other contents), system.
[[nodiscard]] Result<Built> build(const Order& order, const std::function<void(std::uint64_t bytes)>& on_progress);

} // namespace squish::builder
