#include "engine/ports.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace squish {

namespace {

constexpr int kBacklog = 4096; // the kernel takes net.core.somaxconn where that is less

std::unexpected<Error> explain(const PortSpec& port, int error) {
    const auto what = "publish port " + to_string(port);
    const auto number = std::to_string(port.host);
    auto failed = [&]() -> std::unexpected<Error> {
        switch (error) {
        case EADDRINUSE:
            if (port.host == 0)
                return fail(ErrorKind::conflict, "cannot " + what + ": every port that the kernel may choose is taken",
                            "see net.ipv4.ip_local_port_range (sysctl), or name a port");
            return fail(ErrorKind::conflict, "cannot " + what + ": host port " + number + " is taken",
                        "choose another host port, or free it");
        case EACCES:
        case EPERM:
            return fail(ErrorKind::denied,
                        "cannot " + what + ": ports below 1024 need net.ipv4.ip_unprivileged_port_start=" + number +
                            " (sysctl)",
                        "as root: sysctl net.ipv4.ip_unprivileged_port_start=" + number +
                            ", or choose a port above 1023");
        case EADDRNOTAVAIL:
            return fail(ErrorKind::invalid,
                        "cannot " + what + ": '" + port.address + "' is not an address of this machine");
        case EAFNOSUPPORT:
            return fail(ErrorKind::unsupported, "cannot " + what + ": this machine has no IPv6");
        default:
            return fail_errno("cannot " + what, error);
        }
    }();
    failed.error().sys_errno = error;
    return failed;
}

struct Address {
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    };
    socklen_t size;
};

Result<Address> address_of(const PortSpec& port) {
    Address address{};
    if (::inet_pton(AF_INET, port.address.c_str(), &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port.host);
        address.size = sizeof address.v4;
    } else if (address.v6 = {}; ::inet_pton(AF_INET6, port.address.c_str(), &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port.host);
        address.size = sizeof address.v6;
    } else {
        return fail(ErrorKind::invalid,
                    "cannot publish port " + to_string(port) + ": '" + port.address + "' is no address");
    }
    return address;
}

Result<void> set_flag(int socket, int level, int name, int value) {
    if (::setsockopt(socket, level, name, &value, sizeof value) < 0)
        return fail_errno("setsockopt");
    return {};
}

Result<UniqueFd> listen_with(const PortSpec& port, bool beside_ours) {
    const auto address = TRY(address_of(port));
    const bool tcp = port.protocol == Protocol::tcp;
    const int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | (port.activation ? 0 : SOCK_NONBLOCK);
    UniqueFd socket(::socket(address.any.sa_family, type, 0));
    if (!socket)
        return explain(port, errno);
    if (tcp) // not to wait for old connections' TIME_WAIT; for UDP it would let two programs share a port
        TRY(set_flag(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1));
    if (address.any.sa_family == AF_INET6) // "::" and "0.0.0.0" are published each on their own
        TRY(set_flag(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1));
    // Shares a port only with sockets that have it as well, of the same user: those that stop_listening() or
    // listen_beside() have prepared. It is taken off below, so that a conflict with the next is one.
    const bool share = beside_ours || !tcp;
    if (share)
        TRY(set_flag(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1));
    if (::bind(socket.get(), &address.any, address.size) < 0 || (tcp && ::listen(socket.get(), kBacklog) < 0))
        return explain(port, errno);
    if (share)
        TRY(set_flag(socket.get(), SOL_SOCKET, SO_REUSEPORT, 0));
    return socket;
}

} // namespace

Result<UniqueFd> listen_on(const PortSpec& port) {
    return listen_with(port, false);
}

Result<UniqueFd> listen_beside(const PortSpec& port, int old) {
    TRY(set_flag(old, SOL_SOCKET, SO_REUSEPORT, 1));
    auto listener = listen_with(port, true);
    TRY(set_flag(old, SOL_SOCKET, SO_REUSEPORT, 0));
    return listener;
}

Result<std::vector<UniqueFd>> listen_on_all(const std::vector<PortSpec>& ports) {
    std::vector<UniqueFd> listeners;
    for (const auto& port : ports)
        listeners.push_back(TRY(listen_on(port)));
    return listeners;
}

Result<std::uint16_t> bound_port(int socket) {
    Address address{};
    address.size = sizeof address.v6;
    if (::getsockname(socket, &address.any, &address.size) < 0)
        return fail_errno("getsockname");
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

// Closing would not do: the forwarder and the keeper hold the same sockets. shutdown(2) ends a TCP socket's listening
// for all of them. A UDP socket stays bound whatever one does; it is made to share its port with the next of ours.
void stop_listening(int socket) {
    ::shutdown(socket, SHUT_RDWR);
    (void) set_flag(socket, SOL_SOCKET, SO_REUSEPORT, 1);
}

} // namespace squish
