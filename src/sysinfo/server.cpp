#include "sysinfo/server.h"

#include "os/socket.h"
#include "procview/clock.h"
#include "sysinfo/kernel_layout.h"
#include "wire/codec.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <utility>

namespace squish::sysinfo {

using procshare::Key;
using procshare::Notice;
using procview::kSecond;
using procview::now_ns;

namespace {

constexpr std::uint64_t kKeeper = 0; // the number of its socket in the loop
constexpr std::uint64_t kTick = 5 * kSecond;
constexpr std::uint64_t kSlowFor = 60 * kSecond;
constexpr std::size_t kMaxSlow = 1024;
constexpr std::size_t kMaxMessagesInTurn = 64;

// Linux 6.6: who waits runs at once on this CPU. Older kernels refuse it.
constexpr unsigned long kSetFlags = _IOW('!', 4, std::uint64_t);
constexpr unsigned long kSyncWakeUp = 1;

// Ends the process when it is not taken off in time. SIGALRM kills, and so interrupts what only a kill interrupts.
class Patience {
public:
    Patience() { set(kPatienceSeconds); }
    ~Patience() { set(0); }
    Patience(const Patience&) = delete;
    Patience& operator=(const Patience&) = delete;

private:
    static void set(std::uint64_t seconds) {
        const itimerval timer{{0, 0}, {static_cast<time_t>(seconds), 0}};
        ::setitimer(ITIMER_REAL, &timer, nullptr);
    }
};

bool still_waits(int listener, const Notice& notice) {
    auto id = const_cast<Notice&>(notice).kernel()->id;
    return id != 0 && ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

} // namespace

Server::Server(UniqueFd keeper, UniqueFd proc, UniqueFd epoll, procshare::TableReader table, procshare::Notices notices,
               procview::Collector collector)
    : keeper_(std::move(keeper)), proc_(std::move(proc)), epoll_(std::move(epoll)), table_(std::move(table)),
      notices_(std::move(notices)), collector_(std::move(collector)) {}

Result<Server> Server::open(UniqueFd keeper, UniqueFd proc, procshare::TableReader table, procshare::Notices notices,
                            procview::Collector collector) {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll)
        return fail_errno("epoll_create1");
    epoll_event wanted{EPOLLIN, {.u64 = kKeeper}};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, keeper.get(), &wanted) < 0)
        return fail_errno("epoll_ctl");
    return Server(std::move(keeper), std::move(proc), std::move(epoll), std::move(table), std::move(notices),
                  std::move(collector));
}

Result<void> Server::run() {
    for (;;) {
        const bool watches = collector_.watches_load();
        std::array<epoll_event, 64> events;
        // The kernel gives them in turn: one that was given goes to the end of its list.
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       watches ? static_cast<int>(kTick / procview::kMillisecond) : -1);
        if (count < 0 && errno != EINTR)
            return fail_errno("epoll_wait");
        for (int i = 0; i < count; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            if (event.data.u64 != kKeeper)
                on_listener(event.data.u64, event.events);
            else if (TRY(take_listeners()) == Keeper::gone)
                return {};
        }
        if (const auto now = now_ns(); watches && now >= next_tick_) {
            const Patience patience;
            collector_.tick();
            next_tick_ = now + kTick;
        }
    }
}

Result<Server::Keeper> Server::take_listeners() {
    for (std::size_t i = 0; i < kMaxMessagesInTurn; ++i) {
        auto message = os::receive_message(keeper_.get(), sizeof(Key));
        if (!message && message.error().sys_errno == EAGAIN)
            break;
        // Without a listener that it sent, somebody would wait for ever: the next server is sent all of them again.
        if (!message)
            return std::unexpected(std::move(message).error().within("a listener from the keeper"));
        if (message->peer_closed)
            return Keeper::gone;
        wire::Reader reader(message->bytes);
        const Key view = reader.u64();
        if (!reader.finished() || message->fds.size() != 1 || view == 0)
            return fail(ErrorKind::invalid, "a message of the keeper's that is no listener");
        TRY(add(view, std::move(message->fds.front())));
    }
    return Keeper::there;
}

