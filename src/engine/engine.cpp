#include "engine/engine.h"

#include "engine/base_rootfs.h"
#include "engine/impl.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <fcntl.h>
#include <linux/landlock.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish {

namespace {

std::uint64_t descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return std::min<std::uint64_t>(limit.rlim_max, 524'288);
}

int landlock_abi() {
    const auto abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? static_cast<int>(abi) : 0;
}

} // namespace

Engine::Impl::Impl(asio::io_context& loop, Paths paths, EngineConfig config)
    : executor_(loop.get_executor()), paths_(std::move(paths)), config_(config), filters_(paths_.state + "/seccomp"),
      events_(paths_.state + "/events.log"),
      oom_watch_(executor_, [this](const std::string& id) { on_memory_event(id); }), ahead_pause_(executor_) {
    machine_.time_namespaces = ::access("/proc/self/ns/time_for_children", F_OK) == 0;
    machine_.descriptor_limit = descriptor_limit();
    machine_.landlock = landlock_abi();
    ground_ = std::make_unique<Ground>(
        executor_, paths_, config_,
        Ground::Events{
            .connected = [this](std::vector<KeptContainer> kept) { on_connected(std::move(kept)); },
            .exited = [this](std::string id, int status) { on_exited(id, status); },
            .keeper_lost = [this] { on_keeper_lost(); },
            .forwarder_started = [this] { asio::co_spawn(executor_, republish(), asio::detached); },
            .hosts = [this](std::uint32_t network) { return hosts_of(network); },
            .views = [this] { return views_in_use(); },
        });
}

Task<void> Engine::Impl::open() {
    (void) os::raise_descriptor_limit(); // each container with ports costs us a few
    CO_TRY(secure_state_folder(paths_));
    CO_TRY(os::make_dirs(paths_.containers()));
    // One engine per state folder: two would end each other's containers.
    CO_TRY_TO(lock_, os::open_file(paths_.state + "/engine.lock", O_RDWR | O_CREAT, 0600));
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) < 0)
        co_return fail(ErrorKind::conflict, "another squish engine uses '" + paths_.state + "'",
                       "is another squishd running? see 'squish daemon status'");
    CO_TRY_TO(const auto base, provide_base_rootfs(paths_));
    machine_.base_rootfs = base.path;
    machine_.base_version = base.version;
    CO_TRY(open_store());
    CO_TRY_TO(networks_, NamedNetworks::open(paths_.data));
    load_records();
    // In its own cgroup, squishd must go one down before there is a keeper, which goes with it.
    if (config_.limits.driver == limits::Choice::direct)
        if (auto opened = co_await open_limits_once(); !opened)
            spdlog::warn("resource limits: {}", opened.error().text());
    forget_filters();
    CO_TRY_TO(const bool found, co_await ground_->find_keeper());
    if (!found)
        on_connected({}); // whatever ran has ended with its keeper
    ground_->refill(std::chrono::milliseconds(0));
    if (had_limits()) // what an earlier squishd could not remove
        asio::co_spawn(
            executor_,
            [this]() -> asio::awaitable<void> {
                if (auto opened = co_await open_limits_once(); !opened)
                    spdlog::warn("resource limits: {}", opened.error().text());
            },
            asio::detached);
    co_return Result<void>{};
}

Result<std::string> Engine::Impl::find(std::string_view reference) const {
    std::string text(reference);
    if (records_.contains(text))
        return text;
    if (const auto named = names_.find(text); named != names_.end())
        return named->second;
    std::vector<std::string> matches, shown;
    if (!text.empty()) {
        for (const auto& [id, record] : records_)
            if (id.starts_with(text) || record->info.name.starts_with(text)) {
                matches.push_back(id);
                shown.push_back(id + " (" + record->info.name + ")");
            }
    }
    if (matches.size() == 1)
        return matches.front();
    if (matches.empty())
        return fail(ErrorKind::not_found, "no container '" + printable(text) + "'", "see 'squish ps -a'");
    return fail(ErrorKind::conflict, "'" + printable(text) + "' is ambiguous: " + join(shown, ", "),
                "give more of the id or name");
}

