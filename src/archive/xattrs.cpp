#include "archive/xattrs.h"

#include <cerrno>
#include <sys/xattr.h>

namespace squish::archive {

bool is_kept_xattr(std::string_view name) {
    return name.starts_with("user.") && name.size() > 5;
}

namespace {

bool is_right(std::string_view name) {
    return name == "security.capability" || name.starts_with("system.posix_acl_");
}

} // namespace

Result<Xattrs> read_xattrs(int fd) {
    Xattrs out;
    const auto size = ::flistxattr(fd, nullptr, 0);
    if (size <= 0) {
        if (size == 0 || errno == ENOTSUP)
            return out;
        return fail_errno("list its attributes");
    }
    std::string names(static_cast<std::size_t>(size), '\0');
    const auto listed = ::flistxattr(fd, names.data(), names.size());
    if (listed < 0)
        return fail_errno("list its attributes");
    names.resize(static_cast<std::size_t>(listed));
    std::string value(64 * 1024, '\0'); // XATTR_SIZE_MAX
    for (std::size_t at = 0; at < names.size();) {
        const std::string name(names.c_str() + at);
        at += name.size() + 1;
        if (!is_kept_xattr(name) && !is_right(name))
            continue;
        const auto got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (got < 0)
            return fail_errno("read its attribute");
        out.emplace(name, value.substr(0, static_cast<std::size_t>(got)));
    }
    return out;
}

} // namespace squish::archive
