// Tells when a bridge of ours was deleted by somebody else.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squish::network {

// A socket that hears of every link of the network namespace that its maker was in (rtnetlink(7), RTMGRP_LINK).
class LinkWatch {
public:
    [[nodiscard]] static Result<LinkWatch> open();
    // Readable when there is something to hear.
    [[nodiscard]] int fd() const { return socket_.get(); }
    // Hears all there is. True where a bridge (squish0, sqb…) has gone, or where something was missed.
    [[nodiscard]] bool has_lost_bridge();

private:
    explicit LinkWatch(UniqueFd socket) : socket_(std::move(socket)) {}
    UniqueFd socket_;
};

} // namespace squish::network
