#include "engine/ports.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace squish {

namespace {

std::unexpected<Error> explain(const PortSpec& port, int error) {
    const auto what = "publish port " + to_string(port);
    switch (error) {
    case EADDRINUSE:
        return fail(ErrorKind::conflict, "cannot " + what + ": host port " + std::to_string(port.host) + " is taken",
                    "choose another host port, or free it");
    case EACCES:
    case EPERM:
        return fail(ErrorKind::denied,
                    "cannot " + what + ": ports below 1024 need net.ipv4.ip_unprivileged_port_start=" +
                        std::to_string(port.host) + " (sysctl)",
                    "set it, or choose a port above 1023");
    case EADDRNOTAVAIL:
        return fail(ErrorKind::invalid,
                    "cannot " + what + ": '" + port.address + "' is not an address of this machine");
    default:
        return fail_errno("cannot " + what, error);
    }
}

} // namespace

Result<UniqueFd> listen_on(const PortSpec& port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port.host);
    if (::inet_pton(AF_INET, port.address.c_str(), &address.sin_addr) != 1)
        return fail(ErrorKind::unsupported,
                    "cannot publish port " + to_string(port) + ": only IPv4 addresses are supported yet");
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket)
        return fail_errno("socket");
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); // not to wait for old connections' TIME_WAIT
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(socket.get(), 4096) < 0)
        return explain(port, errno);
    return socket;
}

Result<std::vector<UniqueFd>> listen_on_all(const std::vector<PortSpec>& ports) {
    std::vector<UniqueFd> listeners;
    for (const auto& port : ports)
        listeners.push_back(TRY(listen_on(port)));
    return listeners;
}

} // namespace squish
