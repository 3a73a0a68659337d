// How this works: one request carries our stdin, stdout and stderr, which become the payload's own, so there is nothing
// to copy; the answer is a stream of events. With -t the payload has a terminal instead, whose master side arrives over
// a socket that went with the request, and its bytes are relayed here (relay.h). Signals are taken from a signalfd and
// passed on over a connection of their own. Should the daemon end meanwhile, the container runs on: we start another
// daemon and ask that one how it ended.
#include "cli/session.h"

#include "base/text.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/progress_view.h"
#include "cli/relay.h"
#include "os/socket.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace squish::cli {

namespace {

constexpr std::array kForwarded{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr int kInterruptsUntilKill = 3;
constexpr int kMaxReconnects = 3;
constexpr int kSignalSeconds = 3;

Result<UniqueFd> take_signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int number : kForwarded)
        sigaddset(&wanted, number);
    sigaddset(&wanted, SIGWINCH);
    ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        return fail_errno("signalfd");
    return fd;
}

class Session {
public:
    Session(const Paths& paths, SessionRequest request, Client client, UniqueFd signals)
        : paths_(paths), request_(std::move(request)), client_(std::move(client)), signals_(std::move(signals)) {}

    Result<int> run() {
        TRY(send());
        while (!exit_code_)
            TRY(step());
        relay_.drain();
        return *exit_code_;
    }

private:
    Result<void> send();
    Result<void> step();
    Result<void> take_answer();
    Result<void> take_event(const Json& event);
    Result<void> reconnect();
    Result<void> take_signal();
    void forward(int number);

    const Paths& paths_;
    SessionRequest request_;
    Client client_;
    UniqueFd signals_;
    Relay relay_;
    std::string id_;         // empty until it has started
    std::vector<int> early_; // signals that came before that
    std::optional<int> exit_code_;
    bool asks_for_end_ = false; // the answer is that of …/wait, not a stream of events
    int interrupts_ = 0, reconnects_ = 0;
    ProgressView progress_; // of layers, before it starts
};

Result<void> Session::send() {
    Call call{"POST", request_.target};
    UniqueFd theirs;
    if (request_.terminal) {
        auto [ours, other] = TRY(os::socket_pair());
        theirs = std::move(other);
        relay_.await_master(std::move(ours), request_.interactive);
        const auto size = window_size();
        request_.body["terminal"] = {{"rows", size.rows}, {"columns", size.columns}};
        call.fds = {{"console", theirs.get()}};
    } else {
        if (request_.interactive)
            call.fds.push_back({"stdin", STDIN_FILENO});
        call.fds.push_back({"stdout", STDOUT_FILENO});
        call.fds.push_back({"stderr", STDERR_FILENO});
    }
    call.body = request_.body.dump(-1, ' ', false, Json::error_handler_t::replace);
    return client_.send(call);
}

Result<void> Session::step() {
    std::array<pollfd, 2 + Relay::kFds> waiting{};
    waiting[0] = {client_.fd(), POLLIN, 0};
    waiting[1] = {signals_.get(), POLLIN, 0};
    relay_.prepare(std::span(waiting).subspan<2>());
    if (::poll(waiting.data(), waiting.size(), -1) < 0)
        return errno == EINTR ? Result<void>() : Result<void>(fail_errno("poll"));
    TRY(relay_.serve(std::span(waiting).subspan<2>()));
    if (waiting[1].revents)
        TRY(take_signal());
    if (waiting[0].revents)
        TRY(take_answer());
    return {};
}

Result<void> Session::take_answer() {
    const auto more = client_.receive();
    if (!more && was_not_served(more.error()) && id_.empty() && ++reconnects_ < kAttempts) {
        client_ = TRY(Client::connect(paths_));
        return send();
    }
    if (!more && more.error().kind != ErrorKind::system)
        return std::unexpected(more.error());
    auto& response = client_.response();
    if (response.has_head() && (response.status() >= 400 || asks_for_end_)) {
        if (!response.complete())
            return more && *more ? Result<void>() : reconnect();
        const auto body = response.take_body();
        if (response.status() >= 400)
            return std::unexpected(error_of(response.status(), body));
        exit_code_ = static_cast<int>(number_of(TRY(json_of(body)), "code"));
        return {};
    }
    while (const auto line = response.take_line())
        TRY(take_event(TRY(json_of(*line))));
    return exit_code_ || (more && *more) ? Result<void>() : reconnect();
}

Result<void> Session::take_event(const Json& event) {
    const auto name = text_of(event, "event");
    if (name == "progress") {
        progress_.take(event);
    } else if (name == "failed") {
        return std::unexpected(error_of(static_cast<unsigned>(number_of(event, "status")), event.dump()));
    } else if (name == "started") {
        progress_.finish();
        id_ = text_of(event, "id");
        print_warnings(event);
        for (const int number : std::exchange(early_, {}))
            forward(number);
    } else if (name == "exited") {
        exit_code_ = static_cast<int>(number_of(event, "code"));
    } else if (name == "lost") {
        return std::unexpected(error_of(500, event.dump()));
    }
    return {};
}

Result<void> Session::reconnect() {
    if (id_.empty())
        return fail(ErrorKind::unavailable, "squishd ended before it answered",
                    "its log is '" + paths_.state + "/squishd.log'");
    if (++reconnects_ > kMaxReconnects)
        return fail(ErrorKind::unavailable, "squishd ends again and again; '" + id_ + "' may be running still",
                    "see 'squish ps', and the log '" + paths_.state + "/squishd.log'");
    client_ = TRY(Client::connect(paths_));
    asks_for_end_ = true;
    return client_.send({"GET", request_.resource + id_ + "/wait"});
}

Result<void> Session::take_signal() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        const int number = static_cast<int>(info.ssi_signo);
        if (number == SIGWINCH) {
            relay_.resize();
            continue;
        }
        if (number == SIGINT)
            ++interrupts_;
        if (id_.empty()) {
            if (interrupts_ >= kInterruptsUntilKill)
                return fail(ErrorKind::unavailable, "interrupted before squishd answered");
            early_.push_back(number);
        } else {
            forward(number == SIGINT && interrupts_ >= kInterruptsUntilKill ? SIGKILL : number);
        }
    }
    return {};
}

// A signal that cannot be passed on is no reason to leave: the container may just have ended.
void Session::forward(int number) {
    auto client = Client::connect_running(paths_);
    if (!client)
        return;
    client->limit_waiting(kSignalSeconds);
    const auto told = client->call({"POST", request_.resource + id_ + "/kill?signal=" + std::to_string(number)});
    if (!told && told.error().kind == ErrorKind::unavailable)
        warn("signal " + std::to_string(number) + " was not passed on: " + told.error().text());
}

} // namespace

Result<void> check_terminal(bool terminal) {
    if (terminal && ::isatty(STDIN_FILENO) != 1)
        return fail(ErrorKind::invalid, "-t needs a terminal, and the input device is not a terminal", "leave out -t");
    return {};
}

int run_session(const Paths& paths, SessionRequest request) {
    auto signals = take_signals();
    if (!signals)
        return give_up(signals.error(), Doing::starting);
    auto client = Client::connect(paths);
    if (!client)
        return give_up(client.error(), Doing::starting);
    // The session ends with the terminal as it was, before anything is said.
    const auto outcome = Session(paths, std::move(request), std::move(*client), std::move(*signals)).run();
    return outcome ? *outcome : give_up(outcome.error(), Doing::starting);
}

} // namespace squish::cli
