// HTTP as the routes see it: a request that has been read whole, and how an answer is given. What is behind it
// (connection.h) is not their concern; tests put something else there.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace squish::daemon {

using Json = nlohmann::ordered_json;

// The descriptors that came with a request, by the names its `Squish-Fds` header gives them.
struct RequestFds {
    UniqueFd in, out, err, console;
};

struct Query {
    std::vector<std::pair<std::string, std::string>> values;

    [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
    // "true", "1" or an empty value; "false" or "0"; absent is false.
    [[nodiscard]] Result<bool> flag(std::string_view name) const;
    [[nodiscard]] Result<std::optional<std::uint64_t>> number(std::string_view name, std::uint64_t most) const;
};

struct Request {
    std::string method;
    std::string path; // as sent, still encoded, without the query
    Query query;
    std::string body;
    RequestFds fds;
};

// One request and the way to answer it. Exactly one of answer() and begin_stream() … end_stream() is called.
// The coroutines return false once the client is gone: there is nobody left to tell.
class Exchange {
public:
    virtual ~Exchange() = default;
    [[nodiscard]] virtual Request& request() = 0;
    [[nodiscard]] virtual bool answered() const = 0;
    virtual boost::asio::awaitable<bool> answer(unsigned status, std::string_view content_type, std::string body,
                                                std::string_view extra_headers = {}) = 0;
    // A chunked answer. Head and first chunk leave in one write.
    virtual boost::asio::awaitable<bool> begin_stream(unsigned status, std::string_view content_type,
                                                      std::string first) = 0;
    virtual boost::asio::awaitable<bool> chunk(std::string bytes) = 0;
    virtual boost::asio::awaitable<bool> end_stream() = 0;

    // Calls `when_gone` once if the client hangs up before leave_watch(); for requests that wait. Between the two
    // the exchange counts as waiting, not as busy (see Limits in server.h).
    virtual void watch(std::function<void()> when_gone) = 0;
    virtual void leave_watch() = 0;
};

inline constexpr std::string_view kJsonType = "application/json";

boost::asio::awaitable<bool> answer_json(Exchange& exchange, unsigned status, const Json& body);
boost::asio::awaitable<bool> answer_error(Exchange& exchange, const Error& error);

// %41 → A. Nothing where an escape is malformed or the result would hold a NUL.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
// "/v1/x?a=1&b" → path and query. Nothing where it is malformed.
struct Target {
    std::string path;
    Query query;
};
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

// Puts the descriptors where the header ("stdin,stdout,stderr,console", any subset in this order) says.
// Without a header they are closed. Errors: `invalid` where names and number differ.
[[nodiscard]] Result<RequestFds> name_fds(std::optional<std::string_view> header, std::vector<UniqueFd> fds,
                                          bool too_many);

[[nodiscard]] unsigned status_of(ErrorKind kind);
// {"error": {"kind": …, "message": …, "remedy": …}}
[[nodiscard]] Json error_body(const Error& error);
[[nodiscard]] std::string dump(const Json& body); // one line; invalid UTF-8 is replaced
[[nodiscard]] std::string_view reason_phrase(unsigned status);

} // namespace squish::daemon
