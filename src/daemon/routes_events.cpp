// GET /v1/events: what happens to containers, a line of JSON each.
//
// How this works: a reader has no queue of its own. It remembers the number of the last event that it was sent and
// goes through the log's backlog from there, so that a thousand readers who do not read hold nothing. One who falls
// further behind than the backlog reaches is told so in a last line, {"type":"lost",…}, and may come again with
// ?since= that line's number.
#include "daemon/progress.h"
#include "daemon/router.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <limits>

namespace squish::daemon {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kChunkBytes = 64 << 10;

using Backlog = std::deque<Event>;

// The first event with a larger number.
Backlog::const_iterator first_behind(const Backlog& backlog, std::uint64_t number) {
    return std::ranges::upper_bound(backlog, number, {}, &Event::number);
}

std::uint64_t last_number(const Backlog& backlog) {
    return backlog.empty() ? 0 : backlog.back().number;
}

struct Reading {
    std::uint64_t sent = 0; // up to this number
    std::uint64_t end = 0;  // nothing beyond
};

Result<Reading> read_request(const Query& query, const Backlog& backlog) {
    constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
    const auto since = TRY(query.number("since", kMost));
    const auto most = TRY(query.number("backlog", kMost));
    const auto follow = TRY(query.flag("follow"));
    auto first = first_behind(backlog, since.value_or(0));
    const auto there = static_cast<std::uint64_t>(backlog.end() - first);
    if (most && *most < there)
        first += static_cast<std::ptrdiff_t>(there - *most);
    Reading reading;
    reading.sent = first == backlog.end() ? std::max(since.value_or(0), last_number(backlog)) : first->number - 1;
    reading.end = follow ? kMost : last_number(backlog);
    return reading;
}

// The lines that come next, about as many as a chunk holds.
std::string next_lines(const Backlog& backlog, Reading& reading) {
    std::string lines;
    for (auto next = first_behind(backlog, reading.sent);
         next != backlog.end() && next->number <= reading.end && lines.size() < kChunkBytes; ++next) {
        lines += to_json(*next) + "\n";
        reading.sent = next->number;
    }
    return lines;
}

// The line for one who has missed some. Its number is that of the last one that was missed.
std::string lost_line(const Backlog& backlog, std::uint64_t sent) {
    const auto& oldest = backlog.front();
    const Event lost{
        oldest.number - 1, oldest.time, "lost", "", "", {{"events", std::to_string(oldest.number - 1 - sent)}}};
    return to_json(lost) + "\n";
}

// Sends what there is. False where there is nobody any more who wants more.
asio::awaitable<bool> send_present(Exchange& exchange, const EventLog& log, Reading& reading) {
    while (reading.sent < reading.end) {
        const auto& backlog = log.backlog();
        if (!backlog.empty() && backlog.front().number - 1 > reading.sent) {
            auto line = lost_line(backlog, reading.sent);
            const bool told = co_await exchange.chunk(std::move(line));
            if (told)
                co_await exchange.end_stream();
            co_return false;
        }
        auto lines = next_lines(backlog, reading);
        if (lines.empty())
            co_return true;
        const bool sent = co_await exchange.chunk(std::move(lines));
        if (!sent)
            co_return false;
    }
    co_return true;
}

asio::awaitable<void> follow(Exchange& exchange, EventLog& log, Reading reading) {
    asio::steady_timer news(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    const auto subscription = log.subscribe([&news](const Event&) { news.cancel(); });
    bool gone = false;
    for (;;) {
        const bool wanted = co_await send_present(exchange, log, reading);
        if (!wanted)
            co_return;
        exchange.watch([&] {
            gone = true;
            news.cancel();
        });
        if (!gone && last_number(log.backlog()) <= reading.sent)
            co_await news.async_wait(asio::as_tuple(asio::use_awaitable));
        exchange.leave_watch();
        if (gone)
            co_return;
    }
}

} // namespace

Task<void> get_events(Service& service, Exchange& exchange, Parameters) {
    auto& log = service.containers.events();
    CO_TRY_TO(auto reading, read_request(exchange.request().query, log.backlog()));
    const bool goes_on = reading.end == std::numeric_limits<std::uint64_t>::max();
    const bool begun = co_await exchange.begin_stream(200, kNdjson, "");
    if (!begun)
        co_return Result<void>();
    if (goes_on) {
        co_await follow(exchange, log, reading);
        co_return Result<void>();
    }
    const bool whole = co_await send_present(exchange, log, reading);
    if (whole)
        co_await exchange.end_stream();
    co_return Result<void>();
}

} // namespace squish::daemon
