#include "daemon/progress.h"

#include <chrono>

namespace squish::daemon {

namespace {

constexpr std::chrono::milliseconds kPause{100}; // between events: faster than anybody reads

Json view(const LayerProgress& progress) {
    return {{"layer", progress.layer}, {"stage", to_string(progress.stage)},
            {"bytes", progress.bytes}, {"total", progress.total},
            {"speed", progress.speed}, {"entries", progress.entries}};
}

} // namespace

std::string event_line(const char* name, const Json& fields) {
    Json event{{"event", name}};
    event.update(fields);
    return dump(event) + "\n";
}

Result<bool> read_progress(const Query& query) {
    return query.flag("progress");
}

void ProgressFeed::wake() {
    wake_.cancel();
}

void ProgressFeed::tell(const LayerProgress& progress) {
    latest_[progress.layer] = progress;
    wake();
}

void ProgressFeed::finish() {
    finished_ = true;
    wake();
}

asio::awaitable<bool> ProgressFeed::follow(Exchange& exchange, bool wanted, unsigned status) {
    bool streaming = false;
    exchange.watch([this] {
        abandoned_ = true;
        wake();
    });
    while (!finished_) {
        if (latest_.empty() || !wanted || abandoned_) {
            wake_.expires_at(asio::steady_timer::time_point::max());
            co_await wake_.async_wait(kAwait);
            continue;
        }
        std::string lines;
        for (const auto& [layer, progress] : latest_)
            lines += event_line("progress", view(progress));
        latest_.clear();
        bool sent = false;
        if (streaming)
            sent = co_await exchange.chunk(lines);
        else
            sent = co_await exchange.begin_stream(status, kNdjson, lines);
        streaming = true;
        abandoned_ |= !sent;
        if (finished_)
            break;
        asio::steady_timer pause(co_await asio::this_coro::executor, kPause);
        co_await pause.async_wait(kAwait);
    }
    exchange.leave_watch();
    co_return streaming;
}

asio::awaitable<void> stream_failure(Exchange& exchange, const Error& error) {
    Json fields{{"status", status_of(error.kind)}};
    fields.update(error_body(error));
    const auto line = event_line("failed", fields);
    const bool sent = co_await exchange.chunk(line);
    if (sent)
        co_await exchange.end_stream();
}

} // namespace squish::daemon
