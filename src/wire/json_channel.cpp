#include "wire/json_channel.h"

#include "os/socket.h"

#include <array>

namespace squish::wire {

Result<void> send_json(int socket, const Json& body, std::span<const int> fds) {
    const auto bytes = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (bytes.size() > kMaxMessageBytes)
        return fail(ErrorKind::invalid, "message is longer than 128 KiB");
    return os::send_message(socket, bytes, fds);
}

bool is_shallow(std::string_view text, int max_depth) {
    int depth = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_text) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth)
                return false;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return true;
}

Result<JsonMessage> receive_json(int socket) {
    auto message = TRY(os::receive_message(socket, kMaxMessageBytes));
    JsonMessage out;
    out.fds = std::move(message.fds);
    out.peer_closed = message.peer_closed;
    if (message.peer_closed)
        return out;
    if (!is_shallow(message.bytes, kMaxMessageDepth))
        return fail(ErrorKind::invalid, "malformed message");
    out.body = Json::parse(message.bytes, nullptr, false);
    if (!out.body.is_object())
        return fail(ErrorKind::invalid, "malformed message");
    return out;
}

namespace {
// The sender's number, whatever it sent: an answer must not fail on a malformed request.
Json sequence_of(const Json& request) {
    const auto found = request.find("seq");
    return found != request.end() && found->is_number_integer() ? *found : Json(0);
}
} // namespace

Json answer(const Json& request, Json fields) {
    fields["seq"] = sequence_of(request);
    fields["ok"] = true;
    return fields;
}

Json error_answer(const Json& request, const Error& error) {
    return {{"seq", sequence_of(request)},
            {"ok", false},
            {"error",
             {{"kind", to_string(error.kind)},
              {"message", error.message},
              {"remedy", error.remedy},
              {"errno", error.sys_errno}}}};
}

Result<void> check_answer(const Json& body) {
    const auto ok = body.find("ok");
    if (ok != body.end() && ok->is_boolean() && ok->get<bool>())
        return {};
    const auto error = body.find("error");
    if (error == body.end() || !error->is_object())
        return fail(ErrorKind::unavailable, "malformed answer");
    Error out;
    out.kind = error_kind(TRY(get_string(*error, "kind")));
    out.message = TRY(get_string(*error, "message"));
    out.remedy = TRY(get_string(*error, "remedy"));
    out.sys_errno = static_cast<int>(TRY(get_integer(*error, "errno")));
    return std::unexpected(std::move(out));
}

Result<std::string> get_string(const Json& body, const char* member) {
    const auto found = body.find(member);
    if (found == body.end() || !found->is_string())
        return fail(ErrorKind::invalid, std::string("message without the text '") + member + "'");
    return found->get<std::string>();
}

Result<std::int64_t> get_integer(const Json& body, const char* member) {
    const auto found = body.find(member);
    if (found == body.end() || !found->is_number_integer())
        return fail(ErrorKind::invalid, std::string("message without the number '") + member + "'");
    return found->get<std::int64_t>();
}

namespace {
constexpr std::array<std::pair<ErrorKind, const char*>, 10> kKinds = {{
    {ErrorKind::invalid, "invalid"},
    {ErrorKind::not_found, "not_found"},
    {ErrorKind::conflict, "conflict"},
    {ErrorKind::denied, "denied"},
    {ErrorKind::unsupported, "unsupported"},
    {ErrorKind::start_failed, "start_failed"},
    {ErrorKind::not_executable, "not_executable"},
    {ErrorKind::no_command, "no_command"},
    {ErrorKind::unavailable, "unavailable"},
    {ErrorKind::system, "system"},
}};
} // namespace

const char* to_string(ErrorKind kind) {
    for (const auto& [known, text] : kKinds)
        if (known == kind)
            return text;
    std::unreachable();
}

ErrorKind error_kind(std::string_view text) {
    for (const auto& [known, name] : kKinds)
        if (name == text)
            return known;
    return ErrorKind::system;
}

} // namespace squish::wire
