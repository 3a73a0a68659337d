#include "uplink/slirp4netns.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"
#include "uplink/probe.h"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish::uplink {

namespace {

constexpr const char* kTunDevice = "/dev/net/tun";
constexpr off_t kLogInMemory = 64 << 10;

// A file in memory that cannot grow: what does not fit is not written.
Result<UniqueFd> bounded_log() {
    UniqueFd log(::memfd_create("slirp4netns-log", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!log || ::ftruncate(log.get(), kLogInMemory) < 0 || ::fcntl(log.get(), F_ADD_SEALS, F_SEAL_GROW) < 0)
        return fail_errno("memory for the uplink's messages");
    return log;
}

std::string text_since(int log, off_t start) {
    std::string text(static_cast<std::size_t>(kLogInMemory), '\0');
    const ssize_t got = ::pread(log, text.data(), text.size(), start);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (const auto end = text.find('\0'); end != std::string::npos) // the unwritten rest of a bounded log
        text.resize(end);
    return text;
}

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

} // namespace

std::vector<std::string> slirp4netns_arguments(pid_t keeper, const Slirp4netnsOptions& options, int ready_fd,
                                               int exit_fd) {
    std::vector<std::string> arguments = {"slirp4netns",
                                          "--configure",
                                          "--mtu=" + std::to_string(options.mtu),
                                          "--disable-host-loopback",
                                          "--enable-sandbox",
                                          "--enable-seccomp",
                                          "--ready-fd=" + std::to_string(ready_fd),
                                          "--exit-fd=" + std::to_string(exit_fd)};
    if (!options.api_socket.empty())
        arguments.push_back("--api-socket=" + options.api_socket);
    arguments.push_back(std::to_string(keeper));
    arguments.push_back(options.interface);
    return arguments;
}

Error explain_end(std::string_view stderr_text) {
    std::string_view last;
    for (const auto line : split(stderr_text, '\n')) {
        const auto words = trim(line);
        if (words.contains("unrecognized option"))
            return {ErrorKind::unsupported, "slirp4netns is too old: " + printable(words),
                    "install slirp4netns 1.0 or newer: apt install slirp4netns", 0};
        // The first is on every start, the others say nothing about the cause, which is the line before.
        if (!words.empty() && !words.starts_with("WARNING: Support for seccomp") &&
            !words.starts_with("child failed") && !words.starts_with("sent tapfd") &&
            !words.starts_with("received tapfd"))
            last = words;
    }
    return {ErrorKind::unavailable,
            "slirp4netns ended at start: " + (last.empty() ? "it did not say why" : printable(last)),
            {},
            0};
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

Result<Uplink> start_slirp4netns(pid_t keeper, const Slirp4netnsOptions& options) {
    os::Spawn spawn;
    spawn.program = options.program.empty() ? TRY(find_slirp4netns()) : options.program;
    TRY(check_tun_device());
    if (!options.api_socket.empty() && ::unlink(options.api_socket.c_str()) < 0 && errno != ENOENT)
        return fail_errno("remove the stale socket '" + printable(options.api_socket) + "'");

    auto [ready, ready_theirs] = TRY(make_pipe());
    auto [exit_theirs, exit] = TRY(make_pipe());
    if (::fcntl(ready.get(), F_SETFL, O_NONBLOCK) < 0)
        return fail_errno("pipe");
    UniqueFd own_log;
    if (options.log_fd < 0)
        own_log = TRY(bounded_log());
    const int log = own_log ? own_log.get() : options.log_fd;

    Uplink uplink;
    uplink.log = TRY(os::open_file(os::fd_path(log), O_RDONLY));
    struct stat status{};
    if (!own_log && ::fstat(log, &status) == 0)
        uplink.log_start = status.st_size;

    spawn.args = slirp4netns_arguments(keeper, options, 3, 4);
    spawn.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    spawn.keep = {ready_theirs.get(), exit_theirs.get()};
    spawn.stderr_fd = log;
    auto child = TRY(os::spawn_detached(spawn));
    uplink.pid = child.pid;
    uplink.pidfd = std::move(child.pidfd);
    uplink.ready = std::move(ready);
    uplink.exit = std::move(exit);
    return uplink;
}

Result<bool> check_ready(Uplink& uplink) {
    char byte = 0;
    ssize_t got = 0;
    while ((got = ::read(uplink.ready.get(), &byte, 1)) < 0 && errno == EINTR) {
    }
    if (got == 1)
        return true;
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got < 0)
        return fail_errno("read the uplink's ready pipe");
    return std::unexpected(explain_end(text_since(uplink.log.get(), uplink.log_start)));
}

Result<void> await_ready(Uplink& uplink, std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        const bool ready = TRY(check_ready(uplink));
        if (ready)
            return {};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return fail(ErrorKind::unavailable,
                        "slirp4netns is not ready after " + std::to_string(deadline.count()) + " ms");
        pollfd waiting{uplink.ready.get(), POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
            return fail_errno("poll");
    }
}

} // namespace squish::uplink
