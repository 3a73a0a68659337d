#include "uplink/uplink.h"

#include "uplink/pasta.h"
#include "uplink/probe.h"
#include "uplink/slirp4netns.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace squish::uplink {

namespace {
constexpr const char* kTunDevice = "/dev/net/tun";
}

const char* to_string(Driver driver) {
    switch (driver) {
    case Driver::slirp4netns:
        return "slirp4netns";
    case Driver::pasta:
        return "pasta";
    }
    std::unreachable();
}

Result<Driver> choose(Choice choice) {
    switch (choice) {
    case Choice::slirp4netns:
        return Driver::slirp4netns;
    case Choice::pasta:
        TRY(probe_pasta());
        return Driver::pasta;
    case Choice::automatic: {
        auto usual = find_slirp4netns();
        if (usual)
            return Driver::slirp4netns;
        const auto other = probe_pasta();
        if (other)
            return Driver::pasta;
        auto error = std::move(usual).error();
        error.message += "; " + other.error().message;
        return std::unexpected(std::move(error));
    }
    }
    std::unreachable();
}

Result<Uplink> start(Driver driver, pid_t keeper, const Options& options) {
    switch (driver) {
    case Driver::slirp4netns:
        return start_slirp4netns(keeper, options);
    case Driver::pasta:
        return start_pasta(keeper, options);
    }
    std::unreachable();
}

Result<bool> check_ready(Uplink& uplink) {
    switch (uplink.driver) {
    case Driver::slirp4netns:
        return check_slirp4netns(uplink);
    case Driver::pasta:
        return check_pasta(uplink);
    }
    std::unreachable();
}

Result<void> await_ready(Uplink& uplink, std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        const bool ready = TRY(check_ready(uplink));
        if (ready)
            return {};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return fail(ErrorKind::unavailable, std::string(to_string(uplink.driver)) + " is not ready after " +
                                                    std::to_string(deadline.count()) + " ms");
        pollfd waiting{uplink.ready.get(), POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
            return fail_errno("poll");
    }
}

Error explain_tun(int open_errno, mode_t mode) {
    const std::string device = std::string("'") + kTunDevice + "'";
    if (open_errno == ENOENT)
        return {ErrorKind::unsupported, device + " does not exist", "as root: modprobe tun", open_errno};
    if (open_errno == ENODEV || open_errno == ENXIO)
        return {ErrorKind::unsupported, device + " has no driver: " + errno_text(open_errno), "as root: modprobe tun",
                open_errno};
    if (open_errno == EACCES || open_errno == EPERM) {
        const char digits[] = {char('0' + (mode >> 9 & 7)), char('0' + (mode >> 6 & 7)), char('0' + (mode >> 3 & 7)),
                               char('0' + (mode & 7)), '\0'};
        return {ErrorKind::unsupported, device + " is not accessible: its mode is " + digits,
                "as root: chmod 0666 " + std::string(kTunDevice), open_errno};
    }
    return {ErrorKind::unsupported, "open " + device + ": " + errno_text(open_errno), {}, open_errno};
}

Result<void> check_tun_device() {
    const UniqueFd device(::open(kTunDevice, O_RDWR | O_CLOEXEC));
    if (device)
        return {};
    const int error = errno;
    struct stat status{};
    const bool exists = ::stat(kTunDevice, &status) == 0;
    return std::unexpected(explain_tun(error, exists ? status.st_mode : 0));
}

} // namespace squish::uplink
