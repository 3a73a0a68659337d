#include "async/link.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>

namespace squish {

namespace {

Error gone(const std::string& name) {
    return Error{ErrorKind::unavailable, name + " is gone", "", kPeerGone};
}

} // namespace

std::shared_ptr<Link> Link::make(const asio::any_io_executor& executor, std::string name, UniqueFd socket,
                                 std::size_t limit, Classify classify, OnEvent on_event, OnClosed on_closed) {
    std::shared_ptr<Link> link(
        new Link(executor, std::move(name), limit, std::move(classify), std::move(on_event), std::move(on_closed)));
    ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
    link->descriptor_.assign(socket.release());
    asio::co_spawn(executor, read_loop(link), asio::detached);
    return link;
}

asio::awaitable<void> Link::read_loop(std::shared_ptr<Link> self) {
    while (self->open_) {
        auto message = os::receive_message(self->descriptor_.native_handle(), self->limit_);
        if (!message && message.error().sys_errno == EAGAIN) {
            const auto [error] =
                co_await self->descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
            if (error)
                break;
            continue;
        }
        if (!message || message->peer_closed)
            break;
        const auto number = self->classify_(*message);
        if (number == 0) {
            self->on_event_(std::move(*message));
            continue;
        }
        const auto found = self->waiting_.find(number);
        if (found == self->waiting_.end())
            continue; // nobody waits any more; its descriptors are closed here
        const auto waiting = found->second;
        self->waiting_.erase(found);
        waiting->message = std::move(*message);
        waiting->done.open();
    }
    self->lose();
}

void Link::lose() {
    const bool was_open = open_;
    close();
    if (was_open)
        on_closed_();
}

Task<os::Message> Link::ask(std::uint32_t number, std::string bytes, std::vector<int> fds,
                            std::chrono::milliseconds limit) {
    const auto self = shared_from_this();
    if (!open_)
        co_return std::unexpected(gone(name_));
    auto waiting = std::make_shared<Waiting>(executor_);
    waiting_[number] = waiting;
    for (;;) {
        auto sent = os::send_message(descriptor_.native_handle(), bytes, fds);
        if (sent)
            break;
        if (sent.error().sys_errno != EAGAIN) {
            waiting_.erase(number);
            if (sent.error().sys_errno == EPIPE || sent.error().sys_errno == ECONNRESET) {
                lose(); // before the read loop sees it: whoever asks next is to find it gone
                co_return std::unexpected(gone(name_));
            }
            co_return std::unexpected(std::move(sent).error().within(name_));
        }
        const auto [error] = co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_write, kAwait);
        if (error) {
            waiting_.erase(number);
            co_return std::unexpected(gone(name_));
        }
    }
    if (!co_await waiting->done.wait_for(limit)) {
        waiting_.erase(number);
        co_return fail(ErrorKind::unavailable, name_ + " does not answer");
    }
    co_return std::move(waiting->message);
}

void Link::tell(const std::string& bytes, std::span<const int> fds) {
    if (open_ && !os::send_message(descriptor_.native_handle(), bytes, fds))
        ::shutdown(descriptor_.native_handle(), SHUT_RDWR); // the read loop sees the end, and tells
}

void Link::close() {
    if (!open_)
        return;
    open_ = false;
    boost::system::error_code ignored;
    (void) descriptor_.close(ignored);
    fail_all();
}

void Link::fail_all() {
    auto waiting = std::exchange(waiting_, {});
    for (auto& [number, one] : waiting) {
        one->message = std::unexpected(gone(name_));
        one->done.open();
    }
}

} // namespace squish
