#include "layers/service.h"

#include "os/process.h"
#include "os/socket.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace squish::layers {

using wire::Json;

Result<void> Service::run(int idle_ms) {
    for (;;) {
        // In this order, so that what was there when poll(2) was called is found again below.
        std::vector<pollfd> polled{{clients_.size() < kMaxClients ? listener_ : -1, POLLIN, 0}};
        std::vector<ClientId> clients;
        for (const auto& [id, socket] : clients_) {
            polled.push_back({socket.get(), POLLIN, 0});
            clients.push_back(id);
        }
        std::vector<std::list<Running>::iterator> jobs;
        for (auto at = running_.begin(); at != running_.end(); ++at) {
            polled.push_back({at->job.socket(), POLLIN, 0});
            polled.push_back({at->job.pidfd(), POLLIN, 0});
            jobs.push_back(at);
        }
        const int count = ::poll(polled.data(), polled.size(), clients_.empty() && running_.empty() ? idle_ms : -1);
        if (count < 0 && errno != EINTR)
            return fail_errno("poll");
        if (count < 0)
            continue;
        if (count == 0)
            return {};
        std::size_t at = 1 + clients.size();
        for (const auto job : jobs) {
            if (polled[at].revents & POLLIN)
                hear(*job);
            if (polled[at + 1].revents)
                on_ended(job);
            at += 2;
        }
        for (std::size_t i = 0; i < clients.size(); ++i)
            if (polled[1 + i].revents && clients_.contains(clients[i]))
                on_message(clients[i], polled[1 + i].fd);
        if (polled[0].revents)
            accept();
        start_waiting();
    }
}

void Service::accept() {
    UniqueFd client(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client)
        return;
    const auto peer = os::peer_credentials(client.get());
    if (peer && peer->uid == 0) // our own user, who is 0 in here
        clients_.emplace(++last_client_, std::move(client));
}

void Service::on_message(ClientId client, int socket) {
    auto message = wire::receive_json(socket);
    if (!message) {
        if (message.error().kind == ErrorKind::invalid) // malformed: say so, the connection is still in step
            send(client, wire::error_answer(Json::object(), message.error()));
        else if (message.error().sys_errno != EAGAIN)
            drop(client);
        return;
    }
    if (message->peer_closed)
        drop(client);
    else
        on_request(client, std::move(*message));
}

void Service::on_request(ClientId client, wire::JsonMessage message) {
    if (wire::get_string(message.body, "op").value_or("") == "cancel")
        return cancel(client, message.body);
    if (const auto roles = roles_of(message.body); !roles)
        return send(client, wire::error_answer(message.body, roles.error()));
    if (waiting_.size() >= kMaxWaiting)
        return send(client, wire::error_answer(message.body,
                                               Error{ErrorKind::unavailable, "too many layers are being worked on",
                                                     "try again later", 0}));
    waiting_.push_back({client, {std::move(message.body), std::move(message.fds)}});
}

// {"op": "cancel", "request": SEQ}: ends the client's own request of that number, which then answers "cancelled".
void Service::cancel(ClientId client, const Json& request) {
    const auto number = wire::get_integer(request, "request");
    if (!number)
        return send(client, wire::error_answer(request, number.error()));
    const auto matches = [&](ClientId of, const Json& order) {
        return of == client && wire::get_integer(order, "seq").value_or(-1) == *number;
    };
    bool found = false;
    for (auto& running : running_)
        if (matches(running.client, running.job.request())) {
            running.job.cancel();
            found = true;
        }
    std::vector<Json> ended; // told afterwards: telling may find the client gone, and then the list changes
    std::erase_if(waiting_, [&](const Waiting& waiting) {
        if (!matches(waiting.client, waiting.order.request))
            return false;
        ended.push_back(waiting.order.request);
        return true;
    });
    found = found || !ended.empty();
    for (const auto& order : ended)
        send(client, wire::error_answer(order, Error{ErrorKind::conflict, "cancelled", "", 0}));
    send(client, found ? wire::answer(request)
                       : wire::error_answer(request, Error{ErrorKind::not_found, "no such request", "", 0}));
}

void Service::start_waiting() {
    while (running_.size() < kMaxRunning && !waiting_.empty()) {
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        const auto request = next.order.request;
        auto job = Job::start(std::move(next.order));
        if (job)
            running_.push_back({next.client, std::move(*job)});
        else
            send(next.client, wire::error_answer(request, job.error()));
    }
}

void Service::hear(Running& running) {
    if (const auto said = running.job.hear(maps_))
        send(running.client, *said);
}

void Service::on_ended(std::list<Running>::iterator running) {
    // What it said last may still lie in its socket; there are no more than the socket holds.
    for (int i = 0; i < 64; ++i) {
        pollfd more{running->job.socket(), POLLIN, 0};
        if (::poll(&more, 1, 0) != 1 || !(more.revents & POLLIN))
            break;
        hear(*running);
    }
    if (const auto answer = running->job.ended())
        send(running->client, *answer);
    running_.erase(running);
}

// A client that is gone wants nothing any more; its jobs are reaped as all are.
void Service::drop(ClientId client) {
    clients_.erase(client);
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.client == client; });
    for (auto& running : running_)
        if (running.client == client)
            running.job.cancel();
}

// A client that does not read what it asked for is one that is gone. Progress that finds no room is left out.
void Service::send(ClientId client, const Json& body) {
    const auto found = clients_.find(client);
    if (found == clients_.end())
        return;
    const auto sent = wire::send_json(found->second.get(), body);
    if (!sent && !(sent.error().sys_errno == EAGAIN && body.contains("event")))
        drop(client);
}

} // namespace squish::layers
