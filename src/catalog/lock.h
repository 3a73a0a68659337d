// squishfile.lock: which layers a squishfile was resolved to, by digest. Lies next to the squishfile, is written by
// `squish lock`, and `run --locked` accepts nothing else.
//
//   format = 1
//   arch = "x86_64"
//   [layers."alpine"]
//   version = "3.20.3"
//   sha256 = "d4e6…"
//   source = "https://dl-cdn.alpinelinux.org/alpine"
#pragma once

#include "catalog/source_index.h"
#include "squishfile/squishfile.h"

namespace squish::catalog {

inline constexpr int kLockFormat = 1;
inline constexpr std::size_t kMaxLockBytes = 256 * 1024;

struct LockedLayer {
    std::optional<Version> version; // none for an archive without a manifest
    std::string sha256;             // of the archive
    std::string source;             // where it came from, for people; may be empty
    bool operator==(const LockedLayer&) const = default;
};

struct Lock {
    std::string arch; // digests are those of one architecture
    std::map<std::string, LockedLayer> layers;
    bool operator==(const Lock&) const = default;
};

[[nodiscard]] std::expected<Lock, std::vector<Diagnostic>> parse_lock(std::string_view toml);
// Deterministic; parse_lock(write_lock(l)) equals l where the sources are printable.
[[nodiscard]] std::string write_lock(const Lock& lock);

} // namespace squish::catalog
