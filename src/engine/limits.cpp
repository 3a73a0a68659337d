// What containers may use, and what they do use: cgroups for those that have limits, figures for all.

#include "engine/begin.h"
#include "engine/impl.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace squish {

namespace {

// Tells the cgroups of one squishd from another's: FNV-1a of its state folder (RFC draft eastlake-fnv).
std::string instance_of(const std::string& state_folder) {
    std::uint32_t hash = 2166136261U;
    for (const char byte : state_folder)
        hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
    char text[9];
    std::snprintf(text, sizeof text, "%08x", hash);
    return text;
}

std::int64_t monotonic_microseconds() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

constexpr const char* kMarker = "limits"; // in the state folder: cgroups were made, some may be left over

} // namespace

Task<void> Engine::Impl::open_limits() {
    if (driver_)
        co_return Result<void>{};
    CO_TRY_TO(auto driver, co_await limits::open_driver(executor_, config_.limits, instance_of(paths_.state)));
    std::vector<std::string> ids;
    for (const auto& [id, record] : records_)
        if (record->info.state != ContainerState::exited)
            ids.push_back(id);
    if (auto retained = co_await driver->retain(std::move(ids)); !retained)
        spdlog::warn("cgroups of containers that have ended may be left over: {}", retained.error().text());
    CO_TRY(os::open_file(paths_.state + "/" + kMarker, O_WRONLY | O_CREAT, 0600));
    driver_ = std::move(driver);
    co_return Result<void>{};
}

bool Engine::Impl::had_limits() const {
    return ::access((paths_.state + "/" + kMarker).c_str(), F_OK) == 0;
}

// The driver, with a keeper that may clone into its cgroups. One caller at a time: the others find it done.
Task<limits::Driver*> Engine::Impl::need_driver() {
    while (const auto busy = driver_gate_)
        co_await busy->wait();
    driver_gate_ = std::make_shared<Latch>(executor_);
    Result<void> ready = co_await open_limits();
    if (ready)
        ready = co_await ground_->need_keeper();
    if (ready && adopted_keeper_ != ground_->facts().pid) {
        const auto keeper = ground_->facts().pid;
        ready = co_await driver_->adopt(ground_->cloners());
        if (ready)
            adopted_keeper_ = keeper;
    }
    std::exchange(driver_gate_, nullptr)->open();
    if (!ready)
        co_return std::unexpected(std::move(ready).error());
    co_return driver_.get();
}

// Before anything else of a start is done.
Task<void> Engine::Impl::check_limits(RecordPtr record) {
    if (!record->info.resources.any())
        co_return Result<void>{};
    CO_TRY_TO(const auto* const driver, co_await need_driver());
    co_return limits::check_enforceable(*driver, record->info.resources);
}

Task<limits::Cgroup> Engine::Impl::open_cgroup(std::string id, ResourceSpec limits) {
    CO_TRY_TO(auto* const driver, co_await need_driver());
    pid_t anchor = 0;
    if (driver->needs_anchor()) {
        auto* const keeper = ground_->keeper();
        if (!keeper)
            co_return fail(ErrorKind::unavailable, "the keeper is gone", "try again");
        CO_TRY_TO(anchor, co_await keeper->anchor(id));
    }
    auto made = co_await driver->create(id, std::move(limits), anchor);
    if (!made && ground_->keeper())
        ground_->keeper()->forget(id);
    co_return made;
}

Task<Engine::Impl::Limiting> Engine::Impl::make_cgroup(RecordPtr record) {
    auto& info = record->info;
    Limiting limiting = []() -> Task<void> { co_return Result<void>{}; };
    if (!info.resources.any())
        co_return limiting;
    if (auto ahead = made_ahead_.extract(info.id)) {
        record->cgroup = std::move(ahead.mapped());
        limiting = begin(executor_, [this, id = info.id, limits = info.resources]() -> Task<void> {
            ResourceSpec none;
            return driver_->update(id, std::move(none), limits);
        });
    } else {
        CO_TRY_TO(record->cgroup, co_await open_cgroup(info.id, info.resources));
    }
    info.limits_driver = driver_->name();
    info.cgroup = record->cgroup.path();
    info.oom_kills = 0;
    if (info.resources.memory)
        if (auto watched = oom_watch_.add(info.id, record->cgroup.leaf()); !watched)
            spdlog::warn("container {}: running out of memory is told at its end only: {}", info.id,
                         watched.error().text());
    co_return limiting;
}

