#include "fetcher/sandbox.h"

#include "base/sanitizers.h"
#include "os/file.h"
#include "os/privileges.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Later than the headers of Debian 12; the kernel says by its ABI number what it knows.
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13) // ABI 2, Linux 5.19
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) // ABI 3, Linux 6.2
#endif
#define SQUISH_LANDLOCK_FS_IOCTL_DEV (1ULL << 15) // ABI 5, Linux 6.10

namespace squish::fetcher {

namespace {

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrite = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                 LANDLOCK_ACCESS_FS_MAKE_REG;

// What getaddrinfo(3) and TLS read: configuration, name service modules, certificates, the resolver's state.
constexpr const char* kReadable[] = {"/etc",
                                     "/lib",
                                     "/lib64",
                                     "/usr/lib",
                                     "/usr/lib64",
                                     "/usr/share/ca-certificates",
                                     "/usr/local/share/ca-certificates",
                                     "/run/systemd",
                                     "/run/resolvconf",
                                     "/run/NetworkManager",
                                     "/dev/null",
                                     "/dev/urandom",
                                     "/usr/share/zoneinfo"};

std::uint64_t handled_by(long abi) {
    std::uint64_t all = (1ULL << 13) - 1; // ABI 1: EXECUTE … MAKE_SYM
    if (abi >= 2)
        all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        all |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi >= 5)
        all |= SQUISH_LANDLOCK_FS_IOCTL_DEV;
    return all;
}

// What is not there needs no rule.
Result<void> allow(int ruleset, const std::string& path, std::uint64_t access) {
    const auto fd = os::open_file(path, O_PATH);
    if (!fd)
        return {};
    struct stat info{};
    if (::fstat(fd->get(), &info) < 0)
        return fail_errno("fstat '" + path + "'");
    if (!S_ISDIR(info.st_mode)) // a rule for a file with rights of folders is refused
        access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                  LANDLOCK_ACCESS_FS_TRUNCATE;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access;
    rule.parent_fd = fd->get();
    if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return fail_errno("landlock_add_rule '" + path + "'");
    return {};
}

Result<void> limit(int what, const char* name, std::uint64_t value) {
    rlimit now{};
    if (::getrlimit(static_cast<__rlimit_resource>(what), &now) < 0)
        return fail_errno("getrlimit");
    now.rlim_cur = now.rlim_max = std::min<rlim_t>(now.rlim_max, value);
    if (::setrlimit(static_cast<__rlimit_resource>(what), &now) < 0)
        return fail_errno(std::string("setrlimit ") + name);
    return {};
}

} // namespace

Result<void> harden(std::uint64_t max_file_bytes) {
    TRY(os::give_up_privileges(0));
    TRY(limit(RLIMIT_CORE, "core", 0));
    TRY(limit(RLIMIT_NOFILE, "nofile", 64));
    TRY(limit(RLIMIT_FSIZE, "fsize", max_file_bytes));
    if (!kAddressSanitizer)
        TRY(limit(RLIMIT_AS, "as", 2ULL << 30));
    return {};
}

Result<void> confine(const std::vector<std::string>& writable) {
    const auto abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return {}; // ENOSYS, or EOPNOTSUPP where it was not enabled at boot
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = handled_by(abi);
    const UniqueFd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
    if (!ruleset)
        return fail_errno("landlock_create_ruleset");
    for (const auto* path : kReadable)
        TRY(allow(ruleset.get(), path, kRead));
    // A link to wherever this machine keeps it.
    if (char* const resolv = ::realpath("/etc/resolv.conf", nullptr); resolv != nullptr) {
        const std::string path = resolv;
        std::free(resolv);
        TRY(allow(ruleset.get(), path, kRead));
    }
    auto write = kWrite;
    if (abi >= 3)
        write |= LANDLOCK_ACCESS_FS_TRUNCATE;
    for (const auto& path : writable)
        if (!path.empty())
            TRY(allow(ruleset.get(), path, write));
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0)
        return fail_errno("landlock_restrict_self");
    return {};
}

} // namespace squish::fetcher
