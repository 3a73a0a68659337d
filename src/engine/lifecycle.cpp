// How containers end, and what is taken back then.

#include "engine/impl.h"
#include "engine/requests.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

namespace squish {

namespace {

constexpr std::size_t kRecentEnds = 512;
constexpr auto kLinger = std::chrono::seconds(10); // for the last bytes of ended containers
constexpr auto kPolitePause = std::chrono::milliseconds(1);
constexpr auto kKillPatience = std::chrono::seconds(10); // from SIGKILL to the end

ExitInfo exit_info(int wait_status, bool asked_for) {
    ExitInfo exit;
    exit.code = os::exit_code(wait_status);
    exit.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    exit.reason = exit.signal == 0 ? "exited" : exit.signal == SIGKILL && asked_for ? "killed" : "signaled";
    return exit;
}

} // namespace

void Engine::Impl::save_quietly(const Record& record) {
    if (auto saved = save(record); !saved)
        spdlog::warn("container {}: cannot write its state: {}", record.info.id, saved.error().text());
}

void Engine::Impl::remember_end(const std::string& id, const ExitInfo& exit) {
    recent_ends_.emplace_back(id, exit);
    if (recent_ends_.size() > kRecentEnds)
        recent_ends_.pop_front();
}

void Engine::Impl::on_exited(const std::string& id, int wait_status) {
    if (const auto exec = execs_.find(id); exec != execs_.end()) {
        exec->second->exit = exit_info(wait_status, false);
        remember_end(id, *exec->second->exit);
        show_exec(exec->second->view, exec->second->pid, 0);
        exec->second->ended.open();
        execs_.erase(exec);
        ground_->keeper()->forget(id);
        return;
    }
    const auto found = records_.find(id);
    if (found == records_.end()) { // its start was undone
        ground_->keeper()->forget(id);
        return;
    }
    if (found->second->info.state == ContainerState::created) { // faster than the answer to its start
        early_ends_[id] = wait_status;
        return;
    }
    if (found->second->info.state == ContainerState::exited ||
        found->second->info.state == ContainerState::restarting) { // recorded before a restart of ours
        ground_->keeper()->forget(id);
        return;
    }
    finish(found->second, explain_exit(*found->second, wait_status));
}

// By SIGKILL, which nobody asked for, after the kernel has killed for lack of memory: that is why, as far as anybody
// knows.
ExitInfo Engine::Impl::explain_exit(Record& record, int wait_status) {
    note_oom(record);
    auto exit = exit_info(wait_status, record.kill_requested);
    const bool killed = exit.signal == SIGKILL || exit.code == 128 + SIGKILL;
    if (killed && !record.kill_requested && record.info.oom_kills.value_or(0) > 0)
        exit.reason = "oom";
    return exit;
}

// First whoever waits, then the disk, then what can be given back.
void Engine::Impl::finish(RecordPtr record, ExitInfo exit) {
    auto& info = record->info;
    if (info.state == ContainerState::exited || info.state == ContainerState::restarting)
        return;
    info.exited_at = now_microseconds();
    info.exit = std::move(exit);
    info.pid = 0;
    if (info.exited_at - info.started_at > std::chrono::microseconds(info.file.restart.max_delay).count())
        record->attempts = 0;
    const bool again = will_restart(*record, *info.exit);
    info.state = again ? ContainerState::restarting : ContainerState::exited;
    events_.add("exit", info.id, info.name, {{"code", std::to_string(info.exit->code)}, {"reason", info.exit->reason}});
    // The ports are free before anybody hears of the end.
    for (const auto& listener : record->listeners)
        stop_listening(listener.get());
    record->listeners.clear();
    if (info.remove_on_exit) {
        records_.erase(info.id); // the name is free before anybody hears of the end
        names_.erase(info.name);
        remember_end(info.id, *info.exit);
    }
    if (again) {
        ++record->attempts;
    } else {
        record->streams = {}; // whoever reads from them waits for the end of them, too
        record->layers.clear();
        record->ended.open();
    }
    if (shutting_down_) { // the clean-up may not come to it any more
        if (info.remove_on_exit)
            (void) os::remove_tree(record->folder);
        else
            save_quietly(*record);
    }
    asio::co_spawn(executor_, clean_up(record), asio::detached);
    ground_->refill(2 * kPolitePause);
}

asio::awaitable<void> Engine::Impl::clean_up(RecordPtr record) {
    const auto& info = record->info;
    // Whoever waits for the end is a few turns of the loop away: they come first.
    asio::steady_timer turn(executor_, kPolitePause);
    co_await turn.async_wait(kAwait);
    drop_view(*record);
    co_await remove_cgroup(record);
    co_await leave_network(record, kLinger);
    if (info.remove_on_exit)
        (void) os::remove_tree(record->folder);
    else
        save_quietly(*record);
    if (auto* keeper = ground_->keeper()) // last: until here a new squishd would learn of the end from it
        keeper->forget(info.id);
    if (info.state == ContainerState::restarting)
        schedule_restart(record);
}

// Ports, names and address are given back; `linger`: see release_request().
asio::awaitable<void> Engine::Impl::leave_network(RecordPtr record, std::chrono::milliseconds linger) {
    if (std::exchange(record->published, false))
        if (auto* forwarder = ground_->forwarder())
            (void) co_await forwarder->ask(release_request(record->info.id, linger));
    co_await remove_names(record);
    // After the forwarder: its sockets keep the namespace busy.
    ground_->release(std::exchange(record->network, {}).number);
}

Result<RecordPtr> Engine::Impl::get(const std::string& id) const {
    const auto found = records_.find(id);
    if (found == records_.end())
        return fail(ErrorKind::not_found, "no container '" + printable(id) + "'", "see 'squish ps -a'");
    return found->second;
}

Task<ExitInfo> Engine::Impl::wait(std::string id) {
    for (const auto& [ended, exit] : recent_ends_)
        if (ended == id)
            co_return exit;
    CO_TRY_TO(const auto record, get(id));
    co_await record->ended.wait();
    co_return *record->info.exit;
}

Task<void> Engine::Impl::kill(std::string id, int number) {
    CO_TRY_TO(const auto record, get(id));
    if (!is_alive(record->info.state))
        co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' does not run");
    if (number == SIGSTOP) // it would stop the container's init, and with it the way to every other signal
        co_return fail(ErrorKind::unsupported, "SIGSTOP cannot be forwarded by a container's init",
                       "send SIGTSTP, which a payload can obey");
    if (number == SIGKILL || number == SIGTERM)
        record->stop_requested = true;
    if (number == SIGKILL) {
        record->kill_requested = true;
        save_quietly(*record); // whoever is there at its end does not start it again
        if (record->cgroup && limits::kill_all(record->cgroup.leaf()))
            co_return Result<void>{};
    }
    co_return co_await ground_->keeper()->signal(id, number);
}

Task<void> Engine::Impl::stop(std::string id, std::chrono::milliseconds timeout) {
    CO_TRY_TO(const auto record, get(id));
    while (const auto starting = record->starting) { // again: it is not over before that
        record->stop_requested = true;
        co_await starting->wait();
    }
    if (record->info.state == ContainerState::exited)
        co_return Result<void>{};
    if (record->info.state == ContainerState::created)
        co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' is being started");
    record->stop_requested = true;
    if (record->info.state == ContainerState::restarting) {
        give_up_restart(record);
        co_return Result<void>{};
    }
    save_quietly(*record);
    if (record->info.state == ContainerState::paused && timeout.count() > 0) // else it could not obey
        CO_TRY(co_await thaw(record));
    if (timeout.count() > 0) {
        (void) co_await ground_->keeper()->signal(id, SIGTERM);
        const auto ended = std::make_shared<Latch>(executor_);
        asio::co_spawn(
            executor_,
            [record, ended]() -> asio::awaitable<void> {
                co_await record->ended.wait();
                ended->open();
            },
            asio::detached);
        if (co_await ended->wait_for(timeout))
            co_return Result<void>{};
    }
    record->kill_requested = true;
    if (!record->cgroup || !limits::kill_all(record->cgroup.leaf()))
        if (auto* keeper = ground_->keeper())
            (void) co_await keeper->signal(id, SIGKILL);
    const auto ended = std::make_shared<Latch>(executor_);
    asio::co_spawn(
        executor_,
        [record, ended]() -> asio::awaitable<void> {
            co_await record->ended.wait();
            ended->open();
        },
        asio::detached);
    if (!co_await ended->wait_for(kKillPatience))
        co_return fail(ErrorKind::unavailable,
                       "container '" + printable(record->info.name) + "' does not end after SIGKILL",
                       "a process of it may hang in the kernel (state D)");
    co_return Result<void>{};
}

Task<void> Engine::Impl::remove(std::string id, bool force) {
    CO_TRY_TO(const auto record, get(id));
    if (record->info.state != ContainerState::exited) {
        if (!force)
            co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' runs",
                           "stop it first, or use --force");
        CO_TRY(co_await stop(id, std::chrono::milliseconds(0)));
        if (!records_.contains(id)) // it was to be removed at its end
            co_return Result<void>{};
    }
    remember_end(id, *record->info.exit);
    events_.add("remove", id, record->info.name);
    forget_record(record);
    co_return Result<void>{};
}

// Out of the tables and off the disk.
void Engine::Impl::forget_record(const RecordPtr& record) {
    records_.erase(record->info.id);
    if (const auto name = names_.find(record->info.name); name != names_.end() && name->second == record->info.id)
        names_.erase(name);
    record->info.remove_on_exit = true; // a clean-up that still runs must not write the state again
    if (auto removed = os::remove_tree(record->folder); !removed)
        spdlog::warn("container {}: {}", record->info.id, removed.error().text());
}

} // namespace squish
