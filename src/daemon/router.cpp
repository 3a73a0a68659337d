#include "daemon/router.h"

#include "base/text.h"
#include "daemon/log.h"

#include <array>

namespace squish::daemon {

namespace asio = boost::asio;

std::span<const Route> routes() {
    static const std::array table{
        Route{"GET", "/v1/version", get_version},
        Route{"GET", "/v1/status", get_status},
        Route{"POST", "/v1/daemon/stop", post_daemon_stop, {"containers"}},
        Route{"POST", "/v1/containers", post_containers, {"wait", "progress"}},
        Route{"GET", "/v1/containers", get_containers, {"all"}},
        Route{"GET", "/v1/containers/{ref}", get_container},
        Route{"DELETE", "/v1/containers/{ref}", delete_container, {"force"}},
        Route{"GET", "/v1/containers/{ref}/wait", get_container_wait},
        Route{"POST", "/v1/containers/{ref}/stop", post_container_stop, {"timeout"}},
        Route{"POST", "/v1/containers/{ref}/kill", post_container_kill, {"signal"}},
        Route{"POST", "/v1/containers/{ref}/update", post_container_update},
        Route{"POST", "/v1/containers/{ref}/pause", post_container_pause},
        Route{"POST", "/v1/containers/{ref}/unpause", post_container_unpause},
        Route{"GET", "/v1/containers/{ref}/logs", get_container_logs, {"stream", "tail", "follow"}},
        Route{"GET", "/v1/containers/{ref}/ports", get_container_ports},
        Route{"POST", "/v1/containers/{ref}/ports", post_container_ports},
        Route{"DELETE", "/v1/containers/{ref}/ports", delete_container_ports, {"spec"}},
        Route{"POST", "/v1/containers/{ref}/ports/rebind", post_container_ports_rebind},
        Route{"POST", "/v1/containers/{ref}/layers", post_container_layers, {"progress"}},
        Route{"DELETE", "/v1/containers/{ref}/layers/{name}", delete_container_layer},
        Route{"POST", "/v1/containers/{ref}/exec", post_exec, {"wait"}},
        Route{"GET", "/v1/exec/{id}/wait", get_exec_wait},
        Route{"POST", "/v1/exec/{id}/kill", post_exec_kill, {"signal"}},
        Route{"GET", "/v1/layers", get_layers},
        Route{"POST", "/v1/layers/resolve", post_layers_resolve, {"progress"}},
        Route{"POST", "/v1/layers/pull", post_layers_pull, {"progress"}},
        Route{"POST", "/v1/layers/import", post_layers_import, {"progress"}},
        Route{"POST", "/v1/layers/prune", post_layers_prune},
        Route{"POST", "/v1/layers/{ref}/verify", post_layer_verify, {"progress"}},
        Route{"DELETE", "/v1/layers/{ref}", delete_layer},
        Route{"GET", "/v1/stats", get_stats, {"containers"}},
        Route{"GET", "/v1/events", get_events, {"follow", "since", "backlog"}},
        Route{"GET", "/v1/networks", get_networks},
        Route{"POST", "/v1/networks", post_networks},
        Route{"GET", "/v1/networks/{name}", get_network},
        Route{"DELETE", "/v1/networks/{name}", delete_network},
        // The four routes of the first squish.
        Route{"GET", "/status", legacy_status},
        Route{"POST", "/containers/create", legacy_create},
        Route{"GET", "/containers/list", legacy_list},
        Route{"POST", "/containers/stop/{ref}", legacy_stop},
    };
    return table;
}

namespace {

// The decoded parameters where `path` has the shape of `pattern`.
std::optional<Parameters> match(std::string_view pattern, std::string_view path) {
    const auto wanted = split(pattern, '/');
    const auto given = split(path, '/');
    if (wanted.size() != given.size())
        return std::nullopt;
    Parameters parameters;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!wanted[i].starts_with('{')) {
            if (wanted[i] != given[i])
                return std::nullopt;
            continue;
        }
        auto decoded = percent_decode(given[i]);
        if (!decoded || decoded->empty())
            return std::nullopt;
        parameters.push_back(std::move(*decoded));
    }
    return parameters;
}

Result<void> check_query(const Route& route, const Query& query) {
    for (const auto& [name, value] : query.values) {
        if (std::ranges::find(route.query, name) != route.query.end())
            continue;
        const auto guess = nearest(name, route.query);
        return fail(ErrorKind::invalid, "unknown query parameter '" + printable(name.substr(0, 64)) + "'",
                    guess ? "did you mean '" + std::string(*guess) + "'?" : "");
    }
    return {};
}

asio::awaitable<bool> answer_unknown(Exchange& exchange, const std::string& allowed) {
    const auto& request = exchange.request();
    const auto path = "'" + printable(std::string_view(request.path).substr(0, 128)) + "'";
    if (allowed.empty()) {
        const Error error{ErrorKind::not_found, "no such route: " + path, "docs/openapi.yaml lists them", 0};
        return answer_error(exchange, error);
    }
    const Error error{ErrorKind::invalid, "the route " + path + " allows " + allowed + " only", "", 0};
    return exchange.answer(405, kJsonType, dump(error_body(error)) + "\n", "Allow: " + allowed + "\r\n");
}

asio::awaitable<Result<void>> serve(Service& service, Exchange& exchange, const Route& route, Parameters parameters) {
    try {
        if (auto checked = check_query(route, exchange.request().query); !checked)
            co_return checked;
        co_return co_await route.handler(service, exchange, std::move(parameters));
    } catch (const std::exception& thrown) { // a library's: none of ours throws
        co_return fail(ErrorKind::system, std::string("internal error: ") + thrown.what());
    }
}

} // namespace

asio::awaitable<void> dispatch(Service& service, Exchange& exchange) {
    const auto& request = exchange.request();
    std::string allowed;
    for (const auto& route : routes()) {
        auto parameters = match(route.pattern, request.path);
        if (!parameters)
            continue;
        if (route.method != request.method) {
            allowed += allowed.empty() ? "" : ", ";
            allowed += route.method;
            continue;
        }
        const auto line = request.method + " " + request.path;
        const auto served = co_await serve(service, exchange, route, std::move(*parameters));
        if (!served) {
            log_info(line + ": " + served.error().text());
            if (!exchange.answered())
                co_await answer_error(exchange, served.error());
        }
        co_return;
    }
    co_await answer_unknown(exchange, allowed);
}

} // namespace squish::daemon
