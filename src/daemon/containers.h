// What the routes need of the engine, so that they can be tested without namespaces. squishd implements it with
// the Engine (engine_containers.h), the tests with a fake.
#pragma once

#include "daemon/layers.h"
#include "daemon/networks.h"

namespace squish::daemon {

class Containers {
public:
    virtual ~Containers() = default;
    [[nodiscard]] virtual Task<std::string> create(CreateRequest request) = 0;
    [[nodiscard]] virtual Result<std::string> find(std::string_view reference) const = 0;
    [[nodiscard]] virtual std::vector<ContainerInfo> list(bool with_exited) const = 0;
    [[nodiscard]] virtual Result<ContainerInfo> inspect(const std::string& id) const = 0;
    [[nodiscard]] virtual Result<std::optional<IsolationInfo>> isolation(const std::string& id) const = 0;
    [[nodiscard]] virtual Task<ExitInfo> wait(std::string id) = 0;
    [[nodiscard]] virtual Task<void> stop(std::string id, std::chrono::milliseconds timeout) = 0;
    [[nodiscard]] virtual Task<void> kill(std::string id, int signal_number) = 0;
    [[nodiscard]] virtual Task<void> remove(std::string id, bool force) = 0;
    [[nodiscard]] virtual Task<ResourceSpec> update(std::string id, ResourceChange change) = 0;
    [[nodiscard]] virtual Task<void> pause(std::string id) = 0;
    [[nodiscard]] virtual Task<void> unpause(std::string id) = 0;
    [[nodiscard]] virtual Task<std::vector<ContainerFigures>> stats(std::vector<std::string> ids) = 0;
    [[nodiscard]] virtual EventLog& events() = 0;
    [[nodiscard]] virtual Task<std::string> exec(std::string id, ExecRequest request) = 0;
    [[nodiscard]] virtual Task<ExitInfo> wait_exec(std::string exec_id) = 0;
    [[nodiscard]] virtual Task<void> kill_exec(std::string exec_id, int signal_number) = 0;
    [[nodiscard]] virtual Task<std::vector<PortSpec>> add_ports(std::string id, std::string spec) = 0;
    [[nodiscard]] virtual Task<std::vector<PortSpec>> remove_ports(std::string id, std::string spec) = 0;
    [[nodiscard]] virtual Task<PortSpec> rebind_port(std::string id, std::string old_spec, std::string new_spec) = 0;
    [[nodiscard]] virtual Task<void> shut_down(bool stop_containers) = 0;
    [[nodiscard]] virtual std::size_t running_count() const = 0;
    [[nodiscard]] virtual std::string describe() const = 0;
    [[nodiscard]] virtual Layers& layers() = 0;
    [[nodiscard]] virtual Networks& networks() = 0;
};

} // namespace squish::daemon
