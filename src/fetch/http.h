// One GET at a time, over connections that are kept (libcurl; http.cpp is the only file that includes it).
//
// Redirects are followed, eight at most, to http and https only, and from https to https only; a user and password in
// the address go to its own host only (libcurl's rule). Proxies are those of the standard environment variables.
#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::fetch {

// How long we wait for somebody else. A stall is a stretch of `stall` in which fewer than `stall_bytes` arrived; time
// that our own side spends with the bytes does not count.
struct Limits {
    std::chrono::milliseconds connect{10'000};
    std::chrono::milliseconds stall{15'000};
    std::uint64_t stall_bytes = 4096;
    std::chrono::milliseconds total{std::chrono::hours(2)}; // of one request
};

struct ContentRange {
    std::uint64_t first = 0, last = 0;
    std::optional<std::uint64_t> total;
};
// "bytes 100-199/200" (RFC 9110, 14.4); nothing where it is malformed or of another unit.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view text);

// The final response's head: redirects and 1xx are over.
struct ResponseHead {
    int status = 0;
    std::optional<std::uint64_t> length; // Content-Length
    std::optional<ContentRange> range;
    bool has_range = false; // a Content-Range was there, well-formed or not
    bool framed = false;    // the end of the body can be told from a connection that broke
    std::string content_type, etag, last_modified;
};

// Why a request came to nothing.
struct Failure {
    enum class Kind {
        unreachable, // no name, no connection, no TLS, never an answer
        broken,      // the transfer ended early
        too_slow,    // it stalled or took too long
        refused,     // our own handlers said no: `error` says why
    };
    Kind kind = Kind::unreachable;
    std::string reason; // for people, without the address
    std::optional<Error> error;
};

// Both may refuse: the transfer is then broken off. `data` gets the body of any status that `head` lets pass.
struct Handlers {
    std::function<Result<void>(const ResponseHead&)> head;
    std::function<Result<void>(std::string_view)> data;
};

class Http {
public:
    [[nodiscard]] static Result<Http> open(Limits limits);
    Http(Http&&) noexcept;
    Http& operator=(Http&&) noexcept;
    ~Http();

    // `headers` are whole lines ("If-None-Match: …"); `range` is "100-", or empty.
    [[nodiscard]] std::optional<Failure> get(const std::string& url, const std::vector<std::string>& headers,
                                             const std::string& range, const Handlers& handlers);

private:
    struct Handle;
    explicit Http(std::unique_ptr<Handle> handle);
    std::unique_ptr<Handle> handle_;
};

// "404 Not Found", for the statuses that are met.
[[nodiscard]] std::string status_text(int status);

} // namespace squish::fetch
