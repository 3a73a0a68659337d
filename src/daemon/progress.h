// Long work behind a request: with ?progress=true its client gets events, one JSON line each, while it goes on:
//   {"event":"progress","layer":"python@3.11.2","stage":"downloading","bytes":…,"total":…,"speed":…,"entries":…}
// then what the route answers as its last events, or {"event":"failed","status":404,"error":{…}}. Where there was
// nothing to wait for, the answer is an ordinary one.
#pragma once

#include "daemon/http.h"
#include "engine/engine.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>

namespace squish::daemon {

inline constexpr std::string_view kNdjson = "application/x-ndjson";

class ProgressFeed {
public:
    explicit ProgressFeed(const asio::any_io_executor& executor) : wake_(executor) {}
    void tell(const LayerProgress& progress);
    void finish();
    // True where the client has gone: whoever works may give up.
    [[nodiscard]] bool abandoned() const { return abandoned_; }
    // Sends until finish(). True where a stream has begun: the answer must then be events, too.
    [[nodiscard]] asio::awaitable<bool> follow(Exchange& exchange, bool wanted, unsigned status);

private:
    void wake();
    asio::steady_timer wake_;
    std::map<std::string, LayerProgress> latest_; // of each layer; what was not sent in time is superseded
    bool finished_ = false, abandoned_ = false;
};

// `work(feed)` beside the client. `streaming` says how to answer.
template <class T, class Work>
Task<T> with_progress(Exchange& exchange, bool wanted, unsigned status, bool& streaming, Work work) {
    const auto executor = co_await asio::this_coro::executor;
    struct State {
        explicit State(const asio::any_io_executor& on) : feed(on) {}
        ProgressFeed feed;
        std::optional<Result<T>> result;
    };
    const auto state = std::make_shared<State>(executor);
    asio::co_spawn(
        executor,
        [state, work = std::move(work)]() mutable -> asio::awaitable<void> {
            auto task = work(state);
            state->result.emplace(co_await std::move(task));
            state->feed.finish();
        },
        asio::detached);
    streaming = co_await state->feed.follow(exchange, wanted, status);
    co_return *std::move(state->result);
}

// The value of ?progress=.
[[nodiscard]] Result<bool> read_progress(const Query& query);
// Ends a stream with an error.
asio::awaitable<void> stream_failure(Exchange& exchange, const Error& error);
// One event, as its line.
[[nodiscard]] std::string event_line(const char* name, const Json& fields);

} // namespace squish::daemon