Result<void> Server::add(Key view, UniqueFd fd) {
    if (listeners_.size() >= kMaxListeners)
        return fail(ErrorKind::system, "more than " + std::to_string(kMaxListeners) + " listeners");
    (void) ::ioctl(fd.get(), kSetFlags, kSyncWakeUp);
    const auto number = next_number_++;
    auto& listener = listeners_.emplace(number, Listener{std::move(fd), view}).first->second;
    ++of_view_[view];
    // What the server before was about to answer.
    for (auto& notice : notices_.all())
        if (notice.view == view && still_waits(listener.fd.get(), notice))
            answer(listener, notice);
    epoll_event wanted{EPOLLIN, {.u64 = number}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener.fd.get(), &wanted) < 0)
        return fail_errno("epoll_ctl");
    return {};
}

void Server::remove(std::uint64_t number) {
    const auto found = listeners_.find(number);
    if (found == listeners_.end())
        return;
    // The keeper has it open as well, so that closing alone would leave it in the loop.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd.get(), nullptr);
    const auto view = found->second.view;
    listeners_.erase(found);
    if (--of_view_[view] == 0) {
        of_view_.erase(view);
        collector_.forget(view);
        slow_.erase(view);
    }
}

void Server::on_listener(std::uint64_t number, std::uint32_t events) {
    const auto found = listeners_.find(number);
    if (found == listeners_.end())
        return;
    if (events & EPOLLIN)
        receive(found->second);
    else if (events & (EPOLLHUP | EPOLLERR)) // nobody is left who could call (Linux 5.9)
        remove(number);
}

void Server::receive(const Listener& listener) {
    auto& notice = notices_.take(listener.view);
    // ENOENT: whoever called was killed in the meantime.
    if (::ioctl(listener.fd.get(), SECCOMP_IOCTL_NOTIF_RECV, notice.kernel()) == 0)
        answer(listener, notice);
    else
        procshare::Notices::clear(notice);
}

void Server::answer(const Listener& listener, Notice& notice) {
    notice.begun_ns = now_ns();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    {
        const Patience patience;
        auto response = response_to(listener, notice);
        // ENOENT: it was killed, or a signal interrupted it, and it will call again.
        (void) ::ioctl(listener.fd.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
    procshare::Notices::clear(notice);
}

void Server::note_slow(Key view) {
    std::fprintf(stderr, "a call in view %llu could not be answered in time\n", static_cast<unsigned long long>(view));
    if (slow_.size() >= kMaxSlow)
        slow_.clear();
    slow_[view] = now_ns() + kSlowFor;
}

bool Server::is_slow(Key view) {
    const auto slow = slow_.find(view);
    if (slow == slow_.end())
        return false;
    if (now_ns() < slow->second)
        return true;
    slow_.erase(slow);
    return false;
}

bool Server::write(const Caller& caller, std::uint64_t address, std::span<const std::byte> bytes, Key view) {
    switch (caller.look_at(address, bytes.size())) {
    case Memory::none:
        return false;
    case Memory::own:
        return caller.write(address, bytes);
    case Memory::of_file:
        break;
    }
    const auto outcome = apart_.run([&] { return caller.write(address, bytes); });
    if (outcome == Apart::Outcome::stuck)
        note_slow(view);
    return outcome == Apart::Outcome::done;
}

seccomp_notif_resp Server::response_to(const Listener& listener, Notice& notice) {
    const auto& call = *notice.kernel();
    seccomp_notif_resp response{.id = call.id, .val = 0, .error = 0, .flags = 0};
    const auto refuse = [&] {
        response.error = -EFAULT;
        return response;
    };
    const auto let_the_kernel_answer = [&] {
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        return response;
    };
    if (notice.overdue >= 2)
        note_slow(listener.view);
    if (is_slow(listener.view))
        return refuse();
    const auto facts = table_.get(listener.view);
    if (!facts) // nobody says what to show
        return let_the_kernel_answer();
    const auto view = collector_.view(*facts, procfs::kSystemInfoNeeds);
    const auto info = to_kernel(
        procfs::system_info(collector_.host_text("/proc/meminfo"), collector_.host_text("/proc/loadavg"), view),
        view.page_size);
    Caller caller;
    // Has ended (then no answer is taken any more), or is a program that it may not read itself.
    if (!caller.open(proc_.get(), static_cast<pid_t>(call.pid)))
        return let_the_kernel_answer();
    if (!still_waits(listener.fd.get(), notice)) // what was opened may be another process's
        return response;
    return write(caller, call.data.args[0], std::as_bytes(std::span(&info, 1)), listener.view) ? response : refuse();
}

} // namespace squish::sysinfo
