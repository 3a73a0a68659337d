// The four routes of the first squish, for scripts written against it: kept as they were, answered by today's engine.
#include "daemon/body.h"
#include "daemon/router.h"
#include "version.h"

namespace squish::daemon {

Task<void> legacy_status(Service&, Exchange& exchange, Parameters) {
    const Json answer{{"status", "ok"}, {"version", SQUISH_VERSION}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> legacy_create(Service& service, Exchange& exchange, Parameters) {
    auto file = read_squishfile(exchange.request().body);
    if (!file)
        co_return std::unexpected(std::move(file).error());
    CreateRequest create;
    create.file = std::move(*file);
    const auto id = co_await service.containers.create(std::move(create));
    if (!id)
        co_return std::unexpected(id.error());
    Json answer = Json::array();
    answer.push_back(*id);
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> legacy_list(Service& service, Exchange& exchange, Parameters) {
    Json answer = Json::array();
    for (const auto& container : service.containers.list(false)) {
        Json entry{{"id", container.id}, {"name", container.name}, {"pid", container.pid}};
        answer.push_back(std::move(entry));
    }
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> legacy_stop(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto stopped = co_await service.containers.stop(*id, std::chrono::seconds(10));
    if (!stopped)
        co_return std::unexpected(stopped.error());
    Json answer = Json::array();
    answer.push_back(*id);
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

} // namespace squish::daemon
