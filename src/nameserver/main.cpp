// squish-dns: the names of containers, for containers. Started by the keeper inside the user's own namespaces, with
// fd 3 = a listening SEQPACKET unix socket for control requests (nameserver/service.h). Ends with its keeper, or on
// SIGTERM. Knows nothing that squishd could not tell it again.

#include "nameserver/service.h"
#include "os/privileges.h"
#include "os/socket.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <memory>
#include <sys/socket.h>

namespace {

using namespace squish;
namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

constexpr int kControlFd = 3;
constexpr std::size_t kMaxClients = 16;
constexpr const char* kUpstream = "10.0.2.3"; // the uplink's, which asks whom the host asks

class Control {
public:
    Control(asio::io_context& loop, UniqueFd listener)
        : loop_(loop), service_(loop, kUpstream), listener_(loop, listener.release()) {}

    void accept() {
        listener_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
            if (error)
                return;
            UniqueFd client(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            const auto peer = client ? os::peer_credentials(client.get()) : fail_errno("accept");
            if (peer && peer->uid == 0 && clients_ < kMaxClients) { // our own user, who is 0 in here
                ++clients_;
                serve(std::make_shared<Descriptor>(loop_, client.release()));
            }
            accept();
        });
    }

private:
    void serve(const std::shared_ptr<Descriptor>& client) {
        client->async_wait(Descriptor::wait_read, [this, client](const boost::system::error_code& error) {
            if (error || !serve_one(client->native_handle()))
                --clients_;
            else
                serve(client);
        });
    }

    // False where the client is gone, or does not read its answers.
    bool serve_one(int client) {
        const auto message = wire::receive_json(client);
        if (!message && message.error().kind == ErrorKind::invalid) // the connection is still in step
            return wire::send_json(client, wire::error_answer(wire::Json::object(), message.error())).has_value();
        if (!message)
            return message.error().sys_errno == EAGAIN;
        if (message->peer_closed)
            return false;
        auto done = service_.handle(message->body);
        return wire::send_json(client, done ? wire::answer(message->body, std::move(*done))
                                            : wire::error_answer(message->body, done.error()))
            .has_value();
    }

    asio::io_context& loop_;
    nameserver::Service service_;
    Descriptor listener_;
    std::size_t clients_ = 0;
};

Result<void> serve() {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
        return fail(ErrorKind::invalid, "descriptor 3 is no listening control socket",
                    "this program is started by squish, not by hand");
    ::fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
    ::fcntl(kControlFd, F_SETFL, O_NONBLOCK);
    ::mallopt(M_MMAP_THRESHOLD, 64 * 1024); // a received message needs 128 KiB for a moment
    // To listen at port 53, and on one interface only, of networks that are yet to come.
    TRY(os::give_up_privileges(1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_NET_RAW));
    asio::io_context loop(1);
    asio::signal_set stop(loop, SIGTERM);
    stop.async_wait([&](const boost::system::error_code&, int) { loop.stop(); });
    Control control(loop, UniqueFd(kControlFd));
    control.accept();
    loop.run();
    return {};
}

} // namespace

int main() {
    const auto served = serve();
    if (served)
        return 0;
    std::fprintf(stderr, "squish-dns: %s\n", served.error().text().c_str());
    return 1;
}
