#include "procfs/version.h"

namespace squish::procfs {

std::string version(std::string_view host) {
    // "Linux version 6.1.0-25-amd64 (debian-kernel@lists.debian.org) (gcc-12 …) #1 SMP …": uname(2) tells the rest.
    const auto open = host.find(" (");
    const auto close = host.find(')', open == std::string_view::npos ? host.size() : open);
    if (!host.starts_with("Linux version ") || close == std::string_view::npos)
        return std::string(host);
    if (!host.substr(open, close - open).contains('@'))
        return std::string(host);
    return std::string(host.substr(0, open)) + " (squish@squish)" + std::string(host.substr(close + 1));
}

} // namespace squish::procfs