// After a restart of squishd.
void Engine::Impl::find_cgroup(Record& record) {
    if (record.info.cgroup.empty())
        return;
    auto found = limits::Cgroup::open(record.info.cgroup);
    if (!found) {
        spdlog::warn("container {}: {}", record.info.id, found.error().text());
        return;
    }
    record.cgroup = std::move(*found);
    if (const auto frozen = limits::is_frozen(record.cgroup.leaf()); frozen && is_alive(record.info.state))
        record.info.state = *frozen ? ContainerState::paused : ContainerState::running;
    if (record.info.resources.memory)
        (void) oom_watch_.add(record.info.id, record.cgroup.leaf());
    note_oom(record);
}

asio::awaitable<void> Engine::Impl::remove_cgroup(RecordPtr record) {
    oom_watch_.remove(record->info.id);
    record->cgroup = {};
    const bool unused = made_ahead_.erase(record->info.id) > 0; // its start came to nothing before that
    if (record->info.cgroup.empty() && !unused)
        co_return;
    Result<void> removed = co_await open_limits_once();
    if (removed)
        removed = co_await driver_->remove(record->info.id);
    if (!removed)
        spdlog::warn("container {}: its cgroup '{}' is left: {}", record->info.id, record->info.cgroup,
                     removed.error().text());
    else
        record->info.cgroup.clear();
}

// open_limits(), where nobody else is at it.
Task<void> Engine::Impl::open_limits_once() {
    while (const auto busy = driver_gate_)
        co_await busy->wait();
    driver_gate_ = std::make_shared<Latch>(executor_);
    auto opened = co_await open_limits();
    std::exchange(driver_gate_, nullptr)->open();
    co_return opened;
}

// Tells of kills that were not told yet.
void Engine::Impl::note_oom(Record& record) {
    if (!record.cgroup)
        return;
    const auto kills = limits::read_oom_kills(record.cgroup.leaf());
    if (!kills || *kills <= record.info.oom_kills.value_or(0))
        return;
    record.info.oom_kills = *kills;
    events_.add("oom", record.info.id, record.info.name, {{"kills", std::to_string(*kills)}});
    if (is_alive(record.info.state))
        save_quietly(record);
}

void Engine::Impl::on_memory_event(const std::string& id) {
    if (const auto found = records_.find(id); found != records_.end())
        note_oom(*found->second);
}

namespace {

Error no_cgroup(const ContainerInfo& info, const std::string& what) {
    return {ErrorKind::conflict,
            "container '" + printable(info.name) + "' " + what + ": it was started without limits, and has no cgroup",
            "start it with a limit, [resources] pids = 4096 for one", 0};
}

} // namespace

Task<ResourceSpec> Engine::Impl::update(std::string id, ResourceChange change) {
    CO_TRY_TO(const auto record, get(id));
    const auto check = [&]() -> Result<void> {
        if (!is_alive(record->info.state))
            return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' does not run");
        if (!record->cgroup)
            return std::unexpected(no_cgroup(record->info, "cannot get other limits"));
        return {};
    };
    CO_TRY(check());
    while (const auto busy = record->updating) // one after the other: each builds on what the last has left
        co_await busy->wait();
    record->updating = std::make_shared<Latch>(executor_);
    auto outcome = co_await update_in_turn(record, std::move(change), check);
    std::exchange(record->updating, nullptr)->open();
    co_return outcome;
}

