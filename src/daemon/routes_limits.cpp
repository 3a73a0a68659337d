// What a container may use, and what it uses: POST …/update, …/pause, …/unpause, GET /v1/stats.
#include "base/text.h"
#include "daemon/body.h"
#include "daemon/router.h"
#include "daemon/views.h"

#include <algorithm>
#include <chrono>
#include <unistd.h>

namespace squish::daemon {

namespace {

using Act = Task<void> (Containers::*)(std::string id);

Task<void> act_on(Service& service, Exchange& exchange, Parameters parameters, Act act) {
    CO_TRY_TO(const auto id, service.containers.find(parameters[0]));
    CO_TRY(co_await (service.containers.*act)(id));
    const Json answer{{"id", id}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

// The containers that ?containers=A,B names, each once; all that run where it is absent.
Result<std::vector<std::string>> read_references(const Containers& containers, const Query& query) {
    std::vector<std::string> ids;
    const auto given = query.get("containers");
    if (!given)
        return ids;
    for (const auto reference : split(*given, ',')) {
        if (reference.empty())
            return fail(ErrorKind::invalid, "query parameter 'containers' must be ids or names, separated by commas");
        auto id = TRY(containers.find(reference));
        if (std::ranges::find(ids, id) == ids.end())
            ids.push_back(std::move(id));
    }
    return ids;
}

std::int64_t now_in_microseconds() {
    using std::chrono::system_clock;
    return std::chrono::duration_cast<std::chrono::microseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace

Task<void> post_container_update(Service& service, Exchange& exchange, Parameters parameters) {
    CO_TRY_TO(const auto id, service.containers.find(parameters[0]));
    CO_TRY_TO(auto change, read_resource_change(exchange.request().body));
    CO_TRY_TO(const auto resources, co_await service.containers.update(id, std::move(change)));
    const Json answer{{"id", id}, {"resources", view(resources)}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

Task<void> post_container_pause(Service& service, Exchange& exchange, Parameters parameters) {
    return act_on(service, exchange, std::move(parameters), &Containers::pause);
}

Task<void> post_container_unpause(Service& service, Exchange& exchange, Parameters parameters) {
    return act_on(service, exchange, std::move(parameters), &Containers::unpause);
}

Task<void> get_stats(Service& service, Exchange& exchange, Parameters) {
    CO_TRY_TO(auto ids, read_references(service.containers, exchange.request().query));
    CO_TRY_TO(const auto figures, co_await service.containers.stats(std::move(ids)));
    Json containers = Json::array();
    for (const auto& one : figures)
        containers.push_back(view(one));
    const auto cpus = figures.empty() ? ::sysconf(_SC_NPROCESSORS_ONLN) : static_cast<long>(figures.front().cpus);
    const Json answer{
        {"time", time_view(now_in_microseconds())}, {"cpus", cpus}, {"containers", std::move(containers)}};
    co_await answer_json(exchange, 200, answer);
    co_return Result<void>();
}

} // namespace squish::daemon
