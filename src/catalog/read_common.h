// What the readers of indexes, manifests and lock files share; private to the module.
#pragma once

#include "catalog/source_index.h"
#include "squishfile/node.h"

namespace squish::catalog {

[[nodiscard]] std::optional<Version> read_version(const reader::Node& node);
[[nodiscard]] std::optional<std::string> read_sha256(const reader::Node& node);
// A table of layer name → requirement.
[[nodiscard]] Requires read_requires(const reader::Node& node);
// The first error, and how many more there are; for messages of one line.
[[nodiscard]] std::string first_of(const std::vector<Diagnostic>& diagnostics);

} // namespace squish::catalog