Task<ResourceSpec> Engine::Impl::update_in_turn(RecordPtr record, ResourceChange change,
                                                std::function<Result<void>()> check) {
    CO_TRY(check());
    auto& info = record->info;
    CO_TRY_TO(auto wanted, merge(info.resources, change));
    if (wanted == info.resources)
        co_return wanted;
    CO_TRY_TO(auto* const driver, co_await need_driver());
    CO_TRY(limits::check_enforceable(*driver, wanted));
    CO_TRY(co_await driver->update(info.id, info.resources, wanted));
    auto before = std::exchange(info.resources, wanted);
    if (auto bound = co_await rebind_cpus(record); !bound) {
        if (auto back = co_await driver->update(info.id, wanted, before); !back)
            spdlog::warn("container {}: {}", info.id, back.error().text());
        info.resources = std::move(before);
        co_return std::unexpected(std::move(bound).error());
    }
    if (wanted.memory && !before.memory)
        (void) oom_watch_.add(info.id, record->cgroup.leaf());
    save_quietly(*record);
    events_.add("update", info.id, info.name, {{"resources", resources_to_json(wanted)}});
    co_return wanted;
}

Task<void> Engine::Impl::pause(std::string id) {
    CO_TRY_TO(const auto record, get(id));
    auto& info = record->info;
    if (info.state == ContainerState::paused)
        co_return fail(ErrorKind::conflict, "container '" + printable(info.name) + "' is paused already");
    if (info.state != ContainerState::running)
        co_return fail(ErrorKind::conflict, "container '" + printable(info.name) + "' does not run");
    if (!record->cgroup)
        co_return std::unexpected(no_cgroup(info, "cannot be paused"));
    CO_TRY(co_await limits::set_frozen(record->cgroup.leaf(), true));
    if (info.state != ContainerState::running)
        co_return fail(ErrorKind::conflict, "container '" + printable(info.name) + "' has ended");
    info.state = ContainerState::paused;
    save_quietly(*record);
    events_.add("pause", info.id, info.name);
    co_return Result<void>{};
}

Task<void> Engine::Impl::thaw(RecordPtr record) {
    CO_TRY(co_await limits::set_frozen(record->cgroup.leaf(), false));
    if (record->info.state != ContainerState::paused) // it has ended, or somebody else was faster
        co_return Result<void>{};
    record->info.state = ContainerState::running;
    save_quietly(*record);
    events_.add("unpause", record->info.id, record->info.name);
    co_return Result<void>{};
}

Task<void> Engine::Impl::unpause(std::string id) {
    CO_TRY_TO(const auto record, get(id));
    if (record->info.state != ContainerState::paused)
        co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' is not paused");
    co_return co_await thaw(record);
}

Task<std::vector<ContainerFigures>> Engine::Impl::stats(std::vector<std::string> ids) {
    std::vector<RecordPtr> wanted;
    if (ids.empty()) {
        for (const auto& [id, record] : records_)
            if (is_alive(record->info.state))
                wanted.push_back(record);
        std::ranges::sort(wanted, {}, [](const auto& record) { return record->info.created_at; });
    }
    for (const auto& id : ids) {
        CO_TRY_TO(auto record, get(id));
        if (is_alive(record->info.state))
            wanted.push_back(std::move(record));
    }
    std::vector<pid_t> without;
    for (const auto& record : wanted)
        if (!record->cgroup)
            without.push_back(record->info.pid);
    std::map<pid_t, limits::Figures> summed;
    if (!without.empty()) {
        CO_TRY_TO(summed, limits::read_processes(without));
    }
    const auto cpus = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
    std::vector<ContainerFigures> out;
    for (const auto& record : wanted) {
        const auto& info = record->info;
        ContainerFigures one{info.id, info.name, monotonic_microseconds(), {}, std::nullopt, cpus};
        if (record->cgroup) {
            auto figures = limits::read_cgroup(record->cgroup.leaf());
            if (!figures)
                continue; // it has ended
            one.figures = *figures;
        } else {
            const auto found = summed.find(info.pid);
            if (found == summed.end())
                continue;
            one.figures = found->second;
        }
        if (info.file.network.mode != NetworkMode::host)
            if (const auto network = limits::read_network(info.pid))
                one.network = *network;
        out.push_back(std::move(one));
    }
    co_return out;
}

} // namespace squish
