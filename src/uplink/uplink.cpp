#include "uplink/uplink.h"

#include "base/text.h"
#include "os/file.h"
#include "uplink/pasta.h"
#include "uplink/probe.h"
#include "uplink/slirp4netns.h"

#include <cerrno>
#include <charconv>
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

bool has_default_route6(std::string_view text) {
    constexpr unsigned kReject = 0x0200; // RTF_REJECT, <linux/route.h>
    for (const auto line : split(text, '\n')) {
        // destination, its prefix, source, its prefix, gateway, metric, references, uses, flags, interface
        auto words = split(line, ' ');
        std::erase_if(words, [](std::string_view word) { return word.empty(); });
        unsigned flags = kReject;
        if (words.size() == 10)
            std::from_chars(words[8].data(), words[8].data() + words[8].size(), flags, 16);
        if (!(flags & kReject) && words[1] == "00" && words[9] != "lo")
            return true;
    }
    return false;
}

Result<bool> wants_ipv6(Ipv6 wanted, Driver driver) {
    if (wanted == Ipv6::off)
        return false;
    if (driver == Driver::pasta) {
        if (wanted == Ipv6::on)
            return fail(ErrorKind::unsupported, "[uplink] ipv6 = true: squish has no IPv6 to the outside with pasta",
                        "install slirp4netns, or set [uplink] ipv6 = \"auto\" in squishd.toml");
        return false;
    }
    if (wanted == Ipv6::on)
        return true;
    const auto routes = os::read_file("/proc/thread-self/net/ipv6_route", 64 << 20);
    if (!routes && routes.error().sys_errno == ENOENT) // no IPv6 in the kernel
        return false;
    TRY(routes);
    return has_default_route6(*routes);
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
