// What the routes need of the engine's networks, so that they can be tested without any.
#pragma once

#include "engine/engine.h"

namespace squish::daemon {

class Networks {
public:
    virtual ~Networks() = default;
    [[nodiscard]] virtual Task<NetworkInfo> create(std::string name) = 0;
    [[nodiscard]] virtual Task<void> remove(std::string name) = 0;
    [[nodiscard]] virtual Task<std::vector<NetworkInfo>> list() = 0;
    [[nodiscard]] virtual Task<NetworkInfo> inspect(std::string name) = 0;
};

} // namespace squish::daemon
