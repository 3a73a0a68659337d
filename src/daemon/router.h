// The table of routes and the way from a request to its handler. docs/openapi.yaml describes the same table; a
// test compares them.
#pragma once

#include "daemon/containers.h"
#include "daemon/exit_hub.h"
#include "daemon/http.h"

#include <functional>
#include <span>

namespace squish::daemon {

// What the handlers work with. One per daemon; outlives every exchange.
struct Service {
    Containers& containers;
    std::function<void()> stop_accepting; // whoever comes from now on starts another daemon, which waits for our end
    std::function<void()> stop_daemon;    // orderly, once the present answer is out
    std::int64_t started_at = 0;          // microseconds since the epoch
    ExitHub exits{};
};

using Parameters = std::vector<std::string>; // of the path, in order, decoded

// An error is answered by the router unless the handler has answered already.
using Handler = Task<void> (*)(Service& service, Exchange& exchange, Parameters parameters);

struct Route {
    std::string_view method;
    std::string_view pattern; // "/v1/containers/{ref}/stop"
    Handler handler;
    std::vector<std::string_view> query = {}; // the parameters it knows; others are errors
};

[[nodiscard]] std::span<const Route> routes();

// Serves one request; errors of every kind end here, as an answer.
boost::asio::awaitable<void> dispatch(Service& service, Exchange& exchange);

// The handlers, one file per group.
Task<void> get_version(Service&, Exchange&, Parameters);
Task<void> get_status(Service&, Exchange&, Parameters);
Task<void> post_daemon_stop(Service&, Exchange&, Parameters);

Task<void> post_containers(Service&, Exchange&, Parameters);
Task<void> post_exec(Service&, Exchange&, Parameters);

Task<void> get_containers(Service&, Exchange&, Parameters);
Task<void> get_container(Service&, Exchange&, Parameters);
Task<void> get_container_wait(Service&, Exchange&, Parameters);
Task<void> post_container_stop(Service&, Exchange&, Parameters);
Task<void> post_container_kill(Service&, Exchange&, Parameters);
Task<void> delete_container(Service&, Exchange&, Parameters);
Task<void> post_container_update(Service&, Exchange&, Parameters);
Task<void> post_container_pause(Service&, Exchange&, Parameters);
Task<void> post_container_unpause(Service&, Exchange&, Parameters);
Task<void> get_stats(Service&, Exchange&, Parameters);
Task<void> get_events(Service&, Exchange&, Parameters);
Task<void> get_container_ports(Service&, Exchange&, Parameters);
Task<void> post_container_ports(Service&, Exchange&, Parameters);
Task<void> delete_container_ports(Service&, Exchange&, Parameters);
Task<void> post_container_ports_rebind(Service&, Exchange&, Parameters);
Task<void> get_exec_wait(Service&, Exchange&, Parameters);
Task<void> post_exec_kill(Service&, Exchange&, Parameters);

Task<void> get_container_logs(Service&, Exchange&, Parameters);

Task<void> post_container_layers(Service&, Exchange&, Parameters);
Task<void> delete_container_layer(Service&, Exchange&, Parameters);
Task<void> get_layers(Service&, Exchange&, Parameters);
Task<void> post_layers_resolve(Service&, Exchange&, Parameters);
Task<void> post_layers_pull(Service&, Exchange&, Parameters);
Task<void> post_layers_import(Service&, Exchange&, Parameters);
Task<void> post_layers_prune(Service&, Exchange&, Parameters);
Task<void> post_layer_verify(Service&, Exchange&, Parameters);
Task<void> delete_layer(Service&, Exchange&, Parameters);

Task<void> get_networks(Service&, Exchange&, Parameters);
Task<void> post_networks(Service&, Exchange&, Parameters);
Task<void> get_network(Service&, Exchange&, Parameters);
Task<void> delete_network(Service&, Exchange&, Parameters);

Task<void> legacy_status(Service&, Exchange&, Parameters);
Task<void> legacy_create(Service&, Exchange&, Parameters);
Task<void> legacy_list(Service&, Exchange&, Parameters);
Task<void> legacy_stop(Service&, Exchange&, Parameters);

} // namespace squish::daemon
