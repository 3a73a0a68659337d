// Requests to the helpers that more than one place makes. Functions, because GCC 12 cannot compile a braced list among
// the arguments of a co_await.
#pragma once

#include "wire/json_channel.h"

#include <chrono>
#include <string>

namespace squish {

// `linger`: what a payload wrote before it ended is still delivered to slow clients, for this long at most. Its sockets
// keep the network namespace busy meanwhile; the stager sees that and does not use it again before.
[[nodiscard]] inline wire::Json release_request(const std::string& container, std::chrono::milliseconds linger) {
    auto request = wire::to_request("release");
    request["container"] = container;
    request["linger_ms"] = linger.count();
    return request;
}

} // namespace squish
