// What only time brings: all frozen, all ended. The kernel tells of it by cgroup.events (poll(2): POLLPRI).
#include "limits/cgroup.h"
#include "limits/figures.h"
#include "os/file.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <unistd.h>

namespace squish::limits {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// The kernel tells at most every 10 ms, and nothing of what is still to be told when the cgroup is removed
// (cgroup_rm_file()): so the file is read again now and then, too.
constexpr milliseconds kLookAgain{500};

// The text of cgroup.events; empty once the cgroup is gone.
Result<std::string> read_again(int file) {
    if (::lseek(file, 0, SEEK_SET) < 0)
        return fail_errno("cgroup.events");
    auto text = os::read_all(file, 4096);
    if (!text && text.error().sys_errno == ENODEV)
        return std::string();
    return text;
}

// Tells of one change, or of none within `limit`. The kernel's notice may come before: it compares with what was read.
asio::awaitable<void> wait_change(std::shared_ptr<asio::posix::stream_descriptor> file, milliseconds limit) {
    const auto timer = std::make_shared<asio::steady_timer>(file->get_executor(), limit);
    timer->async_wait([file, timer](boost::system::error_code error) {
        if (!error)
            (void) file->cancel(error);
    });
    co_await file->async_wait(asio::posix::stream_descriptor::wait_error, kAwait);
    (void) timer->cancel();
}

// Whether `key` comes to be `value` (or the cgroup to its end) within `limit`.
Task<bool> wait_for(int folder, const char* key, std::uint64_t value, milliseconds limit) {
    auto opened = os::open_beneath(folder, "cgroup.events", O_RDONLY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (!opened) {
        if (opened.error().sys_errno == ENOENT)
            co_return true;
        co_return std::unexpected(std::move(opened).error());
    }
    const int file = opened->get();
    const auto end = Clock::now() + limit;
    std::shared_ptr<asio::posix::stream_descriptor> watched;
    for (;;) {
        CO_TRY_TO(const auto text, read_again(file));
        if (text.empty() || parse_keyed(text, key) == value)
            co_return true;
        const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
        if (left <= milliseconds(0))
            co_return false;
        if (!watched) {
            watched = std::make_shared<asio::posix::stream_descriptor>(co_await asio::this_coro::executor);
            boost::system::error_code error;
            (void) watched->assign(file, error);
            if (error) // not the kernel's file
                co_return fail_errno("watch cgroup.events", error.value());
            (void) opened->release();
        }
        const auto pause = std::min(left, kLookAgain);
        co_await wait_change(watched, pause);
    }
}

} // namespace

Task<void> set_frozen(int folder, bool frozen, milliseconds limit) {
    CO_TRY(write_value(folder, "cgroup.freeze", frozen ? "1" : "0"));
    CO_TRY_TO(const bool reached, co_await wait_for(folder, "frozen", frozen ? 1 : 0, limit));
    if (reached)
        co_return Result<void>();
    if (frozen)
        (void) write_value(folder, "cgroup.freeze", "0");
    co_return fail(ErrorKind::unavailable,
                   frozen ? "a process cannot be stopped: it waits for a device or a file system that does not answer"
                          : "the processes do not go on");
}

Task<void> wait_empty(int folder, milliseconds limit) {
    CO_TRY_TO(const bool reached, co_await wait_for(folder, "populated", 0, limit));
    if (!reached)
        co_return fail(ErrorKind::unavailable, "a process does not end: it waits for a device or a file system that "
                                               "does not answer");
    co_return Result<void>();
}

} // namespace squish::limits
