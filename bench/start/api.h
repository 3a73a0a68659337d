// One request of squish's API, as a program would make it: connect, POST /v1/containers, read the answer.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>

namespace squish::bench {

// Where the daemon of this user listens; that of XDG_RUNTIME_DIR `run` where that is not empty.
[[nodiscard]] Result<std::string> socket_path(const std::string& run = {});

// One request; the body of an answer with a status of 200 to 299.
[[nodiscard]] Result<std::string> ask_api(const std::string& socket, const std::string& method,
                                          const std::string& target, const std::string& body = {});

class CreateCall {
public:
    CreateCall(std::string socket, const std::string& body);
    // Nanoseconds from before connect(2) until the whole answer is there: the payload has been executed by then.
    Result<std::uint64_t> operator()() const;

private:
    std::string socket_, request_;
};

} // namespace squish::bench
