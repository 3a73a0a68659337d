#include "cli/client.h"

#include "cli/console.h"

#include "base/text.h"
#include "os/socket.h"
#include "start/start.h"
#include "wire/json_channel.h"

#include <cerrno>
#include <sys/socket.h>
#include <sys/time.h>

namespace squish::cli {

namespace {

bool nobody_serves(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ECONNREFUSED;
}

std::string request_head(const Call& call) {
    std::string out = call.method + " " + call.target + " HTTP/1.1\r\nHost: squish\r\n";
    if (!call.body.empty())
        out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(call.body.size()) + "\r\n";
    else if (call.method != "GET")
        out += "Content-Length: 0\r\n";
    for (std::size_t i = 0; i < call.fds.size(); ++i)
        out.append(i == 0 ? "Squish-Fds: " : ",").append(call.fds[i].name);
    out += call.fds.empty() ? "\r\n" : "\r\n\r\n";
    return out;
}

Result<void> send_rest(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return fail_errno("send to squishd");
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

} // namespace

Result<Client> Client::connect_running(const Paths& paths) {
    auto socket = os::connect_unix(paths.socket, SOCK_STREAM);
    if (socket)
        return Client(paths, std::move(*socket));
    auto error = std::move(socket).error();
    if (nobody_serves(error))
        return fail(ErrorKind::not_found, "squishd does not run");
    return std::unexpected(std::move(error));
}

Result<Client> Client::connect(const Paths& paths) {
    auto running = connect_running(paths);
    if (running || running.error().kind != ErrorKind::not_found)
        return running;
    TRY(start_in_background(paths));
    return connect_running(paths);
}

Result<Json> ask_daemon(const Call& call) {
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    return client.call(call);
}

Result<void> Client::send(const Call& call) {
    response_ = Response();
    const auto request = request_head(call) + call.body;
    std::vector<int> fds;
    for (const auto& named : call.fds)
        fds.push_back(named.fd);
    // The descriptors go with the first bytes, few enough to be taken whole; the rest of a long body follows.
    const auto first = std::string_view(request).substr(0, 16 << 10);
    auto sent = os::send_message(socket_.get(), first, fds);
    if (sent)
        sent = send_rest(socket_.get(), std::string_view(request).substr(first.size()));
    // Who answers before having read everything (503, 413) has closed its side: the answer says why.
    if (!sent && sent.error().sys_errno != EPIPE && sent.error().sys_errno != ECONNRESET)
        return std::unexpected(std::move(sent).error());
    return {};
}

Result<bool> Client::receive() {
    char buffer[16 << 10];
    for (;;) {
        const auto got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return fail(ErrorKind::unavailable, "squishd does not answer");
        if (got < 0 && (errno != ECONNRESET || !response_.has_head()))
            return fail_errno("receive from squishd");
        if (got <= 0)
            return false;
        TRY(response_.feed(std::string_view(buffer, static_cast<std::size_t>(got))));
        return true;
    }
}

Result<Json> Client::call(const Call& call) {
    for (int attempt = 1;; ++attempt) {
        auto answer = call_once(call);
        if (answer || attempt == kAttempts)
            return answer;
        // What only asks may be asked again, also where the daemon ended in the middle of it (`squish wait`).
        const int error = answer.error().sys_errno;
        const bool asked_only = call.method == "GET" && (error == ECONNABORTED || error == ECONNRESET);
        if (!asked_only && !was_not_served(answer.error()))
            return answer;
        *this = TRY(connect(*paths_));
    }
}

bool was_not_served(const Error& error) {
    return error.sys_errno == ECONNRESET;
}

Result<Json> Client::call_once(const Call& call) {
    TRY(send(call));
    while (!response_.complete())
        if (!TRY(receive()))
            return std::unexpected(
                Error{ErrorKind::unavailable, "squishd ended before it answered", "try again", ECONNABORTED});
    const auto body = response_.take_body();
    if (response_.status() >= 400)
        return std::unexpected(error_of(response_.status(), body));
    return json_of(body);
}

void Client::limit_waiting(int seconds) {
    const timeval time{seconds, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

Error error_of(unsigned status, const std::string& body) {
    const auto json = Json::parse(body, nullptr, false);
    if (!json.is_object() || !json.contains("error") || !json["error"].is_object())
        return {ErrorKind::unavailable, "squishd answered with status " + std::to_string(status), "", 0};
    const auto& error = json["error"];
    return {wire::error_kind(text_of(error, "kind")), text_of(error, "message"), text_of(error, "remedy"), 0};
}

Result<Json> json_of(const std::string& body) {
    auto json = Json::parse(body, nullptr, false);
    if (json.is_discarded())
        return fail(ErrorKind::unavailable, "squishd's answer is no JSON");
    return json;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char letter : text) {
        const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                           (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' || letter == '.' ||
                           letter == '~';
        const auto value = static_cast<unsigned char>(letter);
        if (plain)
            out += letter;
        else
            out.append("%").append(1, kDigits[value >> 4]).append(1, kDigits[value & 15]);
    }
    return out;
}

std::string text_of(const Json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const Json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

void print_warnings(const Json& answer) {
    const auto warnings = answer.find("warnings");
    if (warnings == answer.end() || !warnings->is_array())
        return;
    for (const auto& warning : *warnings)
        if (warning.is_string())
            warn("warning: " + printable(warning.get<std::string>()));
}

} // namespace squish::cli
