// The container's side of a connection: a socket made inside the container's network namespace.
//
// A socket keeps the namespace in which it was made, so this process enters a namespace only for the moment of
// socket(2). Entering takes CAP_SYS_ADMIN over the user namespace that owns it (setns(2)); where the namespace is
// the process's own, nothing is entered and nothing is needed.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "forward/address.h"

#include <memory>
#include <optional>
#include <sys/stat.h>

namespace squish::forward {

// A network namespace, kept alive by the descriptor; two are equal where they are the same namespace.
class NetworkNamespace {
public:
    // An error where the descriptor is no network namespace.
    [[nodiscard]] static Result<NetworkNamespace> adopt(UniqueFd fd);

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] bool operator==(const NetworkNamespace& other) const {
        return device_ == other.device_ && inode_ == other.inode_;
    }

private:
    NetworkNamespace(NsFd fd, const struct stat& status)
        : fd_(std::move(fd)), device_(status.st_dev), inode_(status.st_ino) {}
    NsFd fd_;
    dev_t device_;
    ino_t inode_;
};

// How one client gets into a container.
struct Way {
    std::shared_ptr<const NetworkNamespace> where;
    Address first;
    std::optional<Address> second; // where nobody listens on the first
    Address client;
    bool show_client = false;
};

// Makes sockets in other network namespaces. One per process: it moves the calling thread.
class Upstreams {
public:
    [[nodiscard]] static Result<Upstreams> create();

    // A non-blocking TCP socket, its connect to `way.first` under way or done. Where the client's address is to be
    // shown and may be, it comes from there (base/client_route.h), if possible from the same port.
    [[nodiscard]] Result<UniqueFd> connect_tcp(const Way& way);
    // A connected UDP socket, the same way.
    [[nodiscard]] Result<UniqueFd> connect_udp(const Way& way);
    // Leads a payload's UDP answers from `port` to us (rule 95), or no longer.
    enum class Rule { add, remove };
    [[nodiscard]] Result<void> change_udp_rule(Rule change, const NetworkNamespace& where, int family,
                                               std::uint16_t port);

    // The thread stays in the last namespace until this is called (or another is entered): a burst of connections
    // to one container enters once. Called before the loop sleeps, so that no container's namespace is held by us.
    void go_home();

private:
    explicit Upstreams(NetworkNamespace home) : home_(std::move(home)) {}
    [[nodiscard]] Result<void> enter(const NetworkNamespace& where);
    [[nodiscard]] Result<UniqueFd> connect(const Way& way, int type);

    NetworkNamespace home_;
    bool away_ = false;
};

} // namespace squish::forward
