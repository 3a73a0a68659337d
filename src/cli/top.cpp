// squish top: the loop between the daemon's figures, the keys and the screen.
//
// How this works: a reading each second, on a connection of its own; keys as they come. What a key asks of the daemon
// is sent over a further connection, whose answer is awaited beside everything else: a stop may take its ten seconds.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/screen.h"
#include "os/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <list>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

namespace squish::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInterval = std::chrono::seconds(1);
constexpr auto kFirstInterval = std::chrono::milliseconds(500); // before which there are no rates
constexpr int kDaemonSeconds = 5;                               // for a reading, which is answered at once
constexpr char kControlC = 3;

Result<UniqueFd> take_signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&wanted, number);
    ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
    UniqueFd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        return fail_errno("signalfd");
    return fd;
}

int milliseconds_to(Clock::time_point then) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(then - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

// Keys one by one, unseen, Ctrl-C among them; and as it was again afterwards.
class KeysOnly {
public:
    KeysOnly() {
        if (::tcgetattr(STDIN_FILENO, &before_) < 0)
            return;
        termios wanted = before_;
        wanted.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
        ::tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted);
    }
    KeysOnly(const KeysOnly&) = delete;
    KeysOnly& operator=(const KeysOnly&) = delete;
    ~KeysOnly() { ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_); }

private:
    termios before_{};
};

// In a child of ours. Should: end with us.
[[noreturn]] void show_logs_and_exit(const std::string& id, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(1);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC); null >= 0)
        ::dup2(null, STDIN_FILENO); // the keys are our parent's
    std::array<std::string, 4> words{"--follow", "--tail", "100", id};
    std::array<char*, 4> pointers{};
    std::ranges::transform(words, pointers.begin(), [](std::string& word) { return word.data(); });
    ::_exit(logs_command(pointers));
}

class Top {
public:
    Top(const Paths& paths, Client client, UniqueFd signals, Screen screen, bool utf8)
        : paths_(paths), client_(std::move(client)), signals_(std::move(signals)), screen_(std::move(screen)),
          model_(utf8) {}

    // Returns the exit code.
    Result<int> run() {
        TRY(read());
        next_ = Clock::now() + kFirstInterval;
        while (!exit_code_) {
            draw();
            TRY(wait());
        }
        return *exit_code_;
    }

private:
    struct Request {
        Client client;
        std::string what; // "stop 'web'"
    };

    Result<void> read();
    void draw();
    Result<void> wait();
    Result<void> take_signal();
    Result<void> take_keys();
    Result<void> perform(const TopAction& action);
    void request(const TopAction& action, const std::string& verb, const std::string& suffix);
    [[nodiscard]] bool serve(Request& request);
    Result<void> show_logs(const TopAction& action);
    Result<void> await_logs(int pidfd);

    const Paths& paths_;
    Client client_;
    UniqueFd signals_;
    Screen screen_;
    TopModel model_;
    std::list<Request> requests_;
    Clock::time_point next_ = Clock::now();
    std::optional<int> exit_code_;
};

Result<void> Top::read() {
    client_.limit_waiting(kDaemonSeconds);
    const auto containers = TRY(client_.call({"GET", "/v1/containers"}));
    const auto stats = TRY(client_.call({"GET", "/v1/stats"}));
    model_.take(stats, containers);
    next_ = Clock::now() + kInterval;
    return {};
}

void Top::draw() {
    const auto size = screen_.size();
    screen_.show(model_.layout(size.width, size.height));
}

// Until something has happened, or it is time for a reading.
Result<void> Top::wait() {
    std::vector<pollfd> waiting{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    for (const auto& request : requests_)
        waiting.push_back({request.client.fd(), POLLIN, 0});
    if (::poll(waiting.data(), waiting.size(), milliseconds_to(next_)) < 0 && errno != EINTR) // SIGWINCH: a key, too
        return fail_errno("poll");
    if (waiting[0].revents & (POLLHUP | POLLERR)) { // the terminal is gone
        exit_code_ = 128 + SIGHUP;
        return {};
    }
    std::size_t index = 2;
    for (auto request = requests_.begin(); request != requests_.end(); ++index)
        request = waiting[index].revents && serve(*request) ? requests_.erase(request) : std::next(request);
    TRY(take_signal());
    TRY(take_keys());
    if (Clock::now() < next_ || exit_code_)
        return {};
    if (const auto done = read(); !done) { // the next reading may succeed
        model_.say(done.error().text());
        next_ = Clock::now() + kInterval;
        if (auto again = Client::connect(paths_))
            client_ = std::move(*again);
    }
    return {};
}

Result<void> Top::take_signal() {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) == sizeof info)
        exit_code_ = 128 + static_cast<int>(info.ssi_signo);
    return {};
}

