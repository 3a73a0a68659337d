#include "forward/upstream.h"

#include "forward/socket_options.h"
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

Result<UniqueFd> Upstreams::connect_tcp(const NetworkNamespace& where, const Address& target) {
    TRY(enter(where));
    UniqueFd socket(::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!socket)
        return fail_errno("socket");
    TRY(set_options(socket.get(), {{IPPROTO_TCP, TCP_NODELAY, 1},
                                   {SOL_SOCKET, SO_OOBINLINE, 1},
                                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                                   {IPPROTO_TCP, TCP_SYNCNT, kConnectTries}}));
    while (::connect(socket.get(), target.data(), target.size()) < 0) {
        if (errno == EINPROGRESS)
            break;
        if (errno != EINTR)
            return fail_errno("connect into the container");
    }
    return socket;
}

} // namespace squish::forward
