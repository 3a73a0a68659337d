#include "uplink/slirp4netns.h"

#include "base/text.h"
#include "os/process.h"
#include "uplink/log.h"
#include "uplink/probe.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace squish::uplink {

namespace {

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

} // namespace

std::vector<std::string> slirp4netns_arguments(pid_t keeper, const Options& options, int ready_fd, int exit_fd) {
    const auto facts = facts_of(options.purpose);
    std::vector<std::string> arguments = {
        "slirp4netns",      "--mtu=" + std::to_string(options.mtu),   "--enable-sandbox",
        "--enable-seccomp", "--ready-fd=" + std::to_string(ready_fd), "--exit-fd=" + std::to_string(exit_fd)};
    if (options.purpose == Purpose::way_out) {
        arguments.emplace_back("--configure");             // address and default route
        arguments.emplace_back("--disable-host-loopback"); // for IPv6, too
        if (options.ipv6)
            arguments.emplace_back("--enable-ipv6");
    } else { // --configure would make it the default route, before the other
        arguments.push_back(std::string("--cidr=") + facts.subnet);
    }
    arguments.push_back(std::to_string(keeper));
    arguments.emplace_back(facts.interface);
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

Result<Uplink> start_slirp4netns(pid_t keeper, const Options& options) {
    os::Spawn spawn;
    spawn.program = options.program.empty() ? TRY(find_slirp4netns()) : options.program;
    TRY(check_tun_device());

    auto [ready, ready_theirs] = TRY(make_pipe());
    auto [exit_theirs, exit] = TRY(make_pipe());
    if (::fcntl(ready.get(), F_SETFL, O_NONBLOCK) < 0)
        return fail_errno("pipe");

    Uplink uplink;
    UniqueFd own_log;
    spawn.stderr_fd = TRY(open_log(uplink, options, own_log));
    spawn.args = slirp4netns_arguments(keeper, options, 3, 4);
    spawn.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    spawn.keep = {ready_theirs.get(), exit_theirs.get()};
    auto child = TRY(os::spawn_detached(spawn));
    uplink.driver = Driver::slirp4netns;
    uplink.purpose = options.purpose;
    uplink.keeper = keeper;
    uplink.pid = child.pid;
    uplink.pidfd = std::move(child.pidfd);
    uplink.ready = std::move(ready);
    uplink.exit = std::move(exit);
    return uplink;
}

Result<bool> check_slirp4netns(Uplink& uplink) {
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
    return std::unexpected(explain_end(last_words(uplink)));
}

} // namespace squish::uplink
