#include "forward/tcp_port.h"

#include "forward/container.h"
#include "forward/socket_options.h"

#include <algorithm>
#include <fcntl.h>
#include <limits>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace squish::forward {

namespace {

constexpr int kAcceptsPerTurn = 32;
constexpr int kBacklogAtClose = 4096;
constexpr int kKeepaliveSeconds = 300;

Result<int> integer_option(int socket, int option) {
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(socket, SOL_SOCKET, option, &value, &size) < 0)
        return fail(ErrorKind::invalid, "the listener is no socket");
    return value;
}

Result<void> check_listener(int socket) {
    const int domain = TRY(integer_option(socket, SO_DOMAIN));
    const int protocol = TRY(integer_option(socket, SO_PROTOCOL));
    const int listening = TRY(integer_option(socket, SO_ACCEPTCONN));
    if ((domain != AF_INET && domain != AF_INET6) || protocol != IPPROTO_TCP || listening == 0)
        return fail(ErrorKind::invalid, "the listener is no listening TCP socket");
    return {};
}

// Linux hands these down to every accepted socket (sk_clone): a few calls per port instead of per connection.
Result<void> set_inherited_options(int socket) {
    TRY(set_options(socket, {{IPPROTO_TCP, TCP_NODELAY, 1},
                             {SOL_SOCKET, SO_OOBINLINE, 1},
                             {SOL_SOCKET, SO_KEEPALIVE, 1},
                             {IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveSeconds},
                             {IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveSeconds / 10}}));
    const int flags = ::fcntl(socket, F_GETFL);
    if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail_errno("fcntl");
    return {};
}

} // namespace

TcpPort::TcpPort(Services services, Container& container, UniqueFd listener, Route route,
                 std::shared_ptr<PortStats> stats)
    : Port(services, std::move(route), std::move(stats)), container_(container), listener_(std::move(listener)) {}

Result<std::unique_ptr<TcpPort>> TcpPort::open(Services services, Container& container, UniqueFd listener, Route route,
                                               std::shared_ptr<PortStats> stats) {
    TRY(check_listener(listener.get()));
    TRY(set_inherited_options(listener.get()));
    std::unique_ptr<TcpPort> port(
        new TcpPort(services, container, std::move(listener), std::move(route), std::move(stats)));
    TRY(services.loop.watch(port->listener_.get(), EPOLLIN, *port));
    port->watched_ = true;
    return port;
}

TcpPort::~TcpPort() {
    close(Backlog::drop);
}

void TcpPort::drain() {
    // A listener that is bound to an interface which does not exist is found by no SYN: further clients are refused.
    // Handshakes that have begun have a socket of their own, which carries the interface that held then, and lead to
    // this listener still. (inet_lookup_listener() and inet_request_bound_dev_if() of the kernel; SO_BINDTOIFINDEX
    // without privileges: Linux 5.7. A socket filter would do it, too, but newer kernels, 6.18 among them, refuse it to
    // who has no CAP_NET_ADMIN over the host.)
    constexpr int kNoInterface = std::numeric_limits<int>::max();
    // Where it is refused, closing is a little less gentle.
    (void) ::setsockopt(listener_.get(), SOL_SOCKET, SO_BINDTOIFINDEX, &kNoInterface, sizeof kNoInterface);
}

void TcpPort::close(Backlog backlog) {
    if (!listener_)
        return;
    // Others may hold copies of the listener: closing ours would not end the watching.
    pause();
    services_.shortage.forget(*this);
    for (int left = kBacklogAtClose; backlog == Backlog::let_in && left > 0; --left)
        if (accept_one() != Taken::one)
            break;
    services_.upstreams.go_home();
    services_.shortage.forget(*this);
    if (parked_)
        reset_and_close(std::move(parked_));
    listener_.reset();
}

// Out of the epoll altogether: with no events asked for, a listener that another holder has shut down would still
// be reported (EPOLLHUP), again and again.
void TcpPort::pause() {
    services_.loop.forget(listener_.get());
    watched_ = false;
}

void TcpPort::resume() {
    if (!watched_ && !(watched_ = services_.loop.watch(listener_.get(), EPOLLIN, *this).has_value()))
        services_.shortage.wait(*this);
    if (parked_)
        services_.loop.turn_again(*this);
}

void TcpPort::on_ready(unsigned /*tag*/, std::uint32_t /*events*/) {
    if (!listener_)
        return; // closed in this very round
    for (int left = kAcceptsPerTurn; left > 0; --left)
        if (accept_one() != Taken::one)
            break;
    services_.upstreams.go_home();
}

TcpPort::Taken TcpPort::accept_failed(int error_number) {
    if (error_number == EAGAIN)
        return Taken::none;
    if (Shortage::is_shortage(error_number)) {
        services_.shortage.wait(*this);
        pause();
        return Taken::paused;
    }
    if (error_number == EINVAL || error_number == EBADF) { // shut down by another holder: it will never be ready again
        pause();
        return Taken::paused;
    }
    return Taken::one; // that client is gone (ECONNABORTED, or a network error of its own, accept(2)); the next one may
                       // not be
}

TcpPort::Taken TcpPort::accept_one() {
    if (!container_.has_room()) {
        pause(); // until Container::ended
        return Taken::paused;
    }
    if (services_.shortage.is_tight())
        return accept_failed(EMFILE);
    UniqueFd client = std::move(parked_);
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (!client) {
        client = UniqueFd(
            ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!client)
            return accept_failed(errno);
        ++stats_->accepted;
    } else if (::getpeername(client.get(), reinterpret_cast<sockaddr*>(&peer), &size) < 0) {
        peer.ss_family = AF_UNSPEC; // reset meanwhile
    }
    // The family of the client first, so that its address can be shown.
    Way way{route_.where, route_.target, route_.other_family, Address::from(peer), route_.show_client};
    if (way.second && way.second->family() == peer.ss_family)
        std::swap(way.first, *way.second);
    auto upstream = services_.upstreams.connect_tcp(way);
    if (!upstream && Shortage::is_shortage(upstream.error().sys_errno)) {
        parked_ = std::move(client);
        return accept_failed(EMFILE);
    }
    if (!upstream) {
        ++stats_->failed;
        reset_and_close(std::move(client));
        return Taken::one;
    }
    services_.shortage.note(std::max(client.get(), upstream->get()));
    container_.begin(std::move(client), std::move(*upstream), std::move(way), stats_);
    return Taken::one;
}

} // namespace squish::forward
