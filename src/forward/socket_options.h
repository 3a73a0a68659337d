// Several integer socket options at once.
#pragma once

#include "base/result.h"

#include <initializer_list>
#include <sys/socket.h>

namespace squish::forward {

struct SocketOption {
    int level;
    int name;
    int value;
};

[[nodiscard]] inline Result<void> set_options(int socket, std::initializer_list<SocketOption> options) {
    for (const auto& option : options)
        if (::setsockopt(socket, option.level, option.name, &option.value, sizeof option.value) < 0)
            return fail_errno("setsockopt");
    return {};
}

} // namespace squish::forward
