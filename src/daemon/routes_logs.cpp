// GET /v1/containers/{ref}/logs: one stream of one container as text. With `follow` the answer ends when the
// container has ended and everything was sent, or when the client hangs up.
#include "base/text.h"
#include "daemon/router.h"
#include "logs/log_reader.h"
#include "logs/log_watch.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>

namespace squish::daemon {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";

struct LogRequest {
    std::string path;
    std::optional<std::size_t> tail;
    bool follow = false;
    bool running = false;
};

Result<LogRequest> read_request(const ContainerInfo& info, const Query& query) {
    LogRequest request;
    const auto stream = query.get("stream").value_or("stdout");
    if (stream != "stdout" && stream != "stderr")
        return fail(ErrorKind::invalid, "query parameter 'stream' must be 'stdout' or 'stderr'");
    if (info.attached)
        return fail(ErrorKind::not_found,
                    "container '" + info.name +
                        "' has no logs: its output went to the terminal or pipes of 'squish run'",
                    "start it with 'squish create' to have logs");
    request.path = stream == "stdout" ? info.stdout_log : info.stderr_log;
    const auto tail = TRY(query.number("tail", 1'000'000'000));
    if (tail)
        request.tail = static_cast<std::size_t>(*tail);
    request.follow = TRY(query.flag("follow"));
    request.running = info.state != ContainerState::exited;
    return request;
}

// Sends what is there now. False where the client is gone or the file cannot be read any further.
asio::awaitable<bool> send_present(Exchange& exchange, LogReader& reader) {
    for (;;) {
        auto bytes = reader.read();
        if (!bytes)
            co_return false;
        if (bytes->empty())
            co_return true;
        const bool sent = co_await exchange.chunk(std::move(*bytes));
        if (!sent)
            co_return false;
    }
}

// Waits for more, for the end of the container, or for the client to hang up, in turns with send_present().
asio::awaitable<bool> follow(Service& service, Exchange& exchange, std::string id, LogReader& reader, LogWatch& watch) {
    const auto loop = co_await asio::this_coro::executor;
    asio::posix::stream_descriptor events(loop, ::fcntl(watch.fd(), F_DUPFD_CLOEXEC, 3));
    bool ended = false, gone = false;
    ExitHub::Question question = [&service, id] { return service.containers.wait(id); };
    const auto listener = service.exits.listen(loop, id, std::move(question), [&](const Result<ExitInfo>&) {
        ended = true;
        events.cancel();
    });
    bool sent = true;
    while (sent && !ended && !gone) {
        exchange.watch([&] {
            gone = true;
            events.cancel();
        });
        if (!ended && !gone)
            co_await events.async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
        exchange.leave_watch();
        watch.clear();
        sent = co_await send_present(exchange, reader);
    }
    if (sent && !gone)
        sent = co_await send_present(exchange, reader); // what came between the last read and the end
    co_return sent && !gone;
}

} // namespace

Task<void> get_container_logs(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto info = service.containers.inspect(*id);
    if (!info)
        co_return std::unexpected(info.error());
    const auto request = read_request(*info, exchange.request().query);
    if (!request)
        co_return std::unexpected(request.error());
    auto watch = LogWatch::open(std::span(&request->path, 1));
    if (!watch)
        co_return std::unexpected(std::move(watch).error());
    auto reader = LogReader::open(request->path, request->tail);
    if (!reader)
        co_return std::unexpected(std::move(reader).error());
    bool sent = co_await exchange.begin_stream(200, kText, "");
    if (sent)
        sent = co_await send_present(exchange, *reader);
    if (sent && request->follow && request->running)
        sent = co_await follow(service, exchange, *id, *reader, *watch);
    if (sent)
        co_await exchange.end_stream();
    co_return Result<void>();
}

} // namespace squish::daemon
