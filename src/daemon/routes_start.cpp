// POST /v1/containers and POST …/exec: starting something, and, with ?wait=exit, telling how it ended. The second
// form is the whole of `squish run`: one request, one line when it has started, one when it has ended.
#include "daemon/body.h"
#include "daemon/progress.h"
#include "daemon/router.h"
#include "daemon/views.h"

namespace squish::daemon {

namespace asio = boost::asio;

namespace {

std::string line(const Json& event) {
    return dump(event) + "\n";
}

// The events of ?wait=exit. `started` goes out at once.
asio::awaitable<void> stream_events(Service& service, Exchange& exchange, bool streaming, Json started, std::string id,
                                    ExitHub::Question question) {
    Json first{{"event", "started"}};
    first.update(started);
    const auto text = line(first);
    bool told = false;
    if (streaming)
        told = co_await exchange.chunk(text);
    else
        told = co_await exchange.begin_stream(201, kNdjson, text);
    if (!told)
        co_return;
    const auto outcome = co_await service.exits.wait(exchange, std::move(id), std::move(question));
    if (!outcome)
        co_return;
    Json last{{"event", "exited"}};
    if (*outcome) {
        last.update(view(**outcome));
    } else {
        last = Json{{"event", "lost"}};
        last.update(error_body(outcome->error()));
    }
    const bool sent = co_await exchange.chunk(line(last));
    if (sent)
        co_await exchange.end_stream();
}

} // namespace

Task<void> post_containers(Service& service, Exchange& exchange, Parameters) {
    auto create = read_create(exchange.request());
    if (!create)
        co_return std::unexpected(std::move(create).error());
    const auto waits = read_wait(exchange.request().query);
    if (!waits)
        co_return std::unexpected(waits.error());
    const auto wants_progress = read_progress(exchange.request().query);
    if (!wants_progress)
        co_return std::unexpected(wants_progress.error());
    bool streaming = false;
    auto task = with_progress<std::string>(
        exchange, *wants_progress, 201, streaming, [&service, asked = std::move(*create)](auto state) mutable {
            asked.on_progress = [state](const LayerProgress& progress) { state->feed.tell(progress); };
            asked.given_up = [state] { return state->feed.abandoned(); };
            return service.containers.create(std::move(asked));
        });
    const auto created = co_await std::move(task);
    if (!created) {
        if (!streaming)
            co_return std::unexpected(created.error());
        co_await stream_failure(exchange, created.error());
        co_return Result<void>();
    }
    const auto& id = *created;
    Json answer{{"id", id}};
    // A container that removes itself may be gone already: then there is its id and no more to tell.
    if (const auto info = service.containers.inspect(id)) {
        answer["name"] = info->name;
        answer["pid"] = info->pid;
        answer["state"] = state_text(info->state);
        answer["warnings"] = info->warnings;
    }
    if (!*waits) {
        if (!streaming) {
            co_await answer_json(exchange, 201, answer);
            co_return Result<void>();
        }
        const auto last = event_line("started", answer);
        const bool sent = co_await exchange.chunk(last);
        if (sent)
            co_await exchange.end_stream();
        co_return Result<void>();
    }
    ExitHub::Question question = [&service, id] { return service.containers.wait(id); };
    co_await stream_events(service, exchange, streaming, std::move(answer), id, std::move(question));
    co_return Result<void>();
}

Task<void> post_exec(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    auto exec = read_exec(exchange.request());
    if (!exec)
        co_return std::unexpected(std::move(exec).error());
    const auto waits = read_wait(exchange.request().query);
    if (!waits)
        co_return std::unexpected(waits.error());
    const auto started = co_await service.containers.exec(*id, std::move(*exec));
    if (!started)
        co_return std::unexpected(started.error());
    Json answer{{"id", *started}, {"container", *id}};
    if (!*waits) {
        co_await answer_json(exchange, 201, answer);
        co_return Result<void>();
    }
    ExitHub::Question question = [&service, exec_id = *started] { return service.containers.wait_exec(exec_id); };
    co_await stream_events(service, exchange, false, std::move(answer), "exec/" + *started, std::move(question));
    co_return Result<void>();
}

} // namespace squish::daemon
