// The request/answer channel between squishd and its helpers (stager, forwarder): one JSON object per
// SOCK_SEQPACKET message, with descriptors beside it.
//
// A request is {"op": NAME, "seq": N, …}; its answer {"seq": N, "ok": true, …} or
// {"seq": N, "ok": false, "error": {"kind": …, "message": …, "remedy": …, "errno": …}}.
// A helper may also send events: {"event": NAME, …} without "seq".
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace squish::wire {

using Json = nlohmann::json;

inline constexpr std::size_t kMaxMessageBytes = 128 * 1024;
inline constexpr int kMaxMessageDepth = 16; // ours are flat

// False where lists and objects are nested deeper than that: copying, printing and destroying a value recurse, so what
// comes from outside is asked before it is parsed (2 MiB of brackets are more than a stack holds).
[[nodiscard]] bool is_shallow(std::string_view json, int max_depth);

struct JsonMessage {
    Json body;
    std::vector<UniqueFd> fds;
    bool peer_closed = false;
};

// Sends one message; an error where it is longer than kMaxMessageBytes. Blocks unless the socket is non-blocking.
[[nodiscard]] Result<void> send_json(int socket, const Json& body, std::span<const int> fds = {});
// Receives one; malformed JSON (or JSON that is no object) is ErrorKind::invalid.
// On a non-blocking socket "nothing there yet" is an Error with sys_errno == EAGAIN.
[[nodiscard]] Result<JsonMessage> receive_json(int socket);

// {"op": name}
[[nodiscard]] inline Json to_request(const char* op) {
    Json request = Json::object();
    request["op"] = op;
    return request;
}
[[nodiscard]] Json answer(const Json& request, Json fields = Json::object());
[[nodiscard]] Json error_answer(const Json& request, const Error& error);
// The error an answer carries, or nothing where it is "ok".
[[nodiscard]] Result<void> check_answer(const Json& body);

// Members of a message, checked: an Error naming the member instead of an exception.
[[nodiscard]] Result<std::string> get_string(const Json& body, const char* member);
[[nodiscard]] Result<std::int64_t> get_integer(const Json& body, const char* member);

[[nodiscard]] const char* to_string(ErrorKind kind);
[[nodiscard]] ErrorKind error_kind(std::string_view text); // system where unknown

} // namespace squish::wire
