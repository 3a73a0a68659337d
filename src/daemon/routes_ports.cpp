// What a container publishes, and changing that while it runs.
#include "daemon/body.h"
#include "daemon/router.h"
#include "daemon/views.h"

namespace squish::daemon {

namespace {

Json views_of(const std::vector<PortSpec>& ports) {
    Json list = Json::array();
    for (const auto& port : ports)
        list.push_back(view(port));
    return list;
}

} // namespace

Task<void> get_container_ports(Service& service, Exchange& exchange, Parameters parameters) {
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto info = service.containers.inspect(*id);
    if (!info)
        co_return std::unexpected(info.error());
    co_await answer_json(exchange, 200, views_of(info->ports));
    co_return Result<void>();
}

Task<void> post_container_ports(Service& service, Exchange& exchange, Parameters parameters) {
    auto spec = read_port_spec(exchange.request().body);
    if (!spec)
        co_return std::unexpected(spec.error());
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto added = co_await service.containers.add_ports(*id, *spec);
    if (!added)
        co_return std::unexpected(added.error());
    co_await answer_json(exchange, 201, views_of(*added));
    co_return Result<void>();
}

Task<void> delete_container_ports(Service& service, Exchange& exchange, Parameters parameters) {
    const auto spec = exchange.request().query.get("spec");
    if (!spec)
        co_return fail(ErrorKind::invalid, "the query parameter 'spec' says which port, and is missing");
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const std::string text(*spec);
    const auto removed = co_await service.containers.remove_ports(*id, text);
    if (!removed)
        co_return std::unexpected(removed.error());
    co_await answer_json(exchange, 200, views_of(*removed));
    co_return Result<void>();
}

Task<void> post_container_ports_rebind(Service& service, Exchange& exchange, Parameters parameters) {
    const auto change = read_rebind(exchange.request().body);
    if (!change)
        co_return std::unexpected(change.error());
    const auto id = service.containers.find(parameters[0]);
    if (!id)
        co_return std::unexpected(id.error());
    const auto port = co_await service.containers.rebind_port(*id, change->old_spec, change->new_spec);
    if (!port)
        co_return std::unexpected(port.error());
    co_await answer_json(exchange, 200, view(*port));
    co_return Result<void>();
}

} // namespace squish::daemon
