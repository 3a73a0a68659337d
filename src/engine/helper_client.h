// Asks the stager or the forwarder (the JSON channel).
#pragma once

#include "engine/link.h"
#include "wire/json_channel.h"

namespace squish {

class HelperClient {
public:
    // `on_closed`: the helper went away.
    HelperClient(const asio::any_io_executor& executor, std::string name, UniqueFd socket, Link::OnClosed on_closed);
    HelperClient(const HelperClient&) = delete;
    HelperClient& operator=(const HelperClient&) = delete;
    ~HelperClient() { link_->close(); }

    [[nodiscard]] Task<wire::JsonMessage> ask(wire::Json request, std::vector<int> fds = {},
                                              std::chrono::milliseconds limit = std::chrono::seconds(20));
    [[nodiscard]] bool is_open() const { return link_->is_open(); }

private:
    std::shared_ptr<Link> link_;
};

} // namespace squish
