// Asks one of our helpers over the JSON channel (wire/json_channel.h).
#pragma once

#include "async/link.h"
#include "wire/json_channel.h"

namespace squish {

class HelperClient {
public:
    // What a helper says of a request before it answers: {"event": "progress", "request"?: its number, …}.
    using OnProgress = std::function<void(const wire::Json&)>;

    // What it says without having been asked: {"event": "…", …}, "progress" excepted.
    using OnEvent = std::function<void(const wire::Json&)>;

    // `on_closed`: the helper went away.
    HelperClient(const asio::any_io_executor& executor, std::string name, UniqueFd socket, Link::OnClosed on_closed,
                 OnEvent on_event = {});
    HelperClient(const HelperClient&) = delete;
    HelperClient& operator=(const HelperClient&) = delete;
    ~HelperClient() { link_->close(); }

    // `unavailable` where no answer comes within `limit`. `on_progress` is not called after the answer.
    [[nodiscard]] Task<wire::JsonMessage> ask(wire::Json request, std::vector<int> fds = {},
                                              std::chrono::milliseconds limit = std::chrono::seconds(20),
                                              OnProgress on_progress = {});
    [[nodiscard]] bool is_open() const { return link_->is_open(); }
    [[nodiscard]] const asio::any_io_executor& executor() const { return link_->executor(); }

private:
    using Listeners = std::map<std::uint32_t, OnProgress>;
    std::shared_ptr<Listeners> listeners_ = std::make_shared<Listeners>();
    std::shared_ptr<Link> link_;
};

} // namespace squish
