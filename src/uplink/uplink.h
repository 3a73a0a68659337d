// The uplink: a program that is a user-mode TCP/IP stack behind an interface of the user's own network namespace. Which
// program it is, is a driver: slirp4netns.h, pasta.h. Called on the host side, as the user, in the initial namespaces.
//
// What every driver keeps. It makes the interface in the network namespace of `keeper` and stays outside of it: what
// containers send through it it sends again with sockets of the host. It is detached: nobody's child. It ends when the
// write end of the exit pipe is closed, or, where the driver knows no such pipe (`exit` is then absent), soon after the
// namespace has lost its last process; whoever shuts down ends it by `pidfd`. The caller gives both to the keeper, and
// the uplink lives as long as the keeper does, whatever becomes of the caller.
//
// Two networks. `way_out`: 10.0.2.0/24 on "tap0", 10.0.2.100 ours, 10.0.2.2 the router, 10.0.2.3 DNS (the host's
// resolver, even where that is on loopback); it is the default route, and the host's loopback is out of reach.
// `host_loopback`: 10.0.3.0/24 on "tap1", where 10.0.3.2 is the host's 127.0.0.1. It is no default route; the interface
// is made, but neither up nor given its address 10.0.3.100: the stager does that. The packet filter
// (network/rules.h) decides who may use it.
//
// IPv6, where asked for, on `way_out` alone: fd00::/64, fd00::2 the router, fd00::100 ours; that, too, the stager
// configures, and nothing hangs on router advertisements. Only slirp4netns has it: pasta configures the interface
// itself, which has IPv6 switched off when it is made.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace squish::uplink {

enum class Driver { slirp4netns, pasta };
[[nodiscard]] const char* to_string(Driver driver);
// What squishd.toml asks for. automatic: slirp4netns where it is installed, else pasta where that passes its probe.
enum class Choice { automatic, slirp4netns, pasta };

enum class Purpose { way_out, host_loopback };

// IPv6 to the outside. automatic: where the host has a default route for it when the network comes up.
enum class Ipv6 { automatic, on, off };

// What is at the other end.
struct Facts {
    const char* interface;
    const char* subnet;
    const char* address; // ours
    const char* router;  // for host_loopback: what stands for the host's loopback
    const char* dns;     // empty: none
};
[[nodiscard]] constexpr Facts facts_of(Purpose purpose) {
    if (purpose == Purpose::host_loopback)
        return {"tap1", "10.0.3.0/24", "10.0.3.100", "10.0.3.2", ""};
    return {"tap0", "10.0.2.0/24", "10.0.2.100", "10.0.2.2", "10.0.2.3"};
}

struct Options {
    Purpose purpose = Purpose::way_out;
    std::uint32_t mtu = 65520;
    bool ipv6 = false;   // for way_out; unsupported with pasta
    int log_fd = -1;     // a regular file that takes its stderr; -1: kept in memory, 64 KiB at most
    std::string program; // empty: found in PATH, and probed where the driver needs that
    std::string folder;  // pasta: where its pid file is written, of the user's own
};

// A running uplink. Closing these descriptors does not end it but for `exit`: that one does.
struct Uplink {
    Driver driver = Driver::slirp4netns;
    Purpose purpose = Purpose::way_out;
    pid_t pid = 0;
    pid_t keeper = 0;
    Pidfd pidfd;          // readable when it has ended
    UniqueFd ready;       // readable when check_ready() has news; non-blocking
    UniqueFd exit;        // write end: the uplink ends when all copies of it are closed; absent with pasta
    UniqueFd log;         // its stderr, for reading
    off_t log_start = 0;  // where its own lines begin there
    std::string pid_file; // pasta: written when it is ready
    UniqueFd changes;     // pasta: of the folder of that
};

// Which one it is to be. Errors: unsupported, naming what is missing or was refused, and what to do.
[[nodiscard]] Result<Driver> choose(Choice choice);

// Whether the way out is to have IPv6, for what squishd.toml asks for. Errors: unsupported where it asks for what the
// driver does not have; automatic asks for nothing.
[[nodiscard]] Result<bool> wants_ipv6(Ipv6 wanted, Driver driver);

// Starts it for the namespaces of `keeper`; returns as soon as it runs, before it is ready.
// Errors: unsupported, with a remedy, where it is not installed or not good enough or /dev/net/tun cannot be opened.
[[nodiscard]] Result<Uplink> start(Driver driver, pid_t keeper, const Options& options = {});

// True: the interface is there, for `way_out` with address and default route. False: not yet. An error where it has
// ended at start (unavailable, with its last words) or is too old for us (unsupported). For an event loop that polls
// `ready`.
[[nodiscard]] Result<bool> check_ready(Uplink& uplink);
// Waits for that; an error (unavailable) where the deadline passes.
[[nodiscard]] Result<void> await_ready(Uplink& uplink, std::chrono::milliseconds deadline);

// The parts, for drivers and tests.
// Why /dev/net/tun cannot be opened: `open_errno`, and its mode bits where it exists.
[[nodiscard]] Error explain_tun(int open_errno, mode_t mode);
// Whether the text of /proc/net/ipv6_route has a default route that leads out.
[[nodiscard]] bool has_default_route6(std::string_view text);
// Whether this user may open /dev/net/tun.
[[nodiscard]] Result<void> check_tun_device();

} // namespace squish::uplink
