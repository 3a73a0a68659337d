#include "api.h"

#include "base/paths.h"
#include "measure.h"
#include "os/socket.h"

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace squish::bench {

namespace {

// The size of the answer that begins like this, head and body; nothing while the head is not complete.
std::optional<std::size_t> whole_size(std::string_view answer) {
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const auto end = answer.find("\r\n\r\n");
    if (end == std::string_view::npos)
        return std::nullopt;
    const auto length = answer.substr(0, end).find(kLength);
    const auto body =
        length == std::string_view::npos ? 0 : std::strtoul(answer.data() + length + kLength.size(), nullptr, 10);
    return end + 4 + body;
}

std::string request_of(const std::string& method, const std::string& target, const std::string& body) {
    return method + " " + target + " HTTP/1.1\r\nHost: squish\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

Result<std::string> read_answer(int socket) {
    std::string answer;
    char buffer[4096];
    for (;;) {
        if (const auto size = whole_size(answer); size && answer.size() >= *size)
            return answer;
        const auto got = ::read(socket, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read the answer");
        if (got == 0)
            return fail(ErrorKind::unavailable, "the answer broke off");
        answer.append(buffer, static_cast<std::size_t>(got));
    }
}

} // namespace

Result<std::string> socket_path(const std::string& run) {
    const auto ours = TRY(find_paths());
    if (run.empty())
        return ours.socket;
    return run + ours.socket.substr(ours.socket.rfind("/squish/"));
}

Result<std::string> ask_api(const std::string& path, const std::string& method, const std::string& target,
                            const std::string& body) {
    const auto socket = TRY(os::connect_unix(path, SOCK_STREAM));
    const auto request = request_of(method, target, body);
    if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        return fail_errno("send the request");
    const auto answer = TRY(read_answer(socket.get()));
    const auto text = answer.substr(answer.find("\r\n\r\n") + 4);
    if (!answer.starts_with("HTTP/1.1 2"))
        return fail(ErrorKind::start_failed, method + " " + target + ": " + text);
    return text;
}

CreateCall::CreateCall(std::string socket, const std::string& body)
    : socket_(std::move(socket)), request_(request_of("POST", "/v1/containers", body)) {}

Result<std::uint64_t> CreateCall::operator()() const {
    const auto began = monotonic_ns();
    const auto socket = TRY(os::connect_unix(socket_, SOCK_STREAM));
    if (::send(socket.get(), request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size()))
        return fail_errno("send the request");
    const auto answer = TRY(read_answer(socket.get()));
    const auto took = monotonic_ns() - began;
    if (!answer.starts_with("HTTP/1.1 201 "))
        return fail(ErrorKind::start_failed, answer.substr(answer.find("\r\n\r\n") + 4));
    return took;
}

} // namespace squish::bench
