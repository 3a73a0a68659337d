#include "layers/sandbox.h"

#include "base/sanitizers.h"
#include "base/text.h"
#include "layers/system_calls.h"
#include "os/file.h"
#include "os/mount.h"
#include "os/privileges.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::layers {

namespace {

// --- the empty root

Result<void> enter_empty_root() {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
        return fail_errno("make mounts private");
    const auto root = TRY(os::new_filesystem("tmpfs", {{"size", "4k"}, {"nr_inodes", "2"}, {"mode", "0555"}},
                                             MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                                 MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW));
    const auto anchor = TRY(os::open_file("/", O_PATH | O_DIRECTORY));
    TRY(os::attach_mount(root.get(), anchor.get()));
    if (::fchdir(root.get()) < 0 || ::syscall(SYS_pivot_root, ".", ".") < 0)
        return fail_errno("pivot_root");
    if (::umount2(".", MNT_DETACH) < 0 || ::chdir("/") < 0)
        return fail_errno("leave the old root");
    return {};
}

// --- Landlock; the numbers of its interface, since Debian 12's headers know its first three versions only

struct RulesetAttributes { // struct landlock_ruleset_attr
    std::uint64_t files = 0;
    std::uint64_t network = 0; // ABI 4
    std::uint64_t scoped = 0;  // ABI 6
};
struct [[gnu::packed]] BeneathAttributes { // struct landlock_path_beneath_attr
    std::uint64_t allowed = 0;
    std::int32_t folder = -1;
};
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr std::uint64_t kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3;
constexpr std::uint64_t kRemoveFolder = 1 << 4, kRemoveFile = 1 << 5, kMakeFolder = 1 << 7, kMakeFile = 1 << 8;
constexpr std::uint64_t kMakeLink = 1 << 12, kRefer = 1 << 13, kTruncate = 1 << 14;
constexpr std::uint64_t kAllOfAbi2 = (1 << 14) - 1, kIoctl = 1 << 15;

Result<void> confine_files(const Cell& cell) {
    const long abi = ::syscall(kCreateRuleset, nullptr, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    // ABI 1 forbids every rename and link between folders, which is half of the work. There the empty root must do.
    if (abi < 2)
        return {};
    RulesetAttributes attributes;
    attributes.files = kAllOfAbi2 | (abi >= 3 ? kTruncate : 0) | (abi >= 5 ? kIoctl : 0);
    attributes.network = abi >= 4 ? 3 : 0; // bind and connect
    attributes.scoped = abi >= 6 ? 3 : 0;  // abstract sockets and signals of others
    const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    const UniqueFd ruleset(static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0)));
    if (!ruleset)
        return fail_errno("landlock_create_ruleset");
    std::uint64_t allowed = kReadFile | kReadFolder;
    if (cell.access == Access::write)
        allowed |= kWriteFile | kRemoveFolder | kRemoveFile | kMakeFolder | kMakeFile | kMakeLink | kRefer | kTruncate;
    for (const int folder : cell.folders) {
        const BeneathAttributes rule{allowed & attributes.files, folder};
        if (::syscall(kAddRule, ruleset.get(), 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0) < 0)
            return fail_errno("landlock_add_rule");
    }
    if (::syscall(kRestrictSelf, ruleset.get(), 0) < 0)
        return fail_errno("landlock_restrict_self");
    return {};
}

// --- capabilities

// Owners and modes of files whose ids are in our namespace; and to reach into folders that the archive closed.
constexpr std::uint64_t kKept = 1ULL << CAP_CHOWN | 1ULL << CAP_FOWNER | 1ULL << CAP_DAC_OVERRIDE;

// --- limits

// xz may ask for 1 GiB (libarchive's own limit), a manifest of 500,000 entries for half of that.
constexpr rlim_t kMemory = 2ULL << 30;
constexpr rlim_t kDescriptors = 1024;

Result<void> limit(int what, rlim_t value) {
    const rlimit both{value, value};
    if (::setrlimit(static_cast<__rlimit_resource>(what), &both) < 0)
        return fail_errno("setrlimit");
    return {};
}

Result<void> set_limits(const Cell& cell) {
    TRY(limit(RLIMIT_CORE, 0));
    TRY(limit(RLIMIT_NOFILE, kDescriptors));
    if (!kAddressSanitizer)
        TRY(limit(RLIMIT_AS, kMemory));
    if (cell.max_file_bytes > 0) {
        ::signal(SIGXFSZ, SIG_IGN); // EFBIG instead
        TRY(limit(RLIMIT_FSIZE, cell.max_file_bytes));
    }
    return {};
}

} // namespace

Result<MountFd> private_view(int folder, Access access) {
    struct stat given{}, found{};
    if (::fstat(folder, &given) < 0)
        return fail_errno("look at the folder");
    if (!S_ISDIR(given.st_mode))
        return fail(ErrorKind::invalid, "a descriptor of the request is no folder");
    // The descriptor comes from another mount namespace, whose mounts cannot be cloned from here.
    std::string path(4097, '\0');
    const auto length = ::readlink(os::fd_path(folder).c_str(), path.data(), path.size());
    if (length <= 0 || length > 4096)
        return fail_errno("find the folder's path", length < 0 ? errno : ENAMETOOLONG);
    path.resize(static_cast<std::size_t>(length));
    const auto here = TRY(os::open_file(path, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    if (::fstat(here.get(), &found) < 0)
        return fail_errno("look at '" + printable(path) + "'");
    if (given.st_dev != found.st_dev || given.st_ino != found.st_ino)
        return fail(ErrorKind::unavailable, "'" + printable(path) + "' is not the same folder here as in squishd",
                    "choose a data folder that is not mounted anew while squish runs, or run 'squish daemon stop'");
    auto mount = TRY(os::clone_mount(here.get(), "", true));
    TRY(os::set_mount_attributes(mount.get(),
                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                     (access == Access::read ? MOUNT_ATTR_RDONLY : 0),
                                 true));
    // The descriptor of a detached mount is O_PATH; files are listed and times are set through one that is open.
    return MountFd(TRY(os::open_at(mount.get(), ".", O_RDONLY | O_DIRECTORY)));
}

Result<void> enter(const Cell& cell) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0)
        return fail_errno("make the namespaces to unpack in", errno,
                          "run 'squish doctor': user namespaces may be limited (sysctl user.max_user_namespaces)");
    TRY(cell.map_ids());
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // again: a change of credentials may forget it
    (void) ::setgroups(0, nullptr);     // EPERM where the user has one id only: the groups stay, and reach nothing
    if (::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0)
        return fail_errno("become the namespace's root");
    TRY(enter_empty_root());
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail_errno("PR_SET_NO_NEW_PRIVS");
    TRY(confine_files(cell));
    TRY(os::give_up_privileges(kKept));
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    TRY(set_limits(cell));
    return filter_system_calls();
}

} // namespace squish::layers
