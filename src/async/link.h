// A connection to one of our own processes over a SEQPACKET socket: requests with answers matched by number, and
// events. The two message formats (wire/json_channel.h, wire/keeper_protocol.h) are in the clients built on it.
#pragma once

#include "async/latch.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "os/socket.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace squish {

// sys_errno of the error where the other end went away before it had answered.
inline constexpr int kPeerGone = ECONNRESET;

class Link : public std::enable_shared_from_this<Link> {
public:
    // What a received message is: the number of the request that it answers, or 0 for an event.
    using Classify = std::function<std::uint32_t(const os::Message&)>;
    using OnEvent = std::function<void(os::Message)>;
    using OnClosed = std::function<void()>;

    [[nodiscard]] static std::shared_ptr<Link> make(const asio::any_io_executor& executor, std::string name,
                                                    UniqueFd socket, std::size_t limit, Classify classify,
                                                    OnEvent on_event, OnClosed on_closed);

    [[nodiscard]] std::uint32_t next_number() { return ++last_number_ ? last_number_ : ++last_number_; }
    // Sends and waits for the answer, at most `limit`: ErrorKind::unavailable where it does not come.
    [[nodiscard]] Task<os::Message> ask(std::uint32_t number, std::string bytes, std::vector<int> fds,
                                        std::chrono::milliseconds limit);
    // Sends and does not wait; the answer is dropped when it comes.
    void tell(const std::string& bytes, std::span<const int> fds = {});
    void close();
    [[nodiscard]] bool is_open() const { return open_; }
    [[nodiscard]] const asio::any_io_executor& executor() const { return executor_; }

private:
    struct Waiting {
        explicit Waiting(const asio::any_io_executor& executor) : done(executor) {}
        Latch done;
        Result<os::Message> message = os::Message{};
    };
    Link(const asio::any_io_executor& executor, std::string name, std::size_t limit, Classify classify,
         OnEvent on_event, OnClosed on_closed)
        : executor_(executor), name_(std::move(name)), limit_(limit), classify_(std::move(classify)),
          on_event_(std::move(on_event)), on_closed_(std::move(on_closed)), descriptor_(executor) {}
    static asio::awaitable<void> read_loop(std::shared_ptr<Link> self);
    void fail_all();
    void lose(); // the other end is gone: closes, and tells

    asio::any_io_executor executor_;
    std::string name_;
    std::size_t limit_;
    Classify classify_;
    OnEvent on_event_;
    OnClosed on_closed_;
    asio::posix::stream_descriptor descriptor_;
    std::map<std::uint32_t, std::shared_ptr<Waiting>> waiting_;
    std::uint32_t last_number_ = 0;
    bool open_ = true;
};

} // namespace squish
