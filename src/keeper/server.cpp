#include "keeper/server.h"

#include "keeper/twin.h"
#include "launch/format.h"
#include "os/process.h"
#include "wire/keeper_messages.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

namespace squish::keeper {

using wire::ContainerPhase;
using wire::keeper_message;
using wire::KeeperKind;

namespace {

constexpr std::size_t kMaxCells = 128; // more than squishd may build ahead (squishd.toml)
constexpr int kIdleMilliseconds = 5000;
constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxQueue = 3 * wire::kMaxContainers; // messages that wait for one client

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

std::vector<int> borrow(const std::vector<UniqueFd>& fds) {
    std::vector<int> raw;
    raw.reserve(fds.size());
    for (const auto& fd : fds)
        raw.push_back(fd.get());
    return raw;
}

Result<void> send_plan(const Cell& cell, const std::vector<UniqueFd>& fds, bool last) {
    const launch::PlanMessage message{launch::kMagic, last ? 1U : 0U};
    return os::send_message(cell.control.get(), {reinterpret_cast<const char*>(&message), sizeof message}, borrow(fds));
}

} // namespace

Result<std::unique_ptr<Server>> Server::make(Home home, UniqueFd init, UniqueFd listener) {
    std::unique_ptr<Server> server(new Server);
    server->home_ = std::move(home);
    server->init_ = std::move(init);
    server->listener_ = std::move(listener);
    server->cloner_ = {server->init_.get(), server->home_.uid_map, server->home_.gid_map, server->home_.oom_score_adj,
                       server->home_.network.get()};
    server->slices_ = Slices(server->home_.uid_map, server->home_.gid_map);
    server->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!server->epoll_)
        return fail_errno("epoll_create");
    server->logs_ = TRY(LogCap::open());
    auto* self = server.get();
    TRY(self->add(self->logs_.fd(), [self](std::uint32_t) { self->logs_.on_readable(); }));
    TRY(self->add(self->listener_.get(), [self](std::uint32_t) { self->accept_client(); }));
    return server;
}

int Server::run() {
    while (!stopping_) {
        epoll_event events[64];
        // Nobody asks, nothing runs, no end is waiting to be told: what would be kept? A daemon that was killed, or
        // whose state folder was removed, must not leave us behind for ever.
        const bool idle = clients_.empty() && processes_.empty();
        const int count = ::epoll_wait(epoll_.get(), events, 64, idle ? kIdleMilliseconds : -1);
        if (count < 0 && errno != EINTR)
            return 1;
        if (count == 0 && idle)
            break;
        for (int i = 0; i < count && !stopping_; ++i) {
            const auto found = handlers_.find(events[i].data.fd);
            if (found == handlers_.end())
                continue;                       // an earlier handler of this round removed it
            const auto handler = found->second; // stays alive while it runs, even if it removes itself
            (*handler)(events[i].events);
        }
    }
    for (auto& [id, process] : processes_)
        if (process.phase != ContainerPhase::exited)
            (void) os::send_signal(process.cell.pidfd.get(), SIGKILL);
    for (auto& [id, process] : processes_)
        if (process.phase != ContainerPhase::exited)
            (void) os::wait_ended(process.cell.pidfd.get(), 5000);
    return 0; // cells, helpers and the twin end with us (PR_SET_PDEATHSIG)
}

Result<void> Server::add(int fd, Handler handler) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0)
        return fail_errno("epoll_ctl");
    handlers_[fd] = std::make_shared<Handler>(std::move(handler));
    return {};
}

void Server::remove(int fd) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    handlers_.erase(fd);
}

// --- clients --------------------------------------------------------------------------------------------------------

void Server::accept_client() {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client || clients_.size() >= kMaxClients)
        return;
    // Our own user is 0 in here; nobody else's business (unix(7): the kernel translates the ids).
    const auto peer = os::peer_credentials(client.get());
    if (!peer || peer->uid != 0)
        return;
    const int fd = client.get();
    if (add(fd, [this, fd](std::uint32_t events) { on_client(fd, events); }))
        clients_[fd] = Client{std::move(client), {}};
}

