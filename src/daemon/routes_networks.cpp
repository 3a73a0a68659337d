// /v1/networks…: the networks that containers can join.
#include "daemon/body.h"
#include "daemon/router.h"
#include "daemon/views.h"

namespace squish::daemon {

Task<void> get_networks(Service& service, Exchange& exchange, Parameters) {
    const auto networks = co_await service.containers.networks().list();
    if (!networks)
        co_return std::unexpected(networks.error());
    Json list = Json::array();
    for (const auto& network : *networks)
        list.push_back(view(network));
    co_await answer_json(exchange, 200, list);
    co_return Result<void>();
}

Task<void> post_networks(Service& service, Exchange& exchange, Parameters) {
    auto name = read_network_name(exchange.request().body);
    if (!name)
        co_return std::unexpected(name.error());
    const auto network = co_await service.containers.networks().create(*std::move(name));
    if (!network)
        co_return std::unexpected(network.error());
    co_await answer_json(exchange, 201, view(*network));
    co_return Result<void>();
}

Task<void> get_network(Service& service, Exchange& exchange, Parameters parameters) {
    const auto network = co_await service.containers.networks().inspect(parameters[0]);
    if (!network)
        co_return std::unexpected(network.error());
    co_await answer_json(exchange, 200, view(*network));
    co_return Result<void>();
}

Task<void> delete_network(Service& service, Exchange& exchange, Parameters parameters) {
    const auto removed = co_await service.containers.networks().remove(parameters[0]);
    if (!removed)
        co_return std::unexpected(removed.error());
    Json body = Json::object();
    body["name"] = parameters[0];
    co_await answer_json(exchange, 200, body);
    co_return Result<void>();
}

} // namespace squish::daemon
