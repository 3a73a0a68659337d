// The two drivers, and what they share (driver.h).
#pragma once

#include "limits/driver.h"
#include "limits/machine.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace squish::limits {

// How long a process that was killed may take to end, and systemd to answer: machines may be slow, or busy.
inline constexpr std::chrono::milliseconds kDeadline = std::chrono::seconds(20);

// A subtree that belongs to the user: `root` is its folder. Where squishd is the only process there, it moves to a
// cgroup beneath.
[[nodiscard]] Result<std::unique_ptr<Driver>> open_direct(const Machine& machine, std::string root,
                                                          std::string instance);

// Where a user manager may answer: an address for sd_bus_set_address(3), and whether it is a message bus.
struct BusAddress {
    std::string address; // "unix:path=/run/user/1000/bus"
    bool message_bus = true;
    bool operator==(const BusAddress&) const = default;
};
// From the environment's DBUS_SESSION_BUS_ADDRESS and XDG_RUNTIME_DIR (empty where they are not set).
[[nodiscard]] std::vector<BusAddress> bus_addresses(const std::string& session_bus, const std::string& runtime_dir,
                                                    uid_t uid);
[[nodiscard]] Task<std::unique_ptr<Driver>> open_systemd(asio::any_io_executor executor, Machine machine,
                                                         std::string instance, std::vector<BusAddress> addresses);

// What is turned on for a container's leaf: what `limits` needs, and what figures need, as far as there is.
[[nodiscard]] Controllers inner_controllers(const ResourceSpec& limits, const Controllers& available);
// What cpuset.cpus really came to be. Errors: unsupported, where it is not what was asked for.
[[nodiscard]] Result<void> check_cpuset(int leaf, const ResourceSpec& limits);
// Cgroup::open(), where its absence means that the container has none: not_found.
[[nodiscard]] Result<Cgroup> open_container(const std::string& path, Filesystem on);
// apply() to a leaf whose limits were `before`, and check_cpuset(); on error all is as it was.
[[nodiscard]] Result<void> apply_checked(int leaf, const std::vector<Setting>& settings, const ResourceSpec& wanted,
                                         const ResourceSpec& before, const std::vector<Device>& disks);
[[nodiscard]] Result<void> check_name(const std::string& id);

} // namespace squish::limits