void Server::on_client(int fd, std::uint32_t events) {
    if (events & EPOLLOUT)
        flush(fd);
    if (!clients_.contains(fd) || !(events & ~static_cast<std::uint32_t>(EPOLLOUT)))
        return;
    auto message = os::receive_message(fd, wire::kMaxKeeperMessage);
    if (!message) {
        if (message.error().sys_errno != EAGAIN)
            disconnect(fd);
        return;
    }
    if (message->peer_closed)
        return disconnect(fd);
    handle(fd, std::move(*message));
}

void Server::disconnect(int fd) {
    remove(fd);
    clients_.erase(fd);
    // A start whose answer nobody will hear must not become a container that nobody knows.
    for (auto& [id, process] : processes_)
        if (process.client == fd) {
            process.client = -1;
            if (process.phase == ContainerPhase::starting)
                (void) os::send_signal(process.cell.pidfd.get(), SIGKILL);
        }
    for (const auto& [name, spare] : cells_)
        if (spare.client == fd)
            discard(spare);
    for (const auto& [id, anchor] : anchors_)
        if (anchor.client == fd && !processes_.contains(id))
            (void) os::send_signal(anchor.child.pidfd.get(), SIGKILL);
}

void Server::tell(int client, const wire::Writer& message, std::span<const int> fds) {
    const auto found = clients_.find(client);
    if (found == clients_.end())
        return;
    auto& queue = found->second.queue;
    if (queue.empty()) {
        const auto sent = os::send_message(client, message.bytes(), fds);
        if (sent)
            return;
        if (sent.error().sys_errno != EAGAIN)
            return disconnect(client);
    }
    if (queue.size() >= kMaxQueue)
        return disconnect(client); // it does not read: it learns everything by `hello` when it comes back
    os::Message waiting;
    waiting.bytes = message.bytes();
    for (const int fd : fds)
        waiting.fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    queue.push_back(std::move(waiting));
    want(client, EPOLLIN | EPOLLOUT);
}

// Sends what has been waiting for the client to read.
void Server::flush(int fd) {
    auto& queue = clients_.at(fd).queue;
    while (!queue.empty()) {
        const auto sent = os::send_message(fd, queue.front().bytes, borrow(queue.front().fds));
        if (!sent && sent.error().sys_errno == EAGAIN)
            return;
        if (!sent)
            return disconnect(fd);
        queue.pop_front();
    }
    want(fd, EPOLLIN);
}

