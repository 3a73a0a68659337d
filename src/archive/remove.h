// Removing trees by descriptor: any depth, any mode, never through a link.
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace squish::archive {

// Removes `name` (one part, no slash) of the folder `parent`; what is not there is fine. May be interrupted at any
// moment and called again. What it holds may not be written meanwhile.
//
// Folders within folders are first moved up to the top of the tree, so that two descriptors are enough for any depth.
[[nodiscard]] Result<void> remove_tree(int parent, const std::string& name);

// The names in a folder, unsorted, without "." and "..".
[[nodiscard]] Result<std::vector<std::string>> list_names(int folder);

} // namespace squish::archive
