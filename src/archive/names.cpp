#include "archive/names.h"

#include <climits>

namespace squish::archive {

std::string_view EntryName::parent() const {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? std::string_view() : std::string_view(path).substr(0, slash);
}

std::string_view EntryName::leaf() const {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? std::string_view(path) : std::string_view(path).substr(slash + 1);
}

Result<EntryName> parse_name(std::string_view name, const Limits& limits) {
    if (name.empty())
        return fail(ErrorKind::invalid, "it has no name");
    if (name.size() > limits.path_bytes)
        return fail(ErrorKind::invalid, "its name is longer than " + std::to_string(limits.path_bytes) + " bytes");
    EntryName out;
    out.absolute = name.front() == '/';
    std::size_t depth = 0;
    while (!name.empty()) {
        const auto slash = name.find('/');
        const auto part = name.substr(0, slash);
        name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
        if (part.empty() || part == ".")
            continue;
        if (part == "..")
            return fail(ErrorKind::invalid, "its name leads upwards ('..')");
        if (part.size() > NAME_MAX)
            return fail(ErrorKind::invalid, "a part of its name is longer than " + std::to_string(NAME_MAX) + " bytes");
        if (++depth > limits.depth)
            return fail(ErrorKind::invalid, "it lies deeper than " + std::to_string(limits.depth) + " folders");
        if (!out.path.empty())
            out.path += '/';
        out.path += part;
    }
    return out;
}

} // namespace squish::archive
