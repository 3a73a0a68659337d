// The one FUSE mount of a user, in which every container's view of /proc and /sys is a folder. It is mounted in the
// keeper's copy of the host's mounts, where it outlives us, and in our own; the host never sees it.

#include "base/text.h"
#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"
#include "stager/requests.h"
#include "stager/service.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::stager {

namespace {

// fuse(4), Documentation/filesystems/fuse.rst. Readers have other ids than the mount's owner, hence allow_other; who
// may read what is decided by the modes that the server states.
std::vector<std::pair<std::string, std::string>> options(int connection) {
    return {{"source", "squish-procfs"},
            {"subtype", "squish-procfs"},
            {"fd", std::to_string(connection)},
            {"rootmode", "40000"},
            {"user_id", "0"},
            {"group_id", "0"},
            {"allow_other", ""},
            {"default_permissions", ""}};
}

Result<void> put_at(const std::string& point, int mount) {
    while (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
    }
    const auto bare = TRY(os::open_file(point, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    return os::attach_mount(mount, bare.get());
}

// In a process of its own: there is no way back from another mount namespace to the folders that we hold.
Result<void> put_at_home(int home, const std::string& point, int mount) {
    auto child = TRY(os::clone_process(0));
    if (child.pid == 0) {
        auto put = os::enter_namespace(home, CLONE_NEWNS);
        if (put)
            put = put_at(point, mount);
        ::_exit(put ? 0 : std::clamp(put.error().sys_errno, 1, 254));
    }
    (void) os::wait_ended(child.pidfd.get(), -1);
    const int error = os::exit_code(TRY(os::reap(child.pidfd.get())).status);
    return error == 0 ? Result<void>() : fail_errno("mount '" + point + "' for the stagers to come", error);
}

} // namespace

std::string Service::procfs_point() const {
    return workspace_.substr(0, workspace_.rfind('/')) + "/procfs";
}

// A new connection, and a mount in place of one that may be there: who asks has no other. Containers that were shown
// the old one keep it.
Result<Reply> Service::procfs_up() {
    auto connection = os::open_file("/dev/fuse", O_RDWR);
    if (!connection) {
        auto error = std::move(connection).error();
        error.kind = ErrorKind::unsupported;
        error.remedy = error.sys_errno == EACCES
                           ? "make it usable by all, as udev does: chmod 0666 /dev/fuse"
                           : "load the kernel's module (modprobe fuse); in a container, pass /dev/fuse on";
        return std::unexpected(std::move(error));
    }
    const auto point = procfs_point();
    if (::mkdir(point.c_str(), 0700) < 0 && errno != EEXIST)
        return fail_errno("make '" + point + "'");
    auto mount = os::new_filesystem("fuse", options(connection->get()),
                                    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (!mount) {
        auto error = std::move(mount).error();
        error.kind = ErrorKind::unsupported;
        error.remedy =
            "FUSE mounts of ordinary users need Linux 4.18 or later, and sysctl user.max_mnt_namespaces above 0";
        return std::unexpected(std::move(error));
    }
    TRY(put_at(point, mount->get()));
    const auto copy = TRY(os::clone_mount(mount->get(), "", false));
    TRY(put_at_home(home_.get(), point, copy.get()));
    Reply reply;
    reply.fds.push_back(std::move(*connection));
    return reply;
}

// What init puts over the container's own files.
Result<Reply> Service::procfs_view(const wire::Json& request) {
    const auto key = TRY(read_key(request));
    Reply reply;
    reply.fds.push_back(TRY(os::clone_mount(AT_FDCWD, procfs_point() + "/" + std::to_string(key), false)));
    return reply;
}

} // namespace squish::stager
