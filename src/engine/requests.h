// Requests to the helpers that more than one place makes. Functions, because GCC 12 cannot compile a braced list among
// the arguments of a co_await.
#pragma once

#include "wire/json_channel.h"

#include <string>

namespace squish {

[[nodiscard]] inline wire::Json release_request(const std::string& container) {
    auto request = wire::to_request("release");
    request["container"] = container;
    return request;
}

} // namespace squish
