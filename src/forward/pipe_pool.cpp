#include "forward/pipe_pool.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>

namespace squish::forward {

namespace {
// The forwarder's CPU time per GB falls by about a tenth from 64 to 128 KiB, and hardly further up to 1 MiB.
constexpr std::size_t kPipeBytes = 128 * 1024;
constexpr std::size_t kPageBytes = 4096; // the unit of pipe-user-pages-soft on the machines we run on
constexpr std::size_t kFreePipes = 16;
constexpr std::uint64_t kDefaultSoftPages = 16384;
} // namespace

PipePool::Limits PipePool::machine_limits() {
    Limits limits;
    auto soft = kDefaultSoftPages;
    if (const auto text = os::read_file("/proc/sys/fs/pipe-user-pages-soft"))
        soft = parse_number(trim(*text)).value_or(soft);
    if (soft == 0) // no limit
        soft = kDefaultSoftPages;
    limits.pages = static_cast<std::size_t>(std::min(soft, 16 * kDefaultSoftPages) / 2);
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0)
        limits.highest_fd = static_cast<int>(std::min<rlim_t>(files.rlim_cur, 1 << 30));
    return limits;
}

std::optional<Pipe> PipePool::make() const {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return std::nullopt;
    Pipe pipe{UniqueFd(fds[0]), UniqueFd(fds[1]), 0};
    if (std::max(fds[0], fds[1]) >= limits_.highest_fd)
        return std::nullopt;
    // Refused (EPERM) where the user's other programs have used up the soft limit: then it stays as it is.
    ::fcntl(fds[1], F_SETPIPE_SZ, static_cast<int>(limits_.pipe_bytes ? limits_.pipe_bytes : kPipeBytes));
    const int bytes = ::fcntl(fds[1], F_GETPIPE_SZ);
    pipe.pages = std::max<std::size_t>(1, static_cast<std::size_t>(std::max(bytes, 0)) / kPageBytes);
    return pipe;
}

std::optional<Pipe> PipePool::take(PipeAccount& account) {
    if (account.pages >= limits_.pages / 2)
        return std::nullopt;
    std::optional<Pipe> pipe;
    if (!free_.empty()) {
        pipe = std::move(free_.back()); // the one used last is the one whose pages the CPU still has
        free_.pop_back();
    } else {
        if (pages_ >= limits_.pages || !(pipe = make()))
            return std::nullopt;
        pages_ += pipe->pages;
    }
    account.pages += pipe->pages;
    return pipe;
}

void PipePool::give_back(Pipe pipe, PipeAccount& account, bool empty) {
    account.pages -= pipe.pages;
    if (empty && free_.size() < kFreePipes)
        free_.push_back(std::move(pipe));
    else
        pages_ -= pipe.pages;
}

} // namespace squish::forward
