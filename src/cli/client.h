// squish's side of the API: one request at a time over a unix socket, with descriptors beside it.
#pragma once

#include "base/paths.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/response.h"

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace squish::cli {

using Json = nlohmann::ordered_json;

struct RequestFd {
    const char* name; // "stdin", "stdout", "stderr", "console", in this order
    int fd;
};

struct Call {
    std::string method;
    std::string target;
    std::string body = {};
    std::vector<RequestFd> fds = {};
};

class Client {
public:
    // Starts the daemon where it does not run.
    [[nodiscard]] static Result<Client> connect(const Paths& paths);
    // `not_found` where no daemon runs.
    [[nodiscard]] static Result<Client> connect_running(const Paths& paths);

    // Sends the request and reads the whole answer; once more where was_not_served(). A status of 400 and more is the
    // Error that the body describes.
    [[nodiscard]] Result<Json> call(const Call& call);

    // The same in pieces, for answers that are events.
    [[nodiscard]] Result<void> send(const Call& call);
    // Waits for the next bytes and takes them. False at the end of the connection; an error with ECONNRESET where the
    // daemon went without having read the request.
    [[nodiscard]] Result<bool> receive();
    [[nodiscard]] Response& response() { return response_; }
    [[nodiscard]] int fd() const { return socket_.get(); }
    // So that a daemon that hangs cannot hang us: for requests that are answered at once.
    void limit_waiting(int seconds);

private:
    Client(const Paths& paths, UniqueFd socket) : paths_(&paths), socket_(std::move(socket)) {}
    [[nodiscard]] Result<Json> call_once(const Call& call);

    const Paths* paths_; // outlives us
    UniqueFd socket_;
    Response response_;
};

// One request of one connection, to a daemon that is started where it does not run.
[[nodiscard]] Result<Json> ask_daemon(const Call& call);

// Prints what an answer says under "warnings", one line each on stderr.
void print_warnings(const Json& answer);

// A daemon that ends resets the connections whose requests it has not read (unix(7)): such a request had no effect, and
// may be made again of the next daemon.
[[nodiscard]] bool was_not_served(const Error& error);
inline constexpr int kAttempts = 10;

// What the body of an answer with a status of 400 and more says.
[[nodiscard]] Error error_of(unsigned status, const std::string& body);
// The body of an answer; `unavailable` where it is no JSON.
[[nodiscard]] Result<Json> json_of(const std::string& body);
// For a part of a path or a query.
[[nodiscard]] std::string percent_encode(std::string_view text);
// A member as text; empty where it is absent or no string.
[[nodiscard]] std::string text_of(const Json& object, const char* member);
[[nodiscard]] std::int64_t number_of(const Json& object, const char* member);

} // namespace squish::cli
