// /proc/version: without who built the host's kernel, and where: "(user@host)".
#include "procfs/files.h"

namespace squish::procfs {

namespace {

// The end of the group that opens at `start`; npos where it is never closed.
std::size_t end_of_group(std::string_view text, std::size_t start) {
    std::size_t depth = 0;
    for (auto i = start; i < text.size(); ++i) {
        if (text[i] == '(')
            ++depth;
        else if (text[i] == ')' && --depth == 0)
            return i + 1;
    }
    return std::string_view::npos;
}

} // namespace

// "Linux version RELEASE (USER@HOST) (COMPILER) #BUILD DATE" (init/version.c). No other group has an '@' in it.
std::string version(std::string_view host, const View&) {
    std::string out;
    while (!host.empty()) {
        const auto start = host.find('(');
        out += host.substr(0, start);
        if (start == std::string_view::npos)
            break;
        const auto end = end_of_group(host, start);
        const auto group = host.substr(start, end - start);
        host.remove_prefix(start + group.size());
        if (!group.contains('@'))
            out += group;
        else if (host.starts_with(' '))
            host.remove_prefix(1);
    }
    if (!out.ends_with('\n'))
        out += '\n';
    return out;
}

} // namespace squish::procfs
