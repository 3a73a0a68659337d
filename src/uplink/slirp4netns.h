// Starts slirp4netns(1), the uplink: a user-mode TCP/IP stack behind the interface "tap0" of the user's own network
// namespace. Called on the host side, as the user, in the initial namespaces.
//
// How this works. slirp4netns opens /dev/net/tun, joins the keeper's user and network namespace for long enough to
// make the tap, and stays outside of that network: what containers send through the tap it sends again with sockets
// of the host. It is detached: nobody's child. It ends when the write end of the exit pipe is closed: the caller gives
// that to the keeper, and the uplink lives as long as the keeper does, whatever becomes of the caller.
//
// With --enable-sandbox it then joins the keeper's *user* namespace for good, makes a mount namespace of its own there
// that holds nothing but /etc and /run, read-only (resolv.conf, wherever it points), and keeps CAP_NET_BIND_SERVICE
// alone; with --enable-seccomp it cannot exec, mount, ptrace or join namespaces any more. Both work where the keeper
// has mapped its ids, by newuidmap or one id, and need neither its mount namespace nor its files. The API socket is
// made before that and cannot be removed from within: a stale file stays behind when it ends, and is removed here
// before the next start.
//
// Addresses: 10.0.2.100/24 on tap0, 10.0.2.2 the router, 10.0.2.3 DNS. The host's loopback is out of reach
// (--disable-host-loopback); DNS is forwarded to the host's resolver even if that is on loopback.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace squish::uplink {

struct Slirp4netnsOptions {
    std::uint32_t mtu = 65520;
    std::string interface = "tap0";
    std::string api_socket; // path of its JSON API, at most 107 bytes; empty: none
    int log_fd = -1;        // a regular file that takes its stderr; -1: kept in memory, 64 KiB at most
    std::string program;    // empty: found in PATH
};

// A running uplink. Closing these descriptors does not end it but for `exit`: that one does.
struct Uplink {
    pid_t pid = 0;
    Pidfd pidfd;    // readable when it has ended
    UniqueFd ready; // readable when check_ready() has news; non-blocking
    UniqueFd exit;  // write end: the uplink ends when all copies of it are closed
    UniqueFd log;   // its stderr, for reading
    off_t log_start = 0;
};

// Starts it for the namespaces of `keeper`; returns as soon as it runs, before it is ready.
// Errors: unsupported, with a remedy, where slirp4netns is not installed or /dev/net/tun cannot be opened.
[[nodiscard]] Result<Uplink> start_slirp4netns(pid_t keeper, const Slirp4netnsOptions& options = {});

// True: the tap is up, with address and default route. False: not yet. An error where it has ended at start
// (unavailable, with its last words) or is too old for us (unsupported). For an event loop that polls `ready`.
[[nodiscard]] Result<bool> check_ready(Uplink& uplink);
// Waits for that; an error (unavailable) where the deadline passes.
[[nodiscard]] Result<void> await_ready(Uplink& uplink, std::chrono::milliseconds deadline);

// The parts, for the probe and for tests.
[[nodiscard]] std::vector<std::string> slirp4netns_arguments(pid_t keeper, const Slirp4netnsOptions& options,
                                                             int ready_fd, int exit_fd);
// Why it ended at start, from what it wrote to stderr.
[[nodiscard]] Error explain_end(std::string_view stderr_text);
// Why /dev/net/tun cannot be opened: `open_errno`, and its mode bits where it exists.
[[nodiscard]] Error explain_tun(int open_errno, mode_t mode);
// Whether this user may open /dev/net/tun.
[[nodiscard]] Result<void> check_tun_device();

} // namespace squish::uplink
