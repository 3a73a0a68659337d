// After a restart of squishd, of the keeper, of the machine: what is true, according to whom.
//
// How this works
//   The keeper is right about what runs and how it ended; the state folder about what it was for. A container that both
//   know goes on. One that only the folder knows as running was lost with its keeper (its processes ended with it). One
//   that only the keeper knows has lost its folder: it is killed, since nobody could name it. A start that was
//   interrupted has become a container if the keeper says so; else what is left of it is removed. Nothing else is
//   touched.

#include "engine/impl.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <filesystem>
#include <set>
#include <spdlog/spdlog.h>

namespace squish {

void Engine::Impl::load_records() {
    std::error_code error;
    std::vector<std::string> folders;
    for (auto entry = std::filesystem::directory_iterator(paths_.containers(), error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        folders.push_back(entry->path().string());
    for (const auto& folder : folders) {
        const auto id = folder.substr(folder.rfind('/') + 1);
        auto record = load(executor_, folder, id);
        if (!record) {
            spdlog::warn("container {}: removing what is left of it: {}", printable(id), record.error().text());
            (void) os::remove_tree(folder);
            continue;
        }
        names_[(*record)->info.name] = id;
        records_[id] = std::move(*record);
    }
}

void Engine::Impl::on_connected(std::vector<KeptContainer> kept) {
    std::set<std::string> known;
    std::vector<std::uint32_t> slots, host_loopback;
    std::set<pid_t> alive; // inits and what `exec` started
    for (auto& container : kept) {
        if (container.phase == wire::ContainerPhase::running)
            alive.insert(container.pid);
        if (container.id.starts_with(kExecPrefix)) {
            on_exec_kept(container);
            continue;
        }
        const auto found = records_.find(container.id);
        if (found == records_.end()) {
            spdlog::warn("container {}: known to the keeper only; ending it", printable(container.id));
            if (container.pidfd)
                asio::co_spawn(
                    executor_,
                    [this, id = container.id]() -> asio::awaitable<void> {
                        (void) co_await ground_->keeper()->signal(id, SIGKILL);
                    },
                    asio::detached);
            else
                ground_->keeper()->forget(container.id);
            continue;
        }
        known.insert(container.id);
        const auto record = found->second;
        if (record->info.state != ContainerState::exited && record->info.state != ContainerState::restarting)
            record->info.state = ContainerState::running;
        else if (record->info.state == ContainerState::restarting && container.phase == wire::ContainerPhase::running)
            record->info.state = ContainerState::running; // started again, and not written down any more
        find_cgroup(*record);
        if (record->info.started_at == 0)
            record->info.started_at = record->info.created_at;
        if (container.phase == wire::ContainerPhase::exited) {
            on_exited(container.id, container.wait_status);
            continue;
        }
        record->info.pid = container.pid;
        ++record->run;
        begin_health(record);
        if (record->network.number)
            slots.push_back(record->network.number);
        if (record->network.number && record->info.file.network.host_loopback)
            host_loopback.push_back(record->network.number);
        record->named = !record->network.attachments.empty();
        asio::co_spawn(executor_, adopt_descriptors(record), asio::detached);
    }
    if (!views_in_use().empty())
        asio::co_spawn(
            executor_,
            [this, alive = std::move(alive)]() -> asio::awaitable<void> {
                if (auto up = co_await ground_->need_views(); !up)
                    spdlog::warn("what containers are shown of the machine stays as it is: {}", up.error().text());
                for (const auto& [id, record] : records_)
                    show_again(*record, alive);
            },
            asio::detached);
    ground_->retain(slots);
    ground_->retain_host_loopback(host_loopback);
    if (auto networks = networks_in_use(); !networks.empty())
        asio::co_spawn( // whoever serves their names may be a new one
            executor_,
            [this, networks = std::move(networks)]() mutable -> asio::awaitable<void> {
                (void) co_await ground_->need_network(std::move(networks));
            },
            asio::detached);
    std::vector<RecordPtr> lost, never_started, waiting;
    for (const auto& [id, record] : records_) {
        if (known.contains(id))
            continue;
        if (is_alive(record->info.state))
            lost.push_back(record);
        else if (record->info.state == ContainerState::created && !starting_.contains(id))
            never_started.push_back(record);
        else if (record->info.state == ContainerState::restarting && !record->restart_pause)
            waiting.push_back(record);
    }
    for (const auto& record : waiting)
        schedule_restart(record);
    for (const auto& record : lost) {
        record->view = 0; // of a table that is gone
        finish(record, ExitInfo{128 + SIGKILL, SIGKILL, "keeper-lost"});
    }
    for (const auto& record : never_started) {
        drop_view(*record);
        asio::co_spawn(executor_, remove_cgroup(record), asio::detached);
        if (ground_->keeper())
            ground_->keeper()->forget(record->info.id); // what was kept for it
        if (record->info.restarts > 0)                  // its first start was answered: somebody counts on it
            finish(record, ExitInfo{128 + SIGKILL, SIGKILL, "keeper-lost"});
        else
            forget_record(record);
    }
}

// A process that `exec` had started before us: whoever waited for its end will ask again.
void Engine::Impl::on_exec_kept(const KeptContainer& kept) {
    if (!execs_.contains(kept.id))
        execs_[kept.id] = std::make_shared<Exec>(executor_);
    if (kept.phase == wire::ContainerPhase::exited)
        on_exited(kept.id, kept.wait_status);
}

void Engine::Impl::on_keeper_lost() {
    spdlog::error("the keeper is gone: its containers have ended with it");
    ahead_.reset(); // its anchor has ended
    ahead_pause_.cancel();
    std::vector<RecordPtr> lost;
    for (const auto& [id, record] : records_)
        if (is_alive(record->info.state))
            lost.push_back(record);
    for (const auto& record : lost) {
        record->published = false;
        record->named = false;
        record->network = {};
        record->view = 0; // they are gone with it
        finish(record, ExitInfo{128 + SIGKILL, SIGKILL, "keeper-lost"});
    }
    for (auto& [id, exec] : std::exchange(execs_, {})) {
        exec->exit = ExitInfo{128 + SIGKILL, SIGKILL, "keeper-lost"};
        remember_end(id, *exec->exit);
        exec->ended.open();
    }
}

} // namespace squish
