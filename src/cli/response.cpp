#include "cli/response.h"

#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <strings.h>

namespace squish::cli {

namespace {

constexpr std::size_t kMaxHead = 64 << 10;
constexpr std::size_t kMaxLine = 1024; // of a chunk's size
constexpr std::uint64_t kMaxBody = 1 << 30;

std::unexpected<Error> no_http() {
    return fail(ErrorKind::unavailable, "squishd's answer is no HTTP", "is another program listening on its socket?");
}

bool same(std::string_view a, std::string_view b) {
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the size is given
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace

Result<void> Response::read_head(std::string_view head) {
    const auto lines = split(head, '\n');
    const auto status_line = trim(lines[0]); // HTTP/1.1 200 OK
    const auto status = status_line.size() >= 12 && status_line.starts_with("HTTP/1.")
                            ? parse_number(status_line.substr(9, 3))
                            : std::nullopt;
    if (!status)
        return no_http();
    status_ = static_cast<unsigned>(*status);
    state_ = State::sized;
    for (const auto line : std::span(lines).subspan(1)) {
        const auto colon = line.find(':');
        if (colon == std::string_view::npos)
            continue;
        const auto name = trim(line.substr(0, colon));
        const auto value = trim(line.substr(colon + 1));
        if (same(name, "Content-Length")) {
            const auto size = parse_number(value);
            if (!size || *size > kMaxBody)
                return no_http();
            left_ = *size;
        } else if (same(name, "Transfer-Encoding") && same(value, "chunked")) {
            state_ = State::chunk_size;
        }
    }
    return {};
}

std::optional<std::string> Response::next_line() {
    const auto end = input_.find('\n');
    if (end == std::string::npos)
        return std::nullopt;
    auto line = input_.substr(0, end);
    input_.erase(0, end + 1);
    if (line.ends_with('\r'))
        line.pop_back();
    return line;
}

// One step of the grammar; false where more bytes are needed.
Result<bool> Response::step() {
    switch (state_) {
    case State::head: {
        const auto end = input_.find("\r\n\r\n");
        if (end == std::string::npos)
            return input_.size() > kMaxHead ? Result<bool>(no_http()) : Result<bool>(false);
        TRY(read_head(std::string_view(input_).substr(0, end)));
        input_.erase(0, end + 4);
        if (status_ == 100)
            state_ = State::head;
        return true;
    }
    case State::sized:
    case State::chunk: {
        const auto count = std::min<std::uint64_t>(left_, input_.size());
        body_.append(input_, 0, count);
        input_.erase(0, count);
        left_ -= count;
        if (left_ > 0)
            return false;
        state_ = state_ == State::sized ? State::done : State::chunk_end;
        return true;
    }
    case State::chunk_size: {
        const auto line = next_line();
        if (!line)
            return input_.size() > kMaxLine ? Result<bool>(no_http()) : Result<bool>(false);
        const auto [end, error] = std::from_chars(line->data(), line->data() + line->size(), left_, 16);
        if (error != std::errc{} || end == line->data() || left_ > kMaxBody)
            return no_http();
        state_ = left_ == 0 ? State::trailer : State::chunk;
        return true;
    }
    case State::chunk_end:
    case State::trailer: {
        const auto line = next_line();
        if (!line)
            return input_.size() > kMaxLine ? Result<bool>(no_http()) : Result<bool>(false);
        if (state_ == State::chunk_end)
            state_ = State::chunk_size;
        else if (line->empty())
            state_ = State::done;
        return true;
    }
    case State::done:
        return false;
    }
    std::unreachable();
}

Result<void> Response::feed(std::string_view bytes) {
    input_ += bytes;
    while (TRY(step())) {
    }
    return {};
}

std::string Response::take_body() {
    return std::exchange(body_, {});
}

std::optional<std::string> Response::take_line() {
    const auto end = body_.find('\n');
    if (end == std::string::npos)
        return std::nullopt;
    auto line = body_.substr(0, end);
    body_.erase(0, end + 1);
    return line;
}

} // namespace squish::cli
