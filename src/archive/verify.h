// Compares a tree with the manifest that was written when it was made.
#pragma once

#include "archive/manifest.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::archive {

struct Finding {
    std::string path; // printable; "." for the tree itself
    std::string what; // "content differs", "missing", "not in the manifest", "mode is 0777, was 0755", …
};

struct VerifyOptions {
    std::size_t max_findings = 100;
    // Called now and then with the bytes that were read; false ends the work ("cancelled").
    std::function<bool(std::uint64_t bytes, std::uint64_t files)> on_progress = [](std::uint64_t, std::uint64_t) {
        return true;
    };
};

struct Verified {
    std::vector<Finding> findings; // the first max_findings, in the order of walk()
    std::uint64_t found = 0;       // all of them
    std::uint64_t files = 0;       // entries looked at
    std::uint64_t bytes = 0;       // read
};

// Both are borrowed. Reads every file; an error only where the manifest itself is no manifest. What cannot be read is a
// finding.
[[nodiscard]] Result<Verified> verify(int tree, std::string_view manifest, const VerifyOptions& options = {});

// The sha256 of the manifest that this tree would have.
[[nodiscard]] Result<Digest> tree_digest_of(int tree);
// Its manifest: as unpack() writes it.
[[nodiscard]] Result<std::string> manifest_of(int tree);

} // namespace squish::archive
