#include "limits/driver.h"

#include "base/text.h"
#include "limits/drivers.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <unistd.h>

namespace squish::limits {

namespace {

std::string variable(const char* name) {
    const char* const value = ::secure_getenv(name);
    return value ? value : "";
}

// The error of a driver that was asked for, or of all that were tried.
struct Tried {
    std::vector<std::string> reasons, remedies;
    void add(const char* what, const Error& error) {
        reasons.push_back(std::string(what) + ": " + error.message);
        if (!error.remedy.empty() && std::ranges::find(remedies, error.remedy) == remedies.end())
            remedies.push_back(error.remedy);
    }
    [[nodiscard]] std::unexpected<Error> fail_all() const {
        return fail(ErrorKind::unsupported, "resources cannot be limited here: " + join(reasons, "; "),
                    join(remedies, "; or "));
    }
};

// As a user's systemd delegates no more than it was given.
std::string delegate_remedy(const Driver& driver, Controller missing) {
    if (std::string_view(driver.name()) != "systemd")
        return std::string("as root, write +") + to_string(missing) +
               " to cgroup.subtree_control of the cgroup above, and of those above that";
    if (missing == Controller::hugetlb)
        return "systemd passes hugetlb on to nobody: use [limits] driver = \"direct\" with a cgroup that has it";
    return "as root: systemctl edit user@.service, with the lines [Service] and Delegate=cpu cpuset io memory pids; "
           "then systemctl restart user@" +
           std::to_string(::getuid()) + ".service, which ends the user's sessions, or log in again";
}

} // namespace

Controllers inner_controllers(const ResourceSpec& limits, const Controllers& available) {
    auto wanted = controllers_of(limits); // each must be had, so those that are missing stay in, for the error
    for (const auto figures : {Controller::cpu, Controller::io, Controller::memory, Controller::pids})
        if (available.contains(figures))
            wanted.insert(figures);
    return wanted;
}

Result<void> check_cpuset(int leaf, const ResourceSpec& limits) {
    if (!limits.cpuset)
        return {};
    const auto effective = read_value(leaf, "cpuset.cpus.effective");
    if (!effective || covers(*limits.cpuset, *effective))
        return {};
    return fail(ErrorKind::unsupported,
                "[resources] cpuset: none of the processors '" + printable(*limits.cpuset) + "' can be had",
                "those that can are " + printable(*effective));
}

Result<Cgroup> open_container(const std::string& path, Filesystem on) {
    auto opened = Cgroup::open(path, on);
    if (!opened && opened.error().sys_errno == ENOENT)
        return fail(ErrorKind::not_found, "the container has no cgroup ('" + printable(path) + "')");
    return opened;
}

Result<void> apply_checked(int leaf, const std::vector<Setting>& settings, const ResourceSpec& wanted,
                           const ResourceSpec& before, const std::vector<Device>& disks) {
    TRY(apply(leaf, settings));
    auto checked = check_cpuset(leaf, wanted);
    if (!checked)
        if (const auto back = settings_of(before, wanted, disks))
            (void) apply(leaf, *back);
    return checked;
}

Result<void> check_name(const std::string& id) {
    if (!is_id(id))
        return fail(ErrorKind::invalid, "'" + printable(id) + "' is no id of a container");
    return {};
}

Task<std::unique_ptr<Driver>> open_driver(asio::any_io_executor executor, Config config, std::string instance) {
    if (!is_instance(instance))
        co_return fail(ErrorKind::invalid, "'" + printable(instance) + "' is no instance");
    if (config.driver == Choice::none)
        co_return fail(ErrorKind::unsupported, "limits are switched off", "[limits] driver in squishd.toml");
    CO_TRY_TO(const auto machine, this_machine());
    Tried tried;
    if (config.driver != Choice::direct) {
        auto addresses = bus_addresses(variable("DBUS_SESSION_BUS_ADDRESS"), variable("XDG_RUNTIME_DIR"), ::getuid());
        auto driver = co_await open_systemd(executor, machine, instance, std::move(addresses));
        if (driver)
            co_return driver;
        tried.add("systemd", driver.error());
    }
    if (config.driver != Choice::systemd) {
        auto driver = open_direct(machine, config.cgroup, instance);
        if (driver)
            co_return driver;
        tried.add(config.cgroup.empty() ? "squishd's own cgroup" : "the cgroup of squishd.toml", driver.error());
    }
    co_return tried.fail_all();
}

Result<void> check_enforceable(const Driver& driver, const ResourceSpec& resources) {
    TRY(check(resources));
    for (const auto needed : controllers_of(resources))
        if (!driver.controllers().contains(needed))
            return fail(ErrorKind::unsupported,
                        "[resources] " + keys_of(resources, needed) + ": the controller '" + to_string(needed) +
                            "' is not delegated to " +
                            (std::string_view(driver.name()) == "systemd" ? "the user's systemd" : "squish"),
                        delegate_remedy(driver, needed));
    return {};
}

} // namespace squish::limits
