#include "base/text.h"
#include "daemon/body.h"
#include "daemon/router.h"
#include "daemon/views.h"

namespace squish::daemon {

namespace {

constexpr std::uint64_t kMaxStopSeconds = 24 * 3600;
constexpr std::uint64_t kStopSeconds = 10;

} // namespace

Task<void> get_containers(Service& service, Exchange& exchange, Parameters) {
    const auto all = exchange.request().query.flag("all");
    if (!all)
        co_return std::unexpected(all.error());
    Json list = Json::array();
    for (const auto& container : service.containers.list(*all))
        list.push_back(summary_view(container));
    co_await answer_json(exchange, 200, list);
    co_return Result<void>();
}

Task<void> get_container(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto info = service.containers.inspect(*id);
    if (!info)
        co_return std::unexpected(info.error());
    // The rest is right, whatever goes wrong here: that is told beside it.
    const auto isolation = service.containers.isolation(*id);
    auto body = inspect_view(*info, isolation ? *isolation : std::nullopt);
    if (!isolation)
        body["warnings"].push_back("what isolates the container cannot be shown: " + isolation.error().text());
    co_await answer_json(exchange, 200, body);
    co_return Result<void>();
}

Task<void> get_container_wait(Service& service, Exchange& exchange, Parameters parameters) {
    // One that removed itself is not to be found any more, but the engine still knows how it ended.
    const auto found = service.containers.find(parameters[0]);
    const auto id = found ? *found : parameters[0];
    ExitHub::Question question = [&service, id] { return service.containers.wait(id); };
    const auto outcome = co_await service.exits.wait(exchange, id, std::move(question));
    if (!outcome)
        co_return Result<void>(); // the client went; the router has nobody to answer
    if (!*outcome)
        co_return std::unexpected(found ? outcome->error() : found.error());
    Json answer{{"id", id}};
    answer.update(view(**outcome));
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> post_container_stop(Service& service, Exchange& exchange, Parameters parameters) {
    const auto seconds = exchange.request().query.number("timeout", kMaxStopSeconds);
    if (!seconds)
        co_return std::unexpected(seconds.error());
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const std::chrono::seconds timeout(seconds->value_or(kStopSeconds));
    const auto stopped = co_await service.containers.stop(*id, timeout);
    if (!stopped)
        co_return std::unexpected(stopped.error());
    const Json answer{{"id", *id}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> post_container_kill(Service& service, Exchange& exchange, Parameters parameters) {
    const auto number = read_signal(exchange.request().query);
    if (!number)
        co_return std::unexpected(number.error());
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto killed = co_await service.containers.kill(*id, *number);
    if (!killed)
        co_return std::unexpected(killed.error());
    const Json answer{{"id", *id}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> delete_container(Service& service, Exchange& exchange, Parameters parameters) {
    const auto force = exchange.request().query.flag("force");
    if (!force)
        co_return std::unexpected(force.error());
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto removed = co_await service.containers.remove(*id, *force);
    if (!removed)
        co_return std::unexpected(removed.error());
    const Json answer{{"id", *id}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> get_exec_wait(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = parameters[0];
    ExitHub::Question question = [&service, id] { return service.containers.wait_exec(id); };
    const auto outcome = co_await service.exits.wait(exchange, "exec/" + id, std::move(question));
    if (!outcome)
        co_return Result<void>();
    if (!*outcome)
        co_return std::unexpected(outcome->error());
    Json answer{{"id", id}};
    answer.update(view(**outcome));
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> post_exec_kill(Service& service, Exchange& exchange, Parameters parameters) {
    const auto number = read_signal(exchange.request().query);
    if (!number)
        co_return std::unexpected(number.error());
    const auto killed = co_await service.containers.kill_exec(parameters[0], *number);
    if (!killed)
        co_return std::unexpected(killed.error());
    const Json answer{{"id", parameters[0]}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

} // namespace squish::daemon
