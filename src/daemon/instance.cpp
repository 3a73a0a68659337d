#include "daemon/instance.h"

#include "base/text.h"
#include "daemon/http.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

#include <chrono>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::daemon {

namespace {

constexpr std::chrono::seconds kPatience(8);
constexpr int kRetryMs = 20;

// Until the process that holds the lock has ended, at most kRetryMs.
void wait_for_holder(int lock) {
    char text[32] = {};
    const auto got = ::pread(lock, text, sizeof text - 1, 0);
    const auto pid = parse_number(trim(std::string_view(text, got > 0 ? static_cast<std::size_t>(got) : 0)));
    if (pid && *pid > 0 && *pid < (1 << 30))
        if (const auto holder = os::open_pidfd(static_cast<pid_t>(*pid)); holder && !os::has_ended(holder->get())) {
            (void) os::wait_ended(holder->get(), kRetryMs);
            return;
        }
    ::poll(nullptr, 0, kRetryMs); // it has not written its pid yet
}

} // namespace

Result<std::optional<Instance>> Instance::claim(const Paths& paths) {
    auto lock = TRY(os::open_file(paths.state + "/squishd.lock", O_RDWR | O_CREAT, 0600));
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno("lock '" + printable(paths.state) + "/squishd.lock'");
        if (os::connect_unix(paths.socket, SOCK_STREAM))
            return std::optional<Instance>();
        if (std::chrono::steady_clock::now() > deadline)
            return fail(ErrorKind::conflict,
                        "another squishd holds '" + printable(paths.state) + "/squishd.lock' but serves no socket",
                        "end it, then try again");
        wait_for_holder(lock.get());
    }
    const auto pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock.get(), 0) < 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0)
        return fail_errno("write '" + printable(paths.state) + "/squishd.lock'");
    return std::optional<Instance>(Instance(std::move(lock)));
}

void Instance::remove_socket(const Paths& paths) const {
    ::unlink(paths.socket.c_str());
}

void ReadyPipe::tell(std::string_view line) {
    if (!pipe_)
        return;
    (void) os::write_all(pipe_.get(), line); // whoever started us may have lost patience
    pipe_.reset();
}

void ReadyPipe::ready() {
    tell("ready\n");
}

void ReadyPipe::failed(const Error& error) {
    tell(dump(error_body(error)) + "\n");
}

} // namespace squish::daemon
