#include "archive/input.h"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace squish::archive {

Input::Input(int fd, Hash hash) : fd_(fd), stopped_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (hash == Hash::wanted)
        hash_.emplace();
}

// Whole blocks also from a pipe, which gives less at a time: fewer turns for all who come behind.
Result<void> Input::fill(std::string& block) {
    block.resize(kBlock);
    std::size_t have = 0;
    while (have < kBlock && !ended_) {
        // A file is always ready; a pipe or socket may stay silent for ever, and then only stop() ends the wait.
        pollfd waiting[2] = {{fd_, POLLIN, 0}, {stopped_.get(), POLLIN, 0}};
        if (::poll(waiting, 2, -1) < 0 && errno != EINTR)
            return fail_errno("wait for the archive");
        if (waiting[1].revents)
            return fail_errno("read the archive", ECANCELED);
        if (!waiting[0].revents)
            continue;
        const auto got = ::read(fd_, block.data() + have, kBlock - have);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return fail_errno("read the archive");
        ended_ = got == 0;
        have += static_cast<std::size_t>(got);
        bytes_.fetch_add(static_cast<std::uint64_t>(got), std::memory_order_relaxed);
    }
    block.resize(have);
    if (hash_)
        hash_->update(block);
    return {};
}

Result<std::string_view> Input::next() {
    if (replayed_ < kept_.size())
        return std::string_view(kept_[replayed_++]);
    if (!keeping_) {
        TRY(fill(block_));
        return std::string_view(block_);
    }
    std::string block;
    TRY(fill(block));
    if (block.empty())
        return std::string_view();
    kept_bytes_ += block.size();
    kept_.push_back(std::move(block)); // the strings' own bytes stay where they are: each is longer than a short string
    return std::string_view(kept_[replayed_++]);
}

Result<std::string_view> Input::peek() {
    const auto first = TRY(next());
    rewind();
    return first.empty() ? std::string_view() : std::string_view(kept_.front());
}

void Input::rewind() {
    replayed_ = 0;
}

void Input::stop() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(stopped_.get(), &one, sizeof one);
}

void Input::commit() {
    keeping_ = false;
}

Result<void> Input::drain() {
    keeping_ = false;
    while (!ended_)
        TRY(fill(block_));
    return {};
}

std::optional<Digest> Input::digest() {
    return hash_ ? std::optional(hash_->finish()) : std::nullopt;
}

} // namespace squish::archive
