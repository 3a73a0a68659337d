// The driver slirp4netns(1).
//
// How this works. slirp4netns opens /dev/net/tun, joins the keeper's user and network namespace for long enough to
// make the tap, and stays outside of that network. It ends when the write end of its exit pipe is closed.
//
// With --enable-sandbox it then joins the keeper's *user* namespace for good, makes a mount namespace of its own there
// that holds nothing but /etc and /run, read-only (resolv.conf, wherever it points), and keeps CAP_NET_BIND_SERVICE
// alone; with --enable-seccomp it cannot exec, mount, ptrace or join namespaces any more. Both work where the keeper
// has mapped its ids, by newuidmap or one id, and need neither its mount namespace nor its files. It is given no API
// socket: nobody can change what it does.
//
// --enable-ipv6 is called experimental by it. With libslirp 4.7 TCP, UDP and unreachable networks were found to be
// served as for IPv4 (test/integration/uplink_test.cpp); its router advertisements are not used. Any address of
// fd00::/64 but its DNS server's is the host's ::1, and refused by --disable-host-loopback.
//
// It looks at /etc/resolv.conf again when a second has passed since it last did and the file has changed (libslirp's
// get_dns_addr()), so a host whose name servers change is followed, as long as the file, or what it points to, is on
// the file system of /etc or of /run.
#pragma once

#include "uplink/uplink.h"

#include <vector>

namespace squish::uplink {

[[nodiscard]] Result<Uplink> start_slirp4netns(pid_t keeper, const Options& options = {});
[[nodiscard]] Result<bool> check_slirp4netns(Uplink& uplink);

// The parts, for the probe and for tests.
[[nodiscard]] std::vector<std::string> slirp4netns_arguments(pid_t keeper, const Options& options, int ready_fd,
                                                             int exit_fd);
// Why it ended at start, from what it wrote to stderr.
[[nodiscard]] Error explain_end(std::string_view stderr_text);

} // namespace squish::uplink
