// The index of one layer in a source: which versions there are, for which architectures, in which archives.
//
// A source is a folder that any web server can serve; docs/layer-sources.md describes it:
//   SOURCE/NAME/index.json, SOURCE/NAME/index.json.minisig where the source has a key, SOURCE/NAME/ARCHIVE…
// Archives lie beside their index and are named by a bare file name: an index can never send its reader elsewhere.
#pragma once

#include "catalog/requirement.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace squish::catalog {

inline constexpr std::size_t kMaxIndexBytes = 4 << 20;
inline constexpr std::size_t kMaxIndexVersions = 2048;
inline constexpr std::size_t kMaxIndexArchives = 16; // of one version: one per architecture
inline constexpr std::size_t kMaxRequires = 64;
inline constexpr std::uint64_t kMaxArchiveBytes = 64ULL << 30;
inline constexpr int kIndexFormat = 1;
inline constexpr std::string_view kAnyArch = "any";

using Requires = std::map<std::string, Requirement>; // layer name → which versions will do

struct IndexArchive {
    std::string arch;       // as uname(2) has it ("x86_64", "aarch64"), or "any"
    std::string file;       // beside the index
    std::uint64_t size = 0; // bytes
    std::string sha256;
    bool operator==(const IndexArchive&) const = default;
};

struct IndexVersion {
    Version version;
    Requires requires_; // what the layer's own manifest says
    std::vector<IndexArchive> archives;
    bool operator==(const IndexVersion&) const = default;
};

struct SourceIndex {
    std::string name;
    std::vector<IndexVersion> versions; // the newest first
    bool operator==(const SourceIndex&) const = default;
};

// A layer's name where it becomes part of a URL, a path and a mount point: [a-z0-9][a-z0-9_.-]{0,62}, either case.
[[nodiscard]] bool is_layer_name(std::string_view name);
[[nodiscard]] bool is_arch_name(std::string_view name);    // [a-z0-9_]{1,16}
[[nodiscard]] bool is_archive_name(std::string_view name); // [A-Za-z0-9][A-Za-z0-9._+-]{0,199}

// Strict: unknown or missing members, other formats, names that could lead elsewhere, two archives for one architecture
// and a version that is there twice are refused; so is an index of another layer than `name`, which may well carry a
// valid signature. Errors (invalid) name the member: "versions[2].archives[0].sha256 must …".
[[nodiscard]] Result<SourceIndex> parse_index(std::string_view json, std::string_view name);

// Deterministic: versions from the newest to the oldest, members and architectures sorted, two blanks, final newline.
[[nodiscard]] std::string write_index(const SourceIndex& index);

// The archive to take for an architecture: its own, else that for any.
[[nodiscard]] const IndexArchive* archive_for(const IndexVersion& version, std::string_view arch);

// Puts an archive into the index; one for the same version and architecture is replaced. The requirements of a version
// are the same for all of its architectures: conflict where they differ.
[[nodiscard]] Result<void> add_to_index(SourceIndex& index, const Version& version, const Requires& requires_,
                                        IndexArchive archive);

} // namespace squish::catalog
