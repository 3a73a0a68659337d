// What the stager does for squishd: requests in, descriptors out (docs/architecture.md, "Stager requests").
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/link_watch.h"
#include "network/network.h"
#include "stager/rootfs.h"
#include "wire/json_channel.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace squish::stager {

struct Reply {
    wire::Json fields = wire::Json::object();
    std::vector<UniqueFd> fds;
};

class Service {
public:
    // `home`: the mount namespace that the next stager will begin in, too.
    [[nodiscard]] static Result<Service> open(const std::string& workspace, NsFd home);
    [[nodiscard]] Result<Reply> handle(const wire::Json& request);
    // Work for idle moments; true where there may be more.
    [[nodiscard]] bool idle();
    // Readable when something has happened to the network; -1 where there is none yet.
    [[nodiscard]] int watch_fd() const { return watch_ ? watch_->fd() : -1; }
    // To be called then. True: bridges were made again.
    [[nodiscard]] Result<bool> look_after_network();
    // Network namespaces beyond those that are kept for the next starts, and giving one of them up.
    [[nodiscard]] bool has_surplus() const { return network_ && network_->has_surplus(wanted_spares_); }
    void drop_surplus() { network_->drop_surplus(wanted_spares_); }

private:
    Service(RootfsCache rootfs, std::string workspace, NsFd home)
        : rootfs_(std::move(rootfs)), workspace_(std::move(workspace)), home_(std::move(home)) {}
    [[nodiscard]] Result<Reply> stage(const wire::Json& request);
    [[nodiscard]] Result<Reply> sdks(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_up(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_slot(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_add(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_remove(const wire::Json& request);
    [[nodiscard]] static Result<Reply> network_describe(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_release(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_retain(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_host_loopback(const wire::Json& request);
    [[nodiscard]] Result<Reply> network_uplink();
    [[nodiscard]] Result<Reply> isolated_network();
    [[nodiscard]] Result<Reply> procfs_up();
    [[nodiscard]] Result<Reply> procfs_view(const wire::Json& request);
    [[nodiscard]] std::string procfs_point() const;

    RootfsCache rootfs_;
    std::string workspace_;
    NsFd home_;
    std::optional<network::Network> network_;
    std::optional<network::LinkWatch> watch_;
    std::size_t wanted_spares_ = 0;
    std::set<std::uint32_t> given_; // slots that are out
};

} // namespace squish::stager