Result<void> Top::take_keys() {
    while (!exit_code_) {
        const auto press = screen_.key();
        if (!press)
            return {};
        if (!press->resized)
            TRY(perform(model_.press(press->key, press->letter)));
    }
    return {};
}

Result<void> Top::perform(const TopAction& action) {
    switch (action.kind) {
    case TopAction::Kind::none:
        return {};
    case TopAction::Kind::quit:
        exit_code_ = 0;
        return {};
    case TopAction::Kind::stop:
        request(action, "stop", "/stop");
        return {};
    case TopAction::Kind::kill:
        request(action, "kill", "/kill");
        return {};
    case TopAction::Kind::pause:
        request(action, "pause", "/pause");
        return {};
    case TopAction::Kind::unpause:
        request(action, "unpause", "/unpause");
        return {};
    case TopAction::Kind::logs:
        return show_logs(action);
    }
    std::unreachable();
}

void Top::request(const TopAction& action, const std::string& verb, const std::string& suffix) {
    const auto what = verb + " '" + action.name + "'";
    auto client = Client::connect(paths_);
    const auto sent = client ? client->send({"POST", "/v1/containers/" + percent_encode(action.id) + suffix})
                             : Result<void>(std::unexpected(client.error()));
    if (!sent)
        return model_.say(what + ": " + sent.error().text());
    model_.say(what + " …");
    requests_.push_back({std::move(*client), what});
}

// True where it has been answered.
bool Top::serve(Request& request) {
    const auto more = request.client.receive();
    auto& response = request.client.response();
    if (more && *more && !response.complete())
        return false;
    if (!response.complete())
        model_.say(request.what + ": squishd ended before it answered");
    else if (response.status() >= 400)
        model_.say(request.what + ": " + error_of(response.status(), response.take_body()).text());
    else
        model_.say(request.what + ": done");
    next_ = Clock::now(); // to show what it has led to
    return true;
}

Result<void> Top::show_logs(const TopAction& action) {
    screen_.leave();
    (void) print("\033[2J\033[H-- logs of " + action.name + "; q or Ctrl-C comes back --\n");
    const pid_t parent = ::getpid();
    auto child = os::clone_process(0);
    if (child && child->pid == 0)
        show_logs_and_exit(action.id, parent);
    if (child) {
        const auto waited = await_logs(child->pidfd.get());
        (void) os::send_signal(child->pidfd.get(), SIGKILL);
        (void) os::wait_ended(child->pidfd.get(), -1);
        (void) os::reap(child->pidfd.get());
        if (!waited)
            model_.say(waited.error().text());
    } else {
        model_.say(child.error().text());
    }
    screen_.come_back();
    next_ = Clock::now();
    return {};
}

// Until 'q' or Ctrl-C. A container that has ended leaves its logs on the screen until then.
Result<void> Top::await_logs(int pidfd) {
    const KeysOnly keys;
    std::array<pollfd, 3> waiting{pollfd{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}, {pidfd, POLLIN, 0}};
    for (;;) {
        if (::poll(waiting.data(), waiting.size(), -1) < 0) {
            if (errno == EINTR)
                continue;
            return fail_errno("poll");
        }
        if (waiting[1].revents)
            return take_signal();
        if (waiting[2].revents) {
            (void) print("-- that is all; q comes back --\n");
            waiting[2].fd = -1;
        }
        if (!waiting[0].revents)
            continue;
        char key = 0;
        if (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == kControlC)
            return {};
    }
}

Result<int> run_top(const Paths& paths) {
    auto client = TRY(Client::connect(paths));
    const bool utf8 = use_utf8();
    auto signals = TRY(take_signals());
    auto screen = TRY(Screen::open());
    // The terminal is as it was before anything is complained about.
    return Top(paths, std::move(client), std::move(signals), std::move(screen), utf8).run();
}

} // namespace

int top_command(Words words) {
    Options options("top [OPTIONS]", "Watches what containers use, on the whole screen.");
    options.note(
        "Keys: arrows or j k select; c m p n sort by processor time, memory, processes, name, r reverses; s stops,\n"
        "K kills, P pauses the selected container, l shows its logs; ? is help, q ends it.");
    if (const auto code = options.parse(words))
        return *code;
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    const auto code = run_top(*paths);
    return code ? *code : give_up(code.error());
}

} // namespace squish::cli
