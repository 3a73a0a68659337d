#include "engine/own_ids.h"

#include "base/text.h"

#include <algorithm>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <tuple>

namespace squish {

namespace {

constexpr std::uint32_t kOwnIds = 1023, kNobody = 65534; // keeper/slices.h

bool is_anonymous_pipe(int fd) {
    struct statfs filesystem{};
    return ::fstatfs(fd, &filesystem) == 0 && filesystem.f_type == PIPEFS_MAGIC;
}

// Whether somebody else than the owner could open what is behind the descriptor again, for that.
bool others_may(int fd, mode_t bit) {
    struct stat info{};
    if (fd < 0 || is_anonymous_pipe(fd)) // absent, or opened to all below
        return true;
    if (::fstat(fd, &info) < 0)
        return false;
    return S_ISSOCK(info.st_mode) || (info.st_mode & bit) != 0; // no socket can be opened by a path (ENXIO)
}

// A folder must be readable and enterable, a file readable. What is not there fails later, with a better message.
bool others_may_read(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0)
        return true;
    const mode_t needed = S_ISDIR(info.st_mode) ? S_IROTH | S_IXOTH : S_IROTH;
    return (info.st_mode & needed) == needed;
}

std::string about(const plan::Mount& mount) {
    return mount.layer.empty() ? "'" + printable(mount.target) + "'" : "layer '" + printable(mount.layer) + "'";
}

} // namespace

std::string why_users_ids(const plan::ContainerPlan& plan, const AttachedIo& io) {
    if (plan.machine.single_id)
        return "the account has no subordinate ids";
    if (plan.user_given)
        return "[run] user is given";
    for (const auto& mount : plan.mounts)
        if (!mount.read_only)
            return about(mount) + " is mounted rw";
    if (!others_may_read(plan.rootfs))
        return "the rootfs '" + printable(plan.rootfs) + "' cannot be read by everybody";
    for (const auto& mount : plan.mounts)
        if (!others_may_read(mount.source))
            return about(mount) + ": '" + printable(mount.source) + "' cannot be read by everybody";
    // Not so the rootfs: every system has some (/etc/shadow, /root), and what runs in it does without.
    for (const auto& mount : plan.mounts)
        if (mount.closed > 0)
            return about(mount) + " has files that not everybody may read";
    if (io.console)
        return "";
    for (const auto& [stream, bit, name] :
         {std::tuple{&io.in, S_IROTH, "stdin"}, {&io.out, S_IWOTH, "stdout"}, {&io.err, S_IWOTH, "stderr"}})
        if (!others_may(stream->get(), bit))
            return std::string(name) + " is a file or terminal that not everybody may open";
    return "";
}

void open_pipes_to_all(const AttachedIo& io) {
    for (const auto* stream : {&io.in, &io.out, &io.err})
        if (*stream && is_anonymous_pipe(stream->get()))
            (void) ::fchmod(stream->get(), 0666); // of another user's pipe: not ours to change, nor to care about
}

void adapt_environment(const Squishfile& file, std::vector<std::pair<std::string, std::string>>& environment) {
    if (std::ranges::any_of(file.env, [](const auto& pair) { return pair.first == "HOME"; }))
        return;
    for (auto& [key, value] : environment)
        if (key == "HOME" && value == "/root")
            value = "/";
}

Result<void> check_own_ids(const UserSpec& user) {
    const auto known = [](std::uint32_t id) { return id < kOwnIds || id == kNobody; };
    if (known(user.uid) && known(user.gid))
        return {};
    return fail(ErrorKind::unsupported,
                "the container has ids of its own, from 0 to " + std::to_string(kOwnIds - 1) + " and " +
                    std::to_string(kNobody),
                "take one of these, or start it with [security] ids = \"user\"");
}

} // namespace squish
