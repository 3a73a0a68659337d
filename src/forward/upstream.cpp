#include "forward/upstream.h"

#include "base/client_route.h"
#include "forward/socket_options.h"
#include "forward/udp_rule.h"
#include "os/file.h"
#include "os/process.h"

#include <cstdlib>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>

namespace squish::forward {

namespace {
constexpr int kConnectTries = 5; // about a minute where the container drops our SYN
}

Result<NetworkNamespace> NetworkNamespace::adopt(UniqueFd fd) {
    // NS_GET_NSTYPE (Linux 4.11); any other descriptor answers ENOTTY.
    const int kind = ::ioctl(fd.get(), NS_GET_NSTYPE);
    if (kind != CLONE_NEWNET)
        return fail(ErrorKind::invalid, "the descriptor is no network namespace");
    struct stat status{};
    if (::fstat(fd.get(), &status) < 0)
        return fail_errno("fstat network namespace");
    return NetworkNamespace(NsFd(std::move(fd)), status);
}

Result<Upstreams> Upstreams::create() {
    auto own = TRY(os::open_file("/proc/thread-self/ns/net", O_RDONLY));
    return Upstreams(TRY(NetworkNamespace::adopt(std::move(own))));
}

Result<void> Upstreams::enter(const NetworkNamespace& where) {
    if (where == home_) {
        go_home();
        return {};
    }
    TRY(os::enter_namespace(where.fd(), CLONE_NEWNET));
    away_ = true;
    return {};
}

void Upstreams::go_home() {
    // In the wrong namespace nothing could be trusted any more; the keeper starts another forwarder.
    if (away_ && !os::enter_namespace(home_.fd(), CLONE_NEWNET))
        std::abort();
    away_ = false;
}

namespace {

// Bound to an address that is not of this namespace. `port` 0: any, found by the kernel when it connects.
Result<void> take_address(int socket, const Address& client, std::uint16_t port) {
    const bool ipv6 = client.family() == AF_INET6;
    TRY(set_options(socket, {{ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1},
                             {SOL_SOCKET, SO_MARK, static_cast<int>(client_route::kMark)},
                             {SOL_SOCKET, SO_REUSEADDR, 1}}));
    if (port == 0)
        TRY(set_options(socket, {{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1}}));
    const auto address = client.with_port(port);
    if (::bind(socket, address.data(), address.size()) < 0)
        return fail_errno("take the client's address");
    return {};
}

Result<void> connect_to(int socket, const Address& target) {
    while (::connect(socket, target.data(), target.size()) < 0) {
        if (errno == EINPROGRESS)
            break;
        if (errno != EINTR)
            return fail_errno("connect into the container");
    }
    return {};
}

bool is_taken(const Error& error) {
    return error.sys_errno == EADDRINUSE || error.sys_errno == EADDRNOTAVAIL;
}

} // namespace

Result<UniqueFd> Upstreams::connect(const Way& way, int type) {
    const bool show = way.show_client && way.client.family() == way.first.family() && way.client.may_be_shown() &&
                      (type == SOCK_STREAM || !way.client.is_sibling());
    for (const auto port : {way.client.port(), std::uint16_t{0}}) {
        UniqueFd socket(::socket(way.first.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!socket)
            return fail_errno("socket");
        if (type == SOCK_STREAM)
            TRY(set_options(socket.get(), {{IPPROTO_TCP, TCP_NODELAY, 1},
                                           {SOL_SOCKET, SO_OOBINLINE, 1},
                                           {SOL_SOCKET, SO_KEEPALIVE, 1},
                                           {IPPROTO_TCP, TCP_SYNCNT, kConnectTries}}));
        auto connected = show ? take_address(socket.get(), way.client, port) : Result<void>();
        if (connected)
            connected = connect_to(socket.get(), way.first);
        if (connected)
            return socket;
        // Another published port may lead the same client's port to the same place: then from any port of that client.
        if (!show || port == 0 || !is_taken(connected.error()))
            return std::unexpected(std::move(connected).error());
    }
    std::unreachable();
}

Result<UniqueFd> Upstreams::connect_tcp(const Way& way) {
    TRY(enter(*way.where));
    return connect(way, SOCK_STREAM);
}

Result<UniqueFd> Upstreams::connect_udp(const Way& way) {
    TRY(enter(*way.where));
    return connect(way, SOCK_DGRAM);
}

Result<void> Upstreams::change_udp_rule(Rule change, const NetworkNamespace& where, int family, std::uint16_t port) {
    TRY(enter(where));
    return change == Rule::add ? add_udp_rule(family, port) : remove_udp_rule(family, port);
}

} // namespace squish::forward
