#include "daemon/router.h"
#include "daemon/views.h"
#include "version.h"

#include <unistd.h>

namespace squish::daemon {

namespace {

Json facts(const Service& service) {
    auto described = Json::parse(service.containers.describe(), nullptr, false);
    return described.is_discarded() ? Json(nullptr) : std::move(described);
}

} // namespace

Task<void> get_version(Service&, Exchange& exchange, Parameters) {
    const Json answer{{"version", SQUISH_VERSION}, {"api", "v1"}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> get_status(Service& service, Exchange& exchange, Parameters) {
    const Json answer{
        {"version", SQUISH_VERSION},
        {"pid", ::getpid()},
        {"started_at", time_view(service.started_at)},
        {"containers",
         {{"running", service.containers.running_count()}, {"all", service.containers.list(true).size()}}},
        {"engine", facts(service)}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> post_daemon_stop(Service& service, Exchange& exchange, Parameters) {
    const auto everything = exchange.request().query.flag("containers");
    if (!everything)
        co_return std::unexpected(everything.error());
    service.stop_accepting(); // no request may come between the end of the helpers and ours
    const auto stopped = co_await service.containers.shut_down(*everything);
    if (stopped) {
        const Json answer{{"running", service.containers.running_count()}};
        co_await answer_json(exchange, 200, answer);
    } else {
        co_await answer_error(exchange, stopped.error());
    }
    service.stop_daemon();
    co_return Result<void>();
}

} // namespace squish::daemon
