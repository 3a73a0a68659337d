// The systemd driver: a transient scope of the user's manager for each container (driver.h).
//
// How this works
//   squish.slice is the user's manager's own, so the user may write cgroup.procs there, and everything beneath is ours:
//   a keeper that was taken into it can clone into scopes. systemd delegates a scope (Delegate=), that is, it never
//   looks beneath; limits are properties of the scope, so that `systemctl --user show` tells them and a reload of
//   systemd does not undo them, and are written into the leaf by us.
#include "base/text.h"
#include "limits/drivers.h"
#include "limits/systemd_bus.h"
#include "os/file.h"

#include <algorithm>

namespace squish::limits {

namespace {

constexpr const char* kSlice = "squish.slice";
constexpr const char* kScope = ".scope";
// At the end of the session systemd ends what is left: by SIGTERM, and by SIGKILL after this many microseconds.
constexpr std::uint64_t kStopLimit = 10'000'000;

std::vector<std::uint32_t> in_words(const std::vector<pid_t>& processes) {
    return {processes.begin(), processes.end()};
}

std::vector<Property> scope_properties(std::string description, const std::vector<pid_t>& processes) {
    return {{"Description", std::move(description)},
            {"Slice", std::string(kSlice)},
            {"PIDs", in_words(processes)},
            {"CollectMode", std::string("inactive-or-failed")},
            {"TimeoutStopUSec", kStopLimit}};
}

class SystemdDriver final : public Driver {
public:
    SystemdDriver(const asio::any_io_executor& executor, std::vector<BusAddress> addresses, Machine machine,
                  std::string instance)
        : machine_(std::move(machine)), instance_(std::move(instance)), manager_(executor, std::move(addresses)) {}

    [[nodiscard]] Task<void> start() {
        CO_TRY_TO(const auto cgroup, co_await manager_.control_group());
        CO_TRY_TO(const auto folder, machine_.folder_of(cgroup));
        CO_TRY_TO(const auto own, open_folder(folder, machine_.filesystem));
        CO_TRY_TO(const auto delegated, read_value(own.get(), "cgroup.controllers"));
        controllers_ = parse_controllers(delegated);
        controllers_.erase(Controller::hugetlb); // systemd turns it on for no unit
        if (controllers_.empty())
            co_return fail(ErrorKind::unsupported, "the user's systemd has no controllers of cgroup v2",
                           no_controllers_remedy());
        base_ = folder + "/" + kSlice + "/";
        co_return Result<void>();
    }

    [[nodiscard]] const char* name() const override { return "systemd"; }
    [[nodiscard]] const Controllers& controllers() const override { return controllers_; }
    [[nodiscard]] bool needs_anchor() const override { return true; }

    [[nodiscard]] Task<void> adopt(std::vector<pid_t> cloners) override {
        std::erase_if(cloners, [&](pid_t process) { return is_ours(process); });
        if (cloners.empty())
            co_return Result<void>();
        // The number makes it unique: the scope of an earlier keeper may still be ending.
        const auto name = cgroup_name(instance_, "keeper-" + std::to_string(cloners.front())) + kScope;
        co_return co_await manager_.start_scope(name, scope_properties("squish: keeper", cloners));
    }

    [[nodiscard]] Task<Cgroup> create(std::string id, ResourceSpec limits, pid_t anchor) override {
        CO_TRY(check_name(id));
        CO_TRY(check_enforceable(*this, limits));
        const auto disks = machine_disks();
        CO_TRY_TO(const auto settings, settings_of(limits, {}, disks));
        CO_TRY_TO(auto limited, properties_of(limits, {}, disks, possible_cpus()));
        auto properties = scope_properties("squish container " + id, {anchor});
        properties.push_back({"Delegate", true});
        if (!limits.pids)
            properties.push_back({"TasksMax", kNoLimit}); // else systemd has a default
        properties.insert(properties.end(), limited.begin(), limited.end());

        auto started = co_await manager_.start_scope(scope_of(id), properties);
        if (!started && started.error().kind == ErrorKind::conflict) { // of its last run
            CO_TRY(co_await remove(id));
            started = co_await manager_.start_scope(scope_of(id), properties);
        }
        auto made = started ? build(id, limits, settings) : Result<Cgroup>(std::unexpected(started.error()));
        if (!made)
            (void) co_await remove(id);
        co_return made;
    }

    [[nodiscard]] Task<void> update(std::string id, ResourceSpec before, ResourceSpec wanted) override {
        CO_TRY(check_name(id));
        CO_TRY(check_enforceable(*this, wanted));
        const auto disks = machine_disks();
        CO_TRY_TO(const auto settings, settings_of(wanted, before, disks));
        CO_TRY_TO(const auto properties, properties_of(wanted, before, disks, possible_cpus()));
        CO_TRY_TO(const auto cgroup, open_container(path_of(id), machine_.filesystem));
        CO_TRY(enable(cgroup.outer(), controllers_of(wanted)));
        auto done = co_await manager_.set_properties(scope_of(id), properties);
        if (done) {
            done = apply_checked(cgroup.leaf(), settings, wanted, before, disks);
            if (done)
                co_return done;
        }
        // Of several properties systemd may have taken the first ones.
        if (auto back = properties_of(before, wanted, disks, possible_cpus()))
            (void) co_await manager_.set_properties(scope_of(id), *std::move(back));
        co_return done;
    }

