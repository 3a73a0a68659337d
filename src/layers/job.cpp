#include "layers/job.h"

#include "archive/reader.h"
#include "layers/sandbox.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::layers {

using wire::Json;

namespace {

constexpr auto kBetween = std::chrono::milliseconds(100); // two progress messages

// --- in the job's process

// Descriptors of the worker and of other jobs' clients have no business here.
void close_all_but(std::vector<int> kept) {
    std::ranges::sort(kept);
    unsigned next = 3;
    for (const int fd : kept) {
        if (static_cast<unsigned>(fd) > next)
            ::syscall(SYS_close_range, next, static_cast<unsigned>(fd) - 1, 0);
        next = std::max(next, static_cast<unsigned>(fd) + 1);
    }
    ::syscall(SYS_close_range, next, ~0U, 0);
}

Result<void> ask_for_maps(int socket) {
    TRY(wire::send_json(socket, Json{{"event", "map"}}));
    const auto answer = TRY(wire::receive_json(socket));
    if (answer.peer_closed)
        return fail(ErrorKind::unavailable, "squish-layers is gone");
    return wire::check_answer(answer.body);
}

Result<Json> work(const Order& order, int socket) {
    const auto roles = TRY(roles_of(order.request));
    std::vector<MountFd> views; // open until the end
    std::vector<int> fds;
    Cell cell;
    for (std::size_t i = 0; i < roles.size(); ++i) {
        fds.push_back(order.fds[i].get());
        if (roles[i] == Role::stream)
            continue;
        const auto access = roles[i] == Role::folder_to_write ? Access::write : Access::read;
        views.push_back(TRY(private_view(order.fds[i].get(), access)));
        fds.back() = views.back().get();
        cell.folders.push_back(fds.back());
        if (access == Access::write)
            cell.access = access; // where one is only read, its mount says so
    }
    // The folders as they were given lead out of the cell.
    for (std::size_t i = 0; i < roles.size(); ++i)
        if (roles[i] != Role::stream)
            ::close(order.fds[i].get());
    cell.max_file_bytes = max_file_bytes(order.request);
    cell.map_ids = [&] { return ask_for_maps(socket); };
    archive::prepare_names();
    TRY(enter(cell));
    auto last = std::chrono::steady_clock::now();
    return carry_out(order.request, fds, [&](std::uint64_t read, std::uint64_t written, std::uint64_t entries) {
        const auto now = std::chrono::steady_clock::now();
        if (now - last < kBetween)
            return;
        last = now;
        (void) wire::send_json(socket,
                               Json{{"event", "progress"}, {"read", read}, {"written", written}, {"entries", entries}});
    });
}

[[noreturn]] void be_the_job(const Order& order, UniqueFd socket, pid_t worker) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != worker)
        ::_exit(1);
    ::signal(SIGPIPE, SIG_IGN);
    ::umask(022);
    std::vector<int> kept{socket.get()};
    for (const auto& fd : order.fds)
        kept.push_back(fd.get());
    close_all_but(std::move(kept));
    auto done = work(order, socket.get());
    const auto sent = wire::send_json(socket.get(), done ? wire::answer(order.request, std::move(*done))
                                                         : wire::error_answer(order.request, done.error()));
    ::_exit(sent ? 0 : 1);
}

// --- in the worker

bool is_count(const Json& message, const char* member) {
    const auto found = message.find(member);
    return found != message.end() && found->is_number_unsigned();
}

} // namespace

Result<Job> Job::start(Order order) {
    const auto roles = TRY(roles_of(order.request));
    if (order.fds.size() != roles.size())
        return fail(ErrorKind::invalid, "the request comes with " + std::to_string(order.fds.size()) +
                                            " descriptors instead of " + std::to_string(roles.size()));
    auto [ours, theirs] = TRY(os::socket_pair());
    if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) < 0)
        return fail_errno("make a socket");
    const pid_t worker = ::getpid();
    // fork(3) and not clone3(2): the job starts threads, so that libc must know whose process it is.
    const pid_t pid = ::fork();
    if (pid < 0)
        return fail_errno("start a process to work in");
    if (pid == 0) {
        ours.reset();
        be_the_job(order, std::move(theirs), worker);
    }
    Job job;
    job.request_ = std::move(order.request);
    job.pid_ = pid;
    job.socket_ = std::move(ours);
    auto pidfd = os::open_pidfd(pid); // it cannot be somebody else's: nobody has reaped it
    if (!pidfd) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return std::unexpected(std::move(pidfd).error());
    }
    job.pidfd_ = std::move(*pidfd);
    return job;
}

Result<void> Job::map_ids(const IdMaps& maps) {
    const auto folder = "/proc/" + std::to_string(pid_);
    TRY(os::write_existing(folder + "/uid_map", maps.uids));
    TRY(os::write_existing(folder + "/gid_map", maps.gids));
    return {};
}

std::optional<Json> Job::hear(const IdMaps& maps) {
    auto message = wire::receive_json(socket_.get());
    if (message && message->peer_closed)
        (void) os::send_signal(pidfd_.get(), SIGKILL); // it cannot answer any more; its end is told by the pidfd
    if (!message || message->peer_closed || answered_)
        return std::nullopt;
    auto& body = message->body;
    const auto event = wire::get_string(body, "event");
    if (event && *event == "map" && !mapped_) {
        mapped_ = true;
        const auto done = map_ids(maps);
        (void) wire::send_json(socket_.get(), done ? wire::answer(body) : wire::error_answer(body, done.error()));
        return std::nullopt;
    }
    if (event && *event == "progress") {
        if (!is_count(body, "read") || !is_count(body, "written") || !is_count(body, "entries"))
            return std::nullopt;
        return Json{{"event", "progress"},
                    {"request", request_.value("seq", Json(0))},
                    {"read", body["read"]},
                    {"written", body["written"]},
                    {"entries", body["entries"]}};
    }
    if (event)
        return std::nullopt;
    answered_ = true;
    if (const auto fine = wire::check_answer(body); !fine)
        return wire::error_answer(request_, fine.error());
    return wire::answer(request_, std::move(body));
}

void Job::cancel() {
    cancelled_ = true;
    (void) os::send_signal(pidfd_.get(), SIGKILL);
}

std::optional<Json> Job::ended() {
    const auto result = os::reap(pidfd_.get());
    if (answered_)
        return std::nullopt;
    answered_ = true;
    if (cancelled_)
        return wire::error_answer(request_, Error{ErrorKind::conflict, "cancelled", "", 0});
    const int status = result ? result->status : 0;
    if (WIFSIGNALED(status))
        return wire::error_answer(
            request_,
            Error{ErrorKind::system,
                  "the process that worked on the layer was ended by signal " + std::to_string(WTERMSIG(status)),
                  "try again; if it happens with one archive only, that archive makes it use more memory than there is",
                  0});
    return wire::error_answer(request_, Error{ErrorKind::system,
                                              "the process that worked on the layer ended with status " +
                                                  std::to_string(WEXITSTATUS(status)) + " and without an answer",
                                              "see layers.log in squish's state folder", 0});
}

} // namespace squish::layers
