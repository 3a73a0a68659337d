#include "os/file.h"

#include "base/text.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // Linux 6.3
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 // Linux 6.3
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U // Linux 6.3
#endif

namespace squish::os {

Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode) {
    return open_at(AT_FDCWD, path, flags, mode);
}

Result<UniqueFd> open_at(int dir, const std::string& path, int flags, mode_t mode) {
    for (;;) {
        const int fd = ::openat(dir, path.c_str(), flags | O_CLOEXEC, mode);
        if (fd >= 0)
            return UniqueFd(fd);
        if (errno != EINTR)
            return fail_errno("open '" + printable(path) + "'");
    }
}

Result<UniqueFd> open_beneath(int dir, const std::string& path, std::uint64_t flags, std::uint64_t resolve,
                              mode_t mode) {
    struct open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.mode = mode;
    how.resolve = resolve;
    for (;;) {
        const long fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
        if (fd >= 0)
            return UniqueFd(static_cast<int>(fd));
        if (errno != EINTR && errno != EAGAIN) // EAGAIN: a rename raced with the walk; openat2(2) says try again
            return fail_errno("open '" + printable(path) + "'");
    }
}

Result<std::string> read_all(int fd, std::size_t limit) {
    std::string out;
    struct stat info{};
    std::size_t step = 4096;
    if (::fstat(fd, &info) == 0 && info.st_size > 0)
        step = static_cast<std::size_t>(info.st_size) + 1;
    limit = std::min(limit, std::size_t{1} << 40); // limit + 1 must not overflow
    step = std::min(step, limit + 1);
    for (;;) {
        const auto have = out.size();
        out.resize(have + step);
        const auto got = ::read(fd, out.data() + have, step);
        if (got < 0) {
            out.resize(have);
            if (errno == EINTR)
                continue;
            return fail_errno("read");
        }
        out.resize(have + static_cast<std::size_t>(got));
        if (got == 0)
            return out;
        if (out.size() > limit)
            return fail(ErrorKind::invalid, "file is larger than " + std::to_string(limit) + " bytes");
        step = std::max<std::size_t>(step, 4096);
    }
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    return read_file_at(AT_FDCWD, path, limit);
}

Result<std::string> read_file_at(int dir, const std::string& path, std::size_t limit) {
    const auto fd = TRY(open_at(dir, path, O_RDONLY));
    auto text = read_all(fd.get(), limit);
    if (!text)
        return std::unexpected(std::move(text).error().within("'" + printable(path) + "'"));
    return text;
}

Result<void> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0) {
            if (errno == EINTR)
                continue;
            return fail_errno("write");
        }
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

Result<void> write_existing(const std::string& path, std::string_view bytes) {
    const auto fd = TRY(open_file(path, O_WRONLY));
    const auto put = ::write(fd.get(), bytes.data(), bytes.size());
    if (put != static_cast<ssize_t>(bytes.size()))
        return fail_errno("write '" + printable(path) + "'", put < 0 ? errno : EIO);
    return {};
}

Result<void> write_atomically(int dir, const std::string& name, std::string_view bytes, mode_t mode) {
    const std::string temporary = "." + name + "." + random_hex(4) + ".tmp";
    const auto written = [&]() -> Result<void> {
        const auto fd = TRY(open_at(dir, temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
        TRY(write_all(fd.get(), bytes));
        if (::renameat(dir, temporary.c_str(), dir, name.c_str()) < 0)
            return fail_errno("rename to '" + printable(name) + "'");
        return {};
    }();
    if (!written)
        ::unlinkat(dir, temporary.c_str(), 0);
    return written;
}

Result<void> make_dirs(const std::string& path, mode_t mode) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        const auto part = path.substr(0, end);
        if (part.empty() || part == "/")
            continue;
        if (::mkdir(part.c_str(), mode) < 0 && errno != EEXIST) {
            // a folder that exists but may not be written gives EACCES or EROFS before EEXIST on some filesystems
            struct stat info{};
            if (const int error = errno; ::stat(part.c_str(), &info) < 0 || !S_ISDIR(info.st_mode))
                return fail_errno("make folder '" + printable(part) + "'", error);
        }
    }
    struct stat info{};
    if (::stat(path.c_str(), &info) < 0)
        return fail_errno("make folder '" + printable(path) + "'");
    if (!S_ISDIR(info.st_mode))
        return fail_errno("make folder '" + printable(path) + "'", ENOTDIR);
    return {};
}

Result<void> remove_tree(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error)
        return fail_errno("remove '" + printable(path) + "'", error.value());
    return {};
}

Result<UniqueFd> sealed_memfd(const char* name, std::string_view bytes, bool executable) {
    const unsigned base = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    // Kernels before 6.3 know neither flag and answer EINVAL; there a memfd is executable by default.
    int raw = ::memfd_create(name, base | (executable ? MFD_EXEC : MFD_NOEXEC_SEAL));
    if (raw < 0 && errno == EINVAL)
        raw = ::memfd_create(name, base);
    if (raw < 0)
        return fail_errno("memfd_create");
    UniqueFd fd(raw);
    TRY(write_all(fd.get(), bytes));
    // Nor may its execute bit be taken away (Linux 6.3; EINVAL before): it is shared by all who execute it.
    if (executable && ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_EXEC) < 0 && errno != EINVAL && errno != EPERM)
        return fail_errno("seal memfd");
    if (::lseek(fd.get(), 0, SEEK_SET) < 0)
        return fail_errno("lseek memfd");
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return fail_errno("seal memfd");
    return fd;
}

std::string fd_path(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

} // namespace squish::os