std::vector<ContainerInfo> Engine::Impl::list(bool with_exited) const {
    std::vector<ContainerInfo> out;
    for (const auto& [id, record] : records_)
        if (is_alive(record->info.state) || record->info.state == ContainerState::restarting ||
            (with_exited && record->info.state == ContainerState::exited))
            out.push_back(record->info);
    std::ranges::sort(out, {}, &ContainerInfo::created_at);
    return out;
}

Result<ContainerInfo> Engine::Impl::inspect(const std::string& id) const {
    return TRY(get(id))->info;
}

Result<std::optional<IsolationInfo>> Engine::Impl::isolation(const std::string& id) const {
    const auto record = TRY(get(id));
    if (!is_alive(record->info.state))
        return std::nullopt;
    auto isolation = read_isolation(record->info.pid);
    if (!isolation && (isolation.error().sys_errno == ENOENT || isolation.error().sys_errno == ESRCH))
        return std::nullopt; // it has ended while we looked
    return isolation;
}

std::size_t Engine::Impl::running_count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(records_, [](const auto& entry) { return is_alive(entry.second->info.state); }));
}

Task<void> Engine::Impl::shut_down(bool stop_containers) {
    shutting_down_ = true;
    co_await dismiss_ahead();
    if (running_count() > 0 && !stop_containers) { // they run on, and so does what they need
        ground_->stop_background();
        co_return Result<void>{};
    }
    std::vector<std::string> ids;
    for (const auto& [id, record] : records_)
        if (is_alive(record->info.state) || record->info.state == ContainerState::restarting)
            ids.push_back(id);
    // All at once, against one deadline.
    const auto left = std::make_shared<std::size_t>(ids.size());
    const auto all_ended = std::make_shared<Latch>(executor_);
    for (const auto& id : ids)
        asio::co_spawn(
            executor_,
            [this, id, left, all_ended]() -> asio::awaitable<void> {
                (void) co_await stop(id, std::chrono::seconds(10));
                if (--*left == 0)
                    all_ended->open();
            },
            asio::detached);
    if (!ids.empty())
        co_await all_ended->wait();
    std::vector<std::string> with_cgroup; // their clean-up may not come to it any more
    for (const auto& [id, record] : records_)
        if (!record->info.cgroup.empty() && driver_)
            with_cgroup.push_back(id);
    for (const auto& id : with_cgroup)
        (void) co_await driver_->remove(id);
    CO_TRY(co_await ground_->shut_down());
    if (driver_)
        co_return co_await driver_->close();
    co_return Result<void>{};
}