void Server::want(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Server::tell_all(const wire::Writer& message, std::span<const int> fds) {
    std::vector<int> all;
    for (const auto& [fd, owner] : clients_)
        all.push_back(fd);
    for (const int fd : all)
        tell(fd, message, fds);
}

void Server::answer(int client, std::uint32_t sequence, const Result<void>& result) {
    if (result)
        return tell(client, keeper_message(KeeperKind::done, sequence));
    tell(client,
         keeper_message(KeeperKind::error, sequence).i32(result.error().sys_errno).text(result.error().message));
}

void Server::handle(int client, os::Message message) {
    const auto request = wire::read_keeper_request(message.bytes);
    const auto sequence = request.sequence;
    const auto& name = request.name;
    const auto malformed = [&] { answer(client, sequence, Result<void>(fail_errno("malformed message", EBADMSG))); };
    if (!request.sound)
        return malformed();
    switch (request.kind) {
    case KeeperKind::hello:
        if (request.version != wire::kKeeperVersion)
            return answer(client, sequence, Result<void>(fail_errno("the keeper speaks another version", EPROTO)));
        return hello(client, sequence);
    case KeeperKind::prepare: {
        if (auto result = prepare(client, name, request.cell_kind, std::move(message.fds)); !result)
            return answer(client, sequence, result);
        const int fd = cells_.at(name).cell.pidfd.get();
        return tell(client, keeper_message(KeeperKind::fds, sequence), {&fd, 1});
    }
    case KeeperKind::anchor: {
        if (auto result = make_anchor(client, name); !result)
            return answer(client, sequence, result);
        const auto& child = anchors_.at(name).child;
        const int fd = child.pidfd.get();
        return tell(client, keeper_message(KeeperKind::spawned, sequence).i32(child.pid), {&fd, 1});
    }
    case KeeperKind::launch:
        if (auto result = launch(client, sequence, name, request.other, std::move(message.fds)); !result)
            answer(client, sequence, result);
        return;
    case KeeperKind::exec:
        if (auto result = exec(client, sequence, name, request.other, std::move(message.fds)); !result)
            answer(client, sequence, result);
        return;
    case KeeperKind::signal:
        return answer(client, sequence, signal(name, request.signal));
    case KeeperKind::forget:
        return answer(client, sequence, forget(name));
    case KeeperKind::put:
        if (message.fds.empty())
            return malformed();
        if (store_.size() >= wire::kMaxStoredFds && !store_.contains(name))
            return answer(client, sequence, Result<void>(fail_errno("store a descriptor", ENOSPC)));
        store_[name] = std::move(message.fds);
        return answer(client, sequence, {});
    case KeeperKind::take: {
        const auto found = store_.find(name);
        if (found == store_.end())
            return answer(client, sequence, Result<void>(fail_errno("take '" + name + "'", ENOENT)));
        return tell(client, keeper_message(KeeperKind::fds, sequence), borrow(found->second));
    }
    case KeeperKind::drop:
        store_.erase(name);
        return answer(client, sequence, {});
    case KeeperKind::spawn: {
        const auto pid = spawn(name, std::move(message.fds));
        if (!pid)
            return answer(client, sequence, Result<void>(std::unexpected(pid.error())));
        return tell(client, keeper_message(KeeperKind::spawned, sequence).i32(*pid));
    }
    case KeeperKind::discard:
        if (const auto found = cells_.find(name); found != cells_.end())
            discard(found->second);
        return answer(client, sequence, {});
    case KeeperKind::watch_log: {
        const auto found = processes_.find(name);
        if (found == processes_.end() || found->second.phase == ContainerPhase::exited)
            return malformed();
        return answer(client, sequence, logs_.watch(name, std::move(message.fds), request.limit));
    }
    case KeeperKind::shut_down:
        answer(client, sequence, {});
        stopping_ = true;
        return;
    default: // no request
        return malformed();
    }
}

void Server::hello(int client, std::uint32_t sequence) {
    for (const auto& [id, process] : processes_) {
        if (process.phase == ContainerPhase::starting)
            continue;
        const int fd = process.cell.pidfd.get();
        const bool alive = process.phase == ContainerPhase::running;
        tell(client,
             keeper_message(KeeperKind::container, sequence)
                 .text(id)
                 .u32(std::to_underlying(process.phase))
                 .i32(process.cell.pid)
                 .i32(process.status),
             alive ? std::span<const int>(&fd, 1) : std::span<const int>());
    }
    tell(client, keeper_message(KeeperKind::hello_done, sequence)
                     .i32(::getpid())
                     .u32(home_.single_id ? 1 : 0)
                     .u32(static_cast<std::uint32_t>(slices_.count()))
                     .text(home_.uid_map)
                     .text(home_.gid_map));
}

// --- cells and processes
// ----------------------------------------------------------------------------------------------

Result<void> Server::prepare(int client, const std::string& name, std::uint32_t kind, std::vector<UniqueFd> fds) {
    const bool host_network = (kind & wire::cell_kind::kHostNetwork) != 0;
    if (name.empty() || cells_.contains(name))
        return fail_errno("cell '" + name + "'", EEXIST);
    const bool own_cgroup = (kind & wire::cell_kind::kOwnCgroup) != 0;
    const std::size_t least = 1 + (host_network ? 0 : 1) + (own_cgroup ? 1 : 0);
    if (cells_.size() >= kMaxCells || fds.size() < least)
        return fail_errno("prepare a cell", fds.size() < least ? EINVAL : ENOSPC);
    const auto take_last = [&](bool there) {
        UniqueFd last;
        if (there) {
            last = std::move(fds.back());
            fds.pop_back();
        }
        return last;
    };
    auto network = take_last(!host_network);
    auto cgroup = take_last(own_cgroup);
    auto cloner = cloner_;
    std::optional<Slices::Lease> ids;
    if (kind & wire::cell_kind::kOwnIds) {
        ids = slices_.take();
        if (!ids)
            return fail_errno("ids of its own", EUSERS);
        cloner.uid_map = ids->uid_map();
        cloner.gid_map = ids->gid_map();
    }
    auto cell = TRY(host_network ? clone_cell_in_host_network(home_.twin.get(), cloner, cgroup.get())
                                 : clone_cell(cloner, {.network = network.get(), .cgroup = cgroup.get()}));
    if (auto sent = send_plan(cell, fds, false); !sent) {
        (void) os::send_signal(cell.pidfd.get(), SIGKILL);
        (void) os::wait_ended(cell.pidfd.get(), 1000);
        (void) os::reap(cell.pidfd.get());
        return sent;
    }
    const int fd = cell.pidfd.get();
    cells_.emplace(name, Spare{std::move(cell), client, std::move(network), std::move(cgroup), std::move(ids)});
    if (auto added = add(fd, [this, name](std::uint32_t) { on_cell_ended(name); }); !added) {
        discard(cells_.at(name));
        (void) os::wait_ended(fd, 1000);
        on_cell_ended(name);
        return added;
    }
    return {};
}

// It sees the end of its socket and ends; on_cell_ended reaps it.
void Server::discard(const Spare& spare) {
    ::shutdown(spare.cell.control.get(), SHUT_WR);
}

void Server::on_cell_ended(const std::string& name) {
    const auto found = cells_.find(name);
    if (found == cells_.end())
        return;
    const auto& cell = found->second.cell;
    if (const auto result = os::reap(cell.pidfd.get()); result && !result->changed)
        return; // an event of an older descriptor with the same number
    remove(cell.pidfd.get());
    // Why its prelude failed, for whoever wants to launch in it.
    pollfd waiting{cell.control.get(), POLLIN, 0};
    if (failed_cells_.size() < kMaxCells && ::poll(&waiting, 1, 0) > 0)
        if (const auto message = os::receive_message(cell.control.get(), sizeof(launch::Report)); message) {
            launch::Report report{};
            if (launch::read_report(message->bytes.data(), message->bytes.size(), report) &&
                report.kind == launch::ReportKind::failed)
                failed_cells_[name] = {report.step, report.value};
        }
    cells_.erase(found);
    tell_all(keeper_message(KeeperKind::cell_lost, 0).text(name));
}

Result<void> Server::launch(int client, std::uint32_t sequence, const std::string& id, const std::string& cell_name,
                            std::vector<UniqueFd> fds) {
    const auto found = cells_.find(cell_name);
    if (const auto failed = failed_cells_.extract(cell_name)) {
        tell(client,
             keeper_message(KeeperKind::failed_step, sequence).u32(failed.mapped().step).i32(failed.mapped().error));
        return {};
    }
    if (found == cells_.end())
        return fail_errno("launch in cell '" + cell_name + "'", ENOENT);
    if (id.empty() || processes_.contains(id))
        return fail_errno("launch '" + id + "'", EEXIST);
    if (processes_.size() >= wire::kMaxContainers)
        return fail_errno("more than 4096 containers", ENOSPC);
    auto spare = std::move(found->second);
    if (spare.network) // whoever publishes ports later needs it
        store_["net/" + id].push_back(std::move(spare.network));
    if (spare.cgroup)
        store_["cgroup/" + id].push_back(std::move(spare.cgroup));
    cells_.erase(found);
    remove(spare.cell.pidfd.get());
    return start(client, sequence, id, "", std::move(spare), std::move(fds), monotonic_ns());
}

Result<void> Server::exec(int client, std::uint32_t sequence, const std::string& container, const std::string& id,
                          std::vector<UniqueFd> fds) {
    const auto found = processes_.find(container);
    if (found == processes_.end() || found->second.phase != ContainerPhase::running || found->second.is_exec())
        return fail_errno("exec in '" + container + "'", ESRCH);
    if (id.empty() || processes_.contains(id))
        return fail_errno("exec '" + id + "'", EEXIST);
    if (processes_.size() >= wire::kMaxContainers)
        return fail_errno("more than 4096 containers", ENOSPC);
    const auto began = monotonic_ns();
    const auto cgroup = store_.find("cgroup/" + container);
    const int born_in = cgroup == store_.end() ? -1 : cgroup->second.front().get();
    auto cell = TRY(clone_into(cloner_, found->second.cell.pidfd.get(), found->second.cell.pid, born_in));
    return start(client, sequence, id, container, {std::move(cell), client, {}, {}, std::nullopt}, std::move(fds),
                 began);
}

Result<void> Server::start(int client, std::uint32_t sequence, std::string id, std::string container, Spare spare,
                           std::vector<UniqueFd> fds, std::uint64_t cloned_ns) {
    auto& process = processes_[id];
    process = Process{.id = id,
                      .container = std::move(container),
                      .cell = std::move(spare.cell),
                      .ids = std::move(spare.ids),
                      .client = client,
                      .sequence = sequence,
                      .cloned_ns = cloned_ns};
    const auto started = [&]() -> Result<void> {
        if (fds.empty())
            return fail_errno("launch without a plan", EINVAL);
        TRY(add(process.cell.control.get(), [this, id](std::uint32_t) { on_report(id); }));
        TRY(add(process.cell.pidfd.get(), [this, id](std::uint32_t) { on_ended(id); }));
        auto sent = send_plan(process.cell, fds, true);
        if (!sent && (sent.error().sys_errno == EPIPE || sent.error().sys_errno == ECONNRESET))
            return {}; // it has ended: its last words say why, or on_ended() does
        return sent;
    }();
    if (!started) { // ends as an unknown child; nothing was reported
        process.client = -1;
        process.phase = ContainerPhase::exited;
        remove(process.cell.control.get());
        remove(process.cell.pidfd.get());
        (void) os::send_signal(process.cell.pidfd.get(), SIGKILL);
        (void) os::wait_ended(process.cell.pidfd.get(), 1000);
        (void) os::reap(process.cell.pidfd.get());
        processes_.erase(id);
    }
    return started;
}

void Server::started(Process& process, std::uint64_t received_ns, std::uint64_t rooted_ns, std::uint64_t executed_ns) {
    process.phase = ContainerPhase::running;
    const int fd = process.cell.pidfd.get();
    tell(process.client,
         keeper_message(KeeperKind::launched, process.sequence)
             .i32(process.cell.pid)
             .u64(received_ns)
             .u64(rooted_ns)
             .u64(executed_ns)
             .u64(process.cloned_ns),
         {&fd, 1});
}

void Server::start_failed(Process& process, std::uint32_t step, int error) {
    tell(process.client, keeper_message(KeeperKind::failed_step, process.sequence).u32(step).i32(error));
    process.client = -1;
    (void) os::send_signal(process.cell.pidfd.get(), SIGKILL); // it ends by itself; this makes sure
}

// What init says on its control socket; at its end, what the lack of a word means.
void Server::on_report(const std::string& id) {
    const auto found = processes_.find(id);
    if (found == processes_.end())
        return;
    Process& process = found->second;
    auto message = os::receive_message(process.cell.control.get(), sizeof(launch::Report));
    // One that ended without reading its plan: the reset comes first, once, and its last words lie behind it.
    if (!message && message.error().sys_errno == ECONNRESET)
        message = os::receive_message(process.cell.control.get(), sizeof(launch::Report));
    if (!message || message->peer_closed) {
        remove(process.cell.control.get());
        // An exec that closed its socket without a complaint has been executed (close-on-exec).
        if (process.is_exec() && process.phase == ContainerPhase::starting && process.client >= 0)
            started(process, 0, 0, monotonic_ns());
        return;
    }
    launch::Report report{};
    if (!launch::read_report(message->bytes.data(), message->bytes.size(), report))
        return; // no word of ours
    switch (report.kind) {
    case launch::ReportKind::started:
        if (process.phase == ContainerPhase::starting)
            started(process, report.received_ns, report.rooted_ns, report.executed_ns);
        break;
    case launch::ReportKind::failed:
        if (process.phase == ContainerPhase::starting)
            start_failed(process, report.step, report.value);
        break;
    case launch::ReportKind::exited:
        process.status = report.value;
        process.told_status = true;
        break;
    }
}

void Server::on_ended(const std::string& id) {
    // The last words of init may still be in the socket: they come first.
    for (auto found = processes_.find(id); found != processes_.end(); found = processes_.find(id)) {
        const int control = found->second.cell.control.get();
        if (!handlers_.contains(control))
            break;
        char peek = 0;
        if (::recv(control, &peek, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
            break;
        on_report(id);
    }
    const auto found = processes_.find(id);
    if (found == processes_.end())
        return;
    Process& process = found->second;
    const auto result = os::reap(process.cell.pidfd.get());
    if (result && !result->changed)
        return;
    remove(process.cell.pidfd.get());
    if (handlers_.contains(process.cell.control.get()))
        remove(process.cell.control.get());
    process.cell.control.reset();
    logs_.forget(id);
    if (!process.told_status)
        process.status = result ? result->status : SIGKILL;
    if (process.phase == ContainerPhase::starting) { // never ran: whoever waits has been told, or is told now
        if (process.client >= 0)
            start_failed(process, ~0U, ESRCH);
        processes_.erase(found);
        drop_stored(id);
        return;
    }
    process.phase = ContainerPhase::exited;
    process.cell.pidfd.reset();
    process.ids.reset(); // init was the last of its PID namespace (pid_namespaces(7))
    tell_all(keeper_message(KeeperKind::exited, 0).text(id).i32(process.status));
}

Result<void> Server::signal(const std::string& id, int number) {
    const auto found = processes_.find(id);
    if (found == processes_.end())
        return fail_errno("signal '" + id + "'", ESRCH);
    if (found->second.phase == ContainerPhase::exited)
        return {};
    return os::send_signal(found->second.cell.pidfd.get(), number);
}

// What was kept for a container: its network namespace, its cgroup, its listeners.
void Server::drop_stored(const std::string& id) {
    end_anchor(id);
    store_.erase("net/" + id);
    store_.erase("cgroup/" + id);
    const auto listeners = "port/" + id + "/";
    for (auto at = store_.lower_bound(listeners); at != store_.end() && at->first.starts_with(listeners);)
        at = store_.erase(at);
}

Result<void> Server::forget(const std::string& id) {
    const auto found = processes_.find(id);
    if (found == processes_.end()) {
        drop_stored(id);
        return {};
    }
    if (found->second.phase == ContainerPhase::starting) { // given up: it must not become a container later
        found->second.client = -1;
        return os::send_signal(found->second.cell.pidfd.get(), SIGKILL);
    }
    if (found->second.phase != ContainerPhase::exited)
        return fail_errno("forget '" + id + "', which runs", EBUSY);
    processes_.erase(found);
    drop_stored(id);
    return {};
}

} // namespace squish::keeper
