#include "keeper/server.h"

#include "keeper/affinity.h"
#include "keeper/helpers.h"
#include "keeper/twin.h"
#include "launch/format.h"
#include "os/process.h"
#include "wire/keeper_messages.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

namespace squish::keeper {

using wire::ContainerPhase;
using wire::keeper_message;
using wire::KeeperKind;

namespace {

constexpr std::size_t kMaxCells = 128; // more than squishd may build ahead (squishd.toml)
constexpr std::uint64_t kIdleNs = 5'000'000'000;
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

// Something to read, be it the end.
bool has_word(int control) {
    char peek = 0;
    return ::recv(control, &peek, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

} // namespace

Result<std::unique_ptr<Server>> Server::make(Home home, UniqueFd init, UniqueFd listener) {
    auto loop = TRY(Loop::make());
    std::unique_ptr<Server> server(new Server(std::move(loop)));
    auto* self = server.get();
    self->home_ = std::move(home);
    self->init_ = std::move(init);
    self->listener_ = std::move(listener);
    self->cloner_ = {self->init_.get(), self->home_.uid_map, self->home_.gid_map, self->home_.oom_score_adj,
                     self->home_.network.get()};
    self->slices_ = Slices(self->home_.uid_map, self->home_.gid_map);
    self->guards_.emplace(self->loop_, self->listeners_, self->home_.host_mounts.get(),
                          [self](const std::string& name, pid_t pid) {
                              self->tell_all(keeper_message(KeeperKind::guarded, 0).text(name).i32(pid));
                          });
    self->logs_ = TRY(LogCap::open());
    TRY(self->loop_.add(self->logs_.fd(), [self](std::uint32_t) { self->logs_.on_readable(); }));
    TRY(self->loop_.add(self->listener_.get(), [self](std::uint32_t) { self->accept_client(); }));
    return server;
}

int Server::run() {
    std::optional<std::uint64_t> idle_since;
    while (!loop_.is_stopping()) {
        // Nobody asks, nothing runs, no end is waiting to be told: what would be kept? A daemon that was killed, or
        // whose state folder was removed, must not leave us behind for ever, however often a helper ends meanwhile.
        const auto now = monotonic_ns();
        if (!clients_.empty() || !processes_.empty())
            idle_since.reset();
        else if (!idle_since)
            idle_since = now;
        else if (now - *idle_since >= kIdleNs)
            break;
        const auto left = idle_since ? kIdleNs - (now - *idle_since) : 0;
        if (!loop_.turn(idle_since ? static_cast<int>(left / 1'000'000 + 1) : -1))
            return 1;
    }
    for (auto& [id, process] : processes_)
        if (process.phase != ContainerPhase::exited)
            (void) os::send_signal(process.cell.pidfd.get(), SIGKILL);
    for (auto& [id, process] : processes_)
        if (process.phase != ContainerPhase::exited)
            (void) os::wait_ended(process.cell.pidfd.get(), 5000);
    return 0; // cells, helpers, guarded ones too, and the twin end with us (PR_SET_PDEATHSIG)
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
    if (loop_.add(fd, [this, fd](std::uint32_t events) { on_client(fd, events); }))
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
    loop_.remove(fd);
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
    loop_.want(client, EPOLLIN | EPOLLOUT);
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
    loop_.want(fd, EPOLLIN);
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
    case KeeperKind::guard: {
        const auto pid = guards_->guard(name, std::move(message.fds));
        if (!pid)
            return answer(client, sequence, Result<void>(std::unexpected(pid.error())));
        return tell(client, keeper_message(KeeperKind::spawned, sequence).i32(*pid));
    }
    case KeeperKind::affinity:
        return answer(client, sequence, change_affinity(name, request.other));
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
        loop_.stop();
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
    auto added = loop_.add(fd, [this, name](std::uint32_t) { on_cell_ended(name); });
    if (added)
        added = loop_.add(cells_.at(name).cell.control.get(), [this, name](std::uint32_t) { on_cell_report(name); });
    if (!added) {
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

// What a cell says before its launch: that its prelude failed, and why, for whoever wants to launch in it.
void Server::on_cell_report(const std::string& name) {
    const auto found = cells_.find(name);
    if (found == cells_.end())
        return;
    const int control = found->second.cell.control.get();
    const auto word = hear(control);
    if (word.closed)
        loop_.remove(control);
    if (word.report && word.report->kind == launch::ReportKind::failed && failed_cells_.size() < kMaxCells)
        failed_cells_[name] = {word.report->step, word.report->value};
}

void Server::on_cell_ended(const std::string& name) {
    const auto found = cells_.find(name);
    if (found == cells_.end())
        return;
    const auto& cell = found->second.cell;
    if (const auto result = os::reap(cell.pidfd.get()); result && !result->changed)
        return; // an event of an older descriptor with the same number
    loop_.remove(cell.pidfd.get());
    while (loop_.has(cell.control.get()) && has_word(cell.control.get()))
        on_cell_report(name);
    loop_.remove(cell.control.get());
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
    loop_.remove(spare.cell.pidfd.get());
    loop_.remove(spare.cell.control.get());
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
        TRY(loop_.add(process.cell.control.get(), [this, id](std::uint32_t) { on_report(id); }));
        TRY(loop_.add(process.cell.pidfd.get(), [this, id](std::uint32_t) { on_ended(id); }));
        auto sent = send_plan(process.cell, fds, true);
        if (!sent && (sent.error().sys_errno == EPIPE || sent.error().sys_errno == ECONNRESET))
            return {}; // it has ended: its last words say why, or on_ended() does
        return sent;
    }();
    if (!started) { // ends as an unknown child; nothing was reported
        process.client = -1;
        process.phase = ContainerPhase::exited;
        loop_.remove(process.cell.control.get());
        loop_.remove(process.cell.pidfd.get());
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

// The next word of an init. A listener goes where it belongs. Never waits: an event may be one of an older descriptor
// with the same number.
Server::Word Server::hear(int control) {
    if (!has_word(control))
        return {};
    auto message = os::receive_message(control, sizeof(launch::Report));
    // One that ended without reading its plan: the reset comes first, once, and its last words lie behind it.
    if (!message && message.error().sys_errno == ECONNRESET)
        message = os::receive_message(control, sizeof(launch::Report));
    if (!message || message->peer_closed)
        return {.closed = true, .report = {}};
    launch::Report report{};
    if (!launch::read_report(message->bytes.data(), message->bytes.size(), report))
        return {}; // no word of ours
    if (report.kind != launch::ReportKind::listener)
        return {.report = report};
    if (message->fds.size() == 1)
        listeners_.add(report.received_ns, std::move(message->fds.front()));
    return {};
}

// What init says on its control socket; at its end, what the lack of a word means.
void Server::on_report(const std::string& id) {
    const auto found = processes_.find(id);
    if (found == processes_.end())
        return;
    Process& process = found->second;
    const auto word = hear(process.cell.control.get());
    if (word.closed) {
        loop_.remove(process.cell.control.get());
        // An exec that closed its socket without a complaint has been executed (close-on-exec).
        if (process.is_exec() && process.phase == ContainerPhase::starting && process.client >= 0)
            started(process, 0, 0, monotonic_ns());
        return;
    }
    if (!word.report)
        return;
    const auto& report = *word.report;
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
    case launch::ReportKind::listener:
        break;
    }
}

void Server::on_ended(const std::string& id) {
    // The last words of init may still be in the socket: they come first.
    for (auto found = processes_.find(id); found != processes_.end(); found = processes_.find(id)) {
        const int control = found->second.cell.control.get();
        if (!loop_.has(control) || !has_word(control))
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
    loop_.remove(process.cell.pidfd.get());
    if (loop_.has(process.cell.control.get()))
        loop_.remove(process.cell.control.get());
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

Result<pid_t> Server::spawn(const std::string& name, std::vector<UniqueFd> fds) {
    if (fds.size() != 3)
        return fail_errno("spawn '" + name + "'", EINVAL);
    const int listener = fds[1].get();
    auto child = TRY(start_helper({.name = name,
                                   .host_mounts = home_.host_mounts.get(),
                                   .program = fds[0].get(),
                                   .log = fds[2].get(),
                                   .fds = {&listener, 1}}));
    const int fd = child.pidfd.get();
    TRY(loop_.add(fd, [this, fd](std::uint32_t) { on_helper_ended(fd); }));
    const auto pid = child.pid;
    helpers_[fd] = Helper{name, pid, std::move(child.pidfd)};
    return pid;
}

void Server::on_helper_ended(int fd) {
    const auto found = helpers_.find(fd);
    if (found == helpers_.end())
        return;
    const auto result = os::reap(fd);
    if (result && !result->changed)
        return;
    loop_.remove(fd);
    const auto message =
        keeper_message(KeeperKind::helper_exited, 0).text(found->second.name).i32(result ? result->status : 0);
    helpers_.erase(found);
    tell_all(message);
}

Result<void> Server::change_affinity(const std::string& id, const std::string& mask) {
    const auto cpus = launch::read_mask(mask.c_str(), mask.size());
    if (cpus.size == 0)
        return fail_errno("a mask of CPUs", EINVAL);
    const auto cgroup = store_.find("cgroup/" + id);
    if (cgroup == store_.end())
        return fail_errno("the cgroup of '" + id + "'", ENOENT);
    return set_affinity(cgroup->second.front().get(), cpus);
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
