#include "cli/relay.h"

#include "os/file.h"
#include "os/socket.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace squish::cli {

namespace {

constexpr std::size_t kBlock = 64 << 10;
constexpr std::size_t kMaxKeys = 64 << 10; // typed ahead; beyond, the user's terminal holds them
constexpr int kQuietMs = 200;              // a background process may hold the terminal open for ever

// The user's terminal or pipe may be non-blocking (it is shared with whoever started us).
bool write_patiently(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto put = ::write(fd, bytes.data(), bytes.size());
        if (put > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(put));
        } else if (errno == EAGAIN) {
            pollfd waiting{fd, POLLOUT, 0};
            ::poll(&waiting, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

} // namespace

void Relay::await_master(UniqueFd console, bool interactive) {
    console_ = std::move(console);
    interactive_ = interactive;
}

void Relay::prepare(std::span<pollfd, kFds> waiting) const {
    waiting[0] = {console_.get(), POLLIN, 0}; // -1 is passed over by poll(2)
    waiting[1] = {master_.get(), static_cast<short>(keys_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    const bool wants_keys = interactive_ && master_ && keys_.size() < kMaxKeys;
    waiting[2] = {wants_keys ? STDIN_FILENO : -1, POLLIN, 0};
}

Result<void> Relay::serve(std::span<const pollfd, kFds> waiting) {
    if (waiting[0].revents)
        TRY(take_master());
    if (waiting[2].revents)
        take_keys();
    if (waiting[1].revents & POLLOUT)
        give_keys();
    if ((waiting[1].revents & (POLLIN | POLLHUP | POLLERR)) && !copy_output())
        master_.reset();
    return {};
}

Result<void> Relay::take_master() {
    auto message = os::receive_message(console_.get(), 16);
    console_.reset();
    if (!message || message->fds.empty())
        return {}; // it could not be started: the answer says why
    master_ = std::move(message->fds[0]);
    ::fcntl(master_.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    resize(); // it may have changed since the request
    if (interactive_)
        raw_.emplace(TRY(RawTerminal::enter(STDIN_FILENO)));
    return {};
}

void Relay::resize() {
    if (master_)
        set_window_size(master_.get(), window_size());
}

bool Relay::copy_output() {
    std::array<char, kBlock> block;
    const auto got = ::read(master_.get(), block.data(), block.size());
    if (got < 0)
        return errno == EAGAIN || errno == EINTR; // EIO: the last process has closed its side
    if (got > 0)
        (void) write_patiently(STDOUT_FILENO, {block.data(), static_cast<std::size_t>(got)});
    return got > 0;
}

void Relay::take_keys() {
    std::array<char, 4096> block;
    const auto got = ::read(STDIN_FILENO, block.data(), block.size());
    if (got > 0)
        keys_.append(block.data(), static_cast<std::size_t>(got));
    else if (got == 0 || (errno != EINTR && errno != EAGAIN))
        interactive_ = false; // the user's terminal is gone
    give_keys();
}

void Relay::give_keys() {
    if (!master_ || keys_.empty())
        return;
    const auto put = ::write(master_.get(), keys_.data(), keys_.size());
    if (put > 0)
        keys_.erase(0, static_cast<std::size_t>(put));
    else if (errno != EINTR && errno != EAGAIN)
        keys_.clear();
}

void Relay::drain() {
    if (console_ && !master_) { // it ended faster than we looked
        pollfd waiting{console_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, 0) > 0)
            (void) take_master();
    }
    while (master_) {
        pollfd waiting{master_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, kQuietMs) <= 0 || !copy_output())
            master_.reset();
    }
    raw_.reset();
}

} // namespace squish::cli
