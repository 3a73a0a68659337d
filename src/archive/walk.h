// Walks a tree by descriptor, never following a link: the one way in which trees are read here.
//
// Order: a folder before what is in it, names by their bytes. So two equal trees are walked alike, on any filesystem
// and in any locale.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <string>
#include <sys/stat.h>

namespace squish::archive {

struct Node {
    const std::string& path; // from the root of the walk, "" for the root itself
    const char* name;        // within `folder`
    int folder;
    const struct stat& info;
};

class Visitor {
public:
    Visitor() = default;
    Visitor(const Visitor&) = delete;
    Visitor& operator=(const Visitor&) = delete;
    virtual ~Visitor() = default;
    // `fd` is the folder itself, open for reading.
    [[nodiscard]] virtual Result<void> enter(const Node& node, int fd) = 0;
    [[nodiscard]] virtual Result<void> leave(const Node& node, int fd) = 0;
    [[nodiscard]] virtual Result<void> leaf(const Node& node) = 0; // whatever is no folder
    // What could not be looked at; returning it ends the walk, returning {} goes on beside it.
    [[nodiscard]] virtual Result<void> problem(const std::string& path, Error error) = 0;
};

// `root` is borrowed. Deeper than `max_depth` folders is a problem() of the folder there.
[[nodiscard]] Result<void> walk(int root, std::size_t max_depth, Visitor& visitor);

// As a path is written in messages: 'a/b', control bytes shown, '.' for the root.
[[nodiscard]] std::string quoted(const std::string& path);

} // namespace squish::archive
