#include "os/mount.h"

#include "base/text.h"

#include <array>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::os {

Result<MountFd> clone_mount(int dir, const std::string& path, bool recursive) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path.empty() ? AT_EMPTY_PATH : 0U) |
                           (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
    const long fd = ::syscall(SYS_open_tree, dir, path.c_str(), flags);
    if (fd < 0)
        return fail_errno("open_tree '" + printable(path) + "'");
    return MountFd(static_cast<int>(fd));
}

Result<void> set_mount_attributes(int mount, std::uint64_t set, bool recursive) {
    struct mount_attr attributes{};
    attributes.attr_set = set;
    attributes.propagation = MS_PRIVATE;
    const unsigned flags = AT_EMPTY_PATH | (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
    if (::syscall(SYS_mount_setattr, mount, "", flags, &attributes, sizeof attributes) < 0)
        return fail_errno("mount_setattr");
    return {};
}

Result<void> attach_mount(int mount, int target) {
    if (::syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return fail_errno("move_mount");
    return {};
}

namespace {

// What the kernel says beyond errno: fscontext messages are "e text", read from the context's fd.
std::string context_message(int context) {
    std::array<char, 512> buffer{};
    std::string text;
    for (ssize_t got = 0; (got = ::read(context, buffer.data(), buffer.size())) > 2;) {
        if (!text.empty())
            text += "; ";
        text += printable(trim(std::string_view(buffer.data() + 2, static_cast<std::size_t>(got) - 2)));
    }
    return text;
}

} // namespace

Result<MountFd> new_filesystem(const char* type, const std::vector<std::pair<std::string, std::string>>& options,
                               std::uint64_t attributes) {
    const std::string what = std::string("mount ") + type;
    const UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)));
    if (!context)
        return fail_errno(what + ": fsopen");
    const auto failed = [&](const std::string& step) {
        const int error = errno;
        const auto more = context_message(context.get());
        return fail_errno(what + ": " + step + (more.empty() ? "" : ": " + more), error);
    };
    for (const auto& [key, value] : options) {
        const bool flag = value.empty();
        if (::syscall(SYS_fsconfig, context.get(), flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key.c_str(),
                      flag ? nullptr : value.c_str(), 0) < 0)
            return failed("option '" + key + "'");
    }
    if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
        return failed("create");
    const long mount = ::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes);
    if (mount < 0)
        return failed("fsmount");
    return MountFd(static_cast<int>(mount));
}

} // namespace squish::os