    [[nodiscard]] Task<void> remove(std::string id) override {
        CO_TRY(check_name(id));
        const auto path = path_of(id);
        if (const auto folder = open_folder(path, machine_.filesystem)) {
            CO_TRY(kill_all(folder->get()));
            CO_TRY(co_await wait_empty(folder->get(), kDeadline));
        }
        CO_TRY(co_await manager_.stop(scope_of(id)));
        co_return remove_tree(path, machine_.filesystem); // systemd has done that, as a rule
    }

    [[nodiscard]] Task<void> close() override { co_return Result<void>(); } // a scope ends with its last process

    [[nodiscard]] Task<void> retain(std::vector<std::string> ids) override {
        CO_TRY_TO(const auto units, co_await manager_.units(cgroup_name(instance_, "*") + kScope));
        Result<void> outcome;
        for (const auto& unit : units) {
            const auto id = id_in(unit, instance_, kScope);
            if (!id || std::ranges::find(ids, *id) != ids.end())
                continue;
            if (auto removed = co_await remove(*id); !removed && outcome)
                outcome = std::move(removed); // the others are removed all the same
        }
        co_return outcome;
    }

    [[nodiscard]] std::string path_of(const std::string& id) const override { return base_ + scope_of(id); }

private:
    [[nodiscard]] std::string scope_of(const std::string& id) const { return cgroup_name(instance_, id) + kScope; }

    // Whether it is in our slice already.
    [[nodiscard]] bool is_ours(pid_t process) const {
        const auto text = os::read_file("/proc/" + std::to_string(process) + "/cgroup", 64 << 10);
        const auto cgroup = text ? own_cgroup(*text) : std::nullopt;
        const auto folder = cgroup ? machine_.folder_of(*cgroup) : Result<std::string>(std::string());
        return folder && folder->starts_with(base_);
    }

    // What is beneath a scope that has been started.
    [[nodiscard]] Result<Cgroup> build(const std::string& id, const ResourceSpec& limits,
                                       const std::vector<Setting>& settings) const {
        const auto scope = TRY(open_folder(path_of(id), machine_.filesystem));
        const auto text = TRY(read_value(scope.get(), "cgroup.controllers"));
        const auto available = parse_controllers(text);
        auto cgroup = TRY(Cgroup::make_inner(path_of(id), inner_controllers(limits, available), machine_.filesystem));
        TRY(apply(cgroup.leaf(), settings));
        TRY(check_cpuset(cgroup.leaf(), limits));
        return cgroup;
    }

    Machine machine_;
    std::string instance_;
    UserManager manager_;
    std::string base_; // the folder of squish.slice, with a slash
    Controllers controllers_;
};

// sd_bus_set_address(3): what is not of these is written as %XX.
std::string escape(const std::string& path) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (const char c : path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("_-/.").contains(c);
        const auto value = static_cast<unsigned char>(c);
        if (plain)
            out += c;
        else
            out.append({'%', kDigits[value >> 4], kDigits[value & 15]});
    }
    return out;
}

} // namespace

std::vector<BusAddress> bus_addresses(const std::string& session_bus, const std::string& runtime_dir, uid_t uid) {
    std::vector<BusAddress> addresses;
    const auto add = [&](BusAddress address) {
        if (std::ranges::find(addresses, address) == addresses.end())
            addresses.push_back(std::move(address));
    };
    std::vector<std::string> folders;
    if (runtime_dir.starts_with('/'))
        folders.push_back(runtime_dir);
    folders.push_back("/run/user/" + std::to_string(uid));
    if (!session_bus.empty())
        add({session_bus, true});
    for (const auto& folder : folders)
        add({"unix:path=" + escape(folder + "/bus"), true});
    // systemd's own socket, which systemctl uses: there without a bus, too, and while a bus is started anew.
    for (const auto& folder : folders)
        add({"unix:path=" + escape(folder + "/systemd/private"), false});
    return addresses;
}

Task<std::unique_ptr<Driver>> open_systemd(asio::any_io_executor executor, Machine machine, std::string instance,
                                           std::vector<BusAddress> addresses) {
    auto driver =
        std::make_unique<SystemdDriver>(executor, std::move(addresses), std::move(machine), std::move(instance));
    CO_TRY(co_await driver->start());
    co_return std::unique_ptr<Driver>(std::move(driver));
}

} // namespace squish::limits
