#include "uplink/log.h"

#include "os/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::uplink {

namespace {

constexpr off_t kLogInMemory = 64 << 10;

// A file in memory that cannot grow: what does not fit is not written.
Result<UniqueFd> bounded_log() {
    UniqueFd log(::memfd_create("uplink-log", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!log || ::ftruncate(log.get(), kLogInMemory) < 0 || ::fcntl(log.get(), F_ADD_SEALS, F_SEAL_GROW) < 0)
        return fail_errno("memory for the uplink's messages");
    return log;
}

} // namespace

Result<int> open_log(Uplink& uplink, const Options& options, UniqueFd& own) {
    if (options.log_fd < 0)
        own = TRY(bounded_log());
    const int log = own ? own.get() : options.log_fd;
    uplink.log = TRY(os::open_file(os::fd_path(log), O_RDONLY));
    struct stat status{};
    if (!own && ::fstat(log, &status) == 0)
        uplink.log_start = status.st_size;
    return log;
}

std::string last_words(const Uplink& uplink) {
    std::string text(static_cast<std::size_t>(kLogInMemory), '\0');
    const ssize_t got = ::pread(uplink.log.get(), text.data(), text.size(), uplink.log_start);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (const auto end = text.find('\0'); end != std::string::npos) // the unwritten rest of a bounded log
        text.resize(end);
    return text;
}

} // namespace squish::uplink
