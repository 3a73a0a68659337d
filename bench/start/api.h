// One request of squish's API, as a program would make it: connect, POST /v1/containers, read the answer.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>

namespace squish::bench {

// Where the daemon of this user listens.
[[nodiscard]] Result<std::string> socket_path();

class CreateCall {
public:
    CreateCall(std::string socket, const std::string& body);
    // Nanoseconds from before connect(2) until the whole answer is there: the payload has been executed by then.
    Result<std::uint64_t> operator()() const;

private:
    std::string socket_, request_;
};

} // namespace squish::bench
