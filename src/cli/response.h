// An HTTP/1.1 answer as squishd gives it, taken apart as it arrives: Content-Length or chunks, no trailers that matter.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace squish::cli {

class Response {
public:
    // Takes the next bytes. `invalid` where they are no HTTP.
    [[nodiscard]] Result<void> feed(std::string_view bytes);
    [[nodiscard]] bool has_head() const { return state_ != State::head; }
    [[nodiscard]] bool complete() const { return state_ == State::done; }
    [[nodiscard]] unsigned status() const { return status_; }
    // What has arrived of the body and was not taken yet.
    [[nodiscard]] std::string take_body();
    [[nodiscard]] std::optional<std::string> take_line(); // without its '\n'; nothing until one is whole

private:
    enum class State { head, sized, chunk_size, chunk, chunk_end, trailer, done };
    [[nodiscard]] Result<void> read_head(std::string_view head);
    [[nodiscard]] Result<bool> step();
    [[nodiscard]] std::optional<std::string> next_line();

    State state_ = State::head;
    unsigned status_ = 0;
    std::uint64_t left_ = 0; // of the body, or of the present chunk
    std::string input_, body_;
};

} // namespace squish::cli
