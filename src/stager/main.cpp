// squish-stager: opens mounts and networks for containers, inside the user's own namespaces.
//
// Started by the keeper with fd 3 = the listening socket. The folder it may mount its workspace over is the one that
// the socket lies in. Serves its clients one request at a time; has nothing that squishd could not ask for again.

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "stager/service.h"
#include "wire/json_channel.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using namespace squish;

Result<std::string> workspace_of(int listener) {
    sockaddr_un address{};
    socklen_t length = sizeof address;
    if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) < 0)
        return fail_errno("getsockname");
    std::string path(address.sun_path);
    return path.substr(0, path.rfind('/')) + "/stage";
}

constexpr int kQuiet = 2000; // milliseconds without a request before spare networks are given up
constexpr int kBetween = 20; // and between one and the next

void serve_one(stager::Service& service, int client, bool& gone) {
    auto message = wire::receive_json(client);
    if (!message) {
        gone = message.error().sys_errno != EAGAIN;
        if (message.error().kind == ErrorKind::invalid) { // malformed: say so, the connection is still in step
            gone = !wire::send_json(client, wire::error_answer(wire::Json::object(), message.error()));
        }
        return;
    }
    if (message->peer_closed) {
        gone = true;
        return;
    }
    auto reply = service.handle(message->body);
    if (reply && reply->fds.size() > os::kMaxFdsPerMessage)
        reply = fail(ErrorKind::invalid, "too many mounts for one request");
    std::vector<int> fds;
    if (reply)
        for (const auto& fd : reply->fds)
            fds.push_back(fd.get());
    gone = !wire::send_json(client,
                            reply ? wire::answer(message->body, std::move(reply->fields))
                                  : wire::error_answer(message->body, reply.error()),
                            fds);
}

// Containers are without network until a lost bridge is there again; squish-dns has to be told.
void look_after_network(stager::Service& service, const std::vector<UniqueFd>& clients) {
    const auto repaired = service.look_after_network();
    if (!repaired)
        std::fprintf(stderr, "squish-stager: cannot make a lost bridge again: %s\n", repaired.error().text().c_str());
    if (!repaired || !*repaired)
        return;
    std::fprintf(stderr, "squish-stager: a bridge had been deleted; it is there again\n");
    wire::Json event = wire::Json::object();
    event["event"] = "network.repaired";
    for (const auto& client : clients)
        (void) wire::send_json(client.get(), event);
}

Result<void> serve(int listener) {
    // A mount namespace of our own: what we mount ends with us, but for what is to outlive us.
    auto home = TRY(os::open_namespace(::getpid(), "mnt"));
    if (::unshare(CLONE_NEWNS) < 0)
        return fail_errno("make a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0)
        return fail_errno("make mounts follow the host");
    auto service = TRY(stager::Service::open(TRY(workspace_of(listener)), std::move(home)));
    std::vector<UniqueFd> clients;
    bool more_idle_work = false;
    int patience = kQuiet;
    for (;;) {
        std::vector<pollfd> waiting{{listener, POLLIN, 0}};
        for (const auto& client : clients)
            waiting.push_back({client.get(), POLLIN, 0});
        const bool watched = service.watch_fd() >= 0;
        if (watched)
            waiting.push_back({service.watch_fd(), POLLIN, 0});
        const int count = ::poll(waiting.data(), waiting.size(),
                                 more_idle_work          ? 0
                                 : service.has_surplus() ? patience
                                                         : -1);
        if (count < 0 && errno != EINTR)
            return fail_errno("poll");
        if (count == 0 && more_idle_work) {
            more_idle_work = service.idle();
            continue;
        }
        if (count == 0) { // what a busy time left is given back bit by bit, not to hold the kernel's lock for long
            service.drop_surplus();
            patience = kBetween;
            continue;
        }
        if (watched) {
            if (waiting.back().revents)
                look_after_network(service, clients);
            waiting.pop_back();
            if (count == 1 && std::ranges::none_of(waiting, [](const auto& one) { return one.revents != 0; }))
                continue; // nobody asks for anything
        }
        patience = kQuiet;
        if (waiting[0].revents) {
            UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            const auto peer = client ? os::peer_credentials(client.get()) : fail_errno("accept");
            if (peer && peer->uid == 0 && clients.size() < 16) // our own user; see the keeper
                clients.push_back(std::move(client));
        }
        for (std::size_t i = 1; i < waiting.size(); ++i) {
            if (!waiting[i].revents)
                continue;
            bool gone = false;
            serve_one(service, waiting[i].fd, gone);
            if (gone)
                std::erase_if(clients, [&](const UniqueFd& client) { return client.get() == waiting[i].fd; });
        }
        more_idle_work = true;
    }
}

} // namespace

int main() {
    ::fcntl(3, F_SETFD, FD_CLOEXEC);
    ::umask(022);
    (void) os::raise_descriptor_limit();
    const UniqueFd listener(3);
    const auto served = serve(listener.get());
    std::fprintf(stderr, "squish-stager: %s\n", served ? "ended" : served.error().text().c_str());
    return 1;
}