std::string Engine::Impl::describe() const {
    const auto& facts = ground_->facts();
    const bool alive = ground_->keeper() && ground_->keeper()->is_open();
    const nlohmann::json out = {{"keeper_pid", alive ? facts.pid : 0},
                                {"uplink_pid", ground_->uplink_pid()},
                                {"single_id", facts.single_id},
                                {"id_slices", facts.slices},
                                {"uid_map", facts.uid_map},
                                {"gid_map", facts.gid_map},
                                {"base_rootfs", machine_.base_rootfs},
                                {"base_version", machine_.base_version},
                                {"state", paths_.state},
                                {"data", paths_.data},
                                {"running", running_count()}};
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// --- the public face
// ---------------------------------------------------------------------------------------------------

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Task<std::unique_ptr<Engine>> Engine::open(asio::io_context& loop, Paths paths, EngineConfig config) {
    auto impl = std::make_unique<Impl>(loop, std::move(paths), config);
    CO_TRY(co_await impl->open());
    co_return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}
Task<std::string> Engine::create(CreateRequest request) {
    return impl_->create(std::move(request));
}
Result<std::string> Engine::find(std::string_view reference) const {
    return impl_->find(reference);
}
std::vector<ContainerInfo> Engine::list(bool with_exited) const {
    return impl_->list(with_exited);
}
Result<ContainerInfo> Engine::inspect(const std::string& id) const {
    return impl_->inspect(id);
}
Result<std::optional<IsolationInfo>> Engine::isolation(const std::string& id) const {
    return impl_->isolation(id);
}
Task<ExitInfo> Engine::wait(const std::string& id) {
    return impl_->wait(id);
}
Task<void> Engine::stop(const std::string& id, std::chrono::milliseconds timeout) {
    return impl_->stop(id, timeout);
}
Task<void> Engine::kill(const std::string& id, int signal_number) {
    return impl_->kill(id, signal_number);
}
Task<void> Engine::remove(const std::string& id, bool force) {
    return impl_->remove(id, force);
}
Task<std::string> Engine::exec(const std::string& id, ExecRequest request) {
    return impl_->exec(id, std::move(request));
}
Task<ExitInfo> Engine::wait_exec(const std::string& exec_id) {
    return impl_->wait_exec(exec_id);
}
Task<void> Engine::kill_exec(const std::string& exec_id, int signal_number) {
    return impl_->kill_exec(exec_id, signal_number);
}
Task<std::vector<ProvidedLayer>> Engine::resolve(Squishfile file, ProvideOptions options, OnLayerProgress on_progress) {
    return impl_->resolve(std::move(file), std::move(options), std::move(on_progress));
}
Task<ProvidedLayer> Engine::pull_layer(std::string name, std::string requirement, OnLayerProgress on_progress) {
    return impl_->pull_layer(std::move(name), std::move(requirement), std::move(on_progress));
}
Task<Provider::Imported> Engine::import_layer(Provider::ImportRequest request, OnLayerProgress on_progress) {
    return impl_->import_layer(std::move(request), std::move(on_progress));
}
std::vector<Engine::LayerUse> Engine::list_layers() {
    return impl_->list_layers();
}
Task<Provider::Verified> Engine::verify_layer(std::string reference, OnLayerProgress on_progress) {
    return impl_->verify_layer(std::move(reference), std::move(on_progress));
}
Task<std::string> Engine::remove_layer(std::string reference) {
    return impl_->remove_layer(std::move(reference));
}
Task<LayerInfo> Engine::attach_layer(std::string id, std::string name, std::string requirement,
                                     OnLayerProgress on_progress) {
    return impl_->attach_layer(std::move(id), std::move(name), std::move(requirement), std::move(on_progress));
}
Task<LayerInfo> Engine::detach_layer(std::string id, std::string name) {
    return impl_->detach_layer(std::move(id), std::move(name));
}
Task<std::vector<StoredLayer>> Engine::prune_layers() {
    return impl_->prune_layers();
}
Task<std::vector<PortSpec>> Engine::add_ports(const std::string& id, const std::string& spec) {
    return impl_->add_ports(id, spec);
}
Task<std::vector<PortSpec>> Engine::remove_ports(const std::string& id, const std::string& spec) {
    return impl_->remove_ports(id, spec);
}
Task<PortSpec> Engine::rebind_port(const std::string& id, const std::string& old_spec, const std::string& new_spec) {
    return impl_->rebind_port(id, old_spec, new_spec);
}
Task<NetworkInfo> Engine::create_network(std::string name) {
    return impl_->create_network(std::move(name));
}
Task<void> Engine::remove_network(std::string name) {
    return impl_->remove_network(std::move(name));
}
Task<std::vector<NetworkInfo>> Engine::list_networks() {
    return impl_->list_networks();
}
Task<NetworkInfo> Engine::inspect_network(std::string name) {
    return impl_->inspect_network(std::move(name));
}
Task<void> Engine::shut_down(bool stop_containers) {
    return impl_->shut_down(stop_containers);
}
Task<ResourceSpec> Engine::update(const std::string& id, ResourceChange change) {
    return impl_->update(id, std::move(change));
}
Task<void> Engine::pause(const std::string& id) {
    return impl_->pause(id);
}
Task<void> Engine::unpause(const std::string& id) {
    return impl_->unpause(id);
}
Task<std::vector<ContainerFigures>> Engine::stats(std::vector<std::string> ids) {
    return impl_->stats(std::move(ids));
}
EventLog& Engine::events() {
    return impl_->events();
}
std::size_t Engine::running_count() const {
    return impl_->running_count();
}
std::string Engine::describe() const {
    return impl_->describe();
}

} // namespace squish
