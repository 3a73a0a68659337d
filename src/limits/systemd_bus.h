// The user's systemd over D-Bus: the calls that the systemd driver makes. The only place that knows libsystemd.
//
// How this works
//   sd-bus never blocks and has no loop of its own: a connection watches its socket with the event loop, and lets
//   sd-bus process what there is. Each call is a coroutine with a deadline. A connection that breaks ends the calls in
//   flight with `unavailable`; the next call opens another.
#pragma once

#include "async/latch.h"
#include "async/task.h"
#include "limits/drivers.h"
#include "limits/systemd_properties.h"

#include <memory>
#include <string>
#include <vector>

namespace squish::limits {

class BusConnection;

class UserManager {
public:
    // `limit`: how long a call may take, and a unit to start or stop.
    UserManager(asio::any_io_executor executor, std::vector<BusAddress> addresses,
                std::chrono::milliseconds limit = kDeadline);
    UserManager(const UserManager&) = delete;
    UserManager& operator=(const UserManager&) = delete;
    ~UserManager();

    // The manager's own cgroup: "/user.slice/user-1000.slice/user@1000.service".
    [[nodiscard]] Task<std::string> control_group();
    // A transient scope; returns once it is there. Errors: conflict where there is one of that name.
    [[nodiscard]] Task<void> start_scope(std::string name, std::vector<Property> properties);
    [[nodiscard]] Task<void> set_properties(std::string unit, std::vector<Property> properties);
    // Returns once it has stopped, and forgets that it failed. None of that name is no error.
    [[nodiscard]] Task<void> stop(std::string unit);
    // The names of the units that match the pattern (glob(7)).
    [[nodiscard]] Task<std::vector<std::string>> units(std::string pattern);

private:
    [[nodiscard]] Task<std::shared_ptr<BusConnection>> connected();
    [[nodiscard]] Task<std::shared_ptr<BusConnection>> connect();
    asio::any_io_executor executor_;
    std::vector<BusAddress> addresses_;
    std::chrono::milliseconds limit_;
    std::shared_ptr<BusConnection> connection_;
    std::shared_ptr<Latch> connecting_; // who comes meanwhile waits for it
};

} // namespace squish::limits
