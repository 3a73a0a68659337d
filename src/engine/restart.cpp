// [restart]: containers that are started again after their end.
//
// How this works
//   finish() asks will_restart(). Such a container keeps its id, its name and its folder and is "restarting" until the
//   pause is over: `delay`, twice as long after each further end, at most `max_delay`; anew once it has run for longer
//   than that. Who waits for its end waits until it is not started again. Whoever stops it meanwhile ends that. A start
//   that fails counts as an end.

#include "engine/impl.h"
#include "engine/layers.h"

#include "base/text.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fcntl.h>
#include <spdlog/spdlog.h>

namespace squish {

namespace {

UniqueFd copy_of(const UniqueFd& fd) {
    return UniqueFd(fd ? ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3) : -1);
}

AttachedIo copy_of(const AttachedIo& io) {
    AttachedIo copy;
    copy.in = copy_of(io.in);
    copy.out = copy_of(io.out);
    copy.err = copy_of(io.err);
    return copy;
}

} // namespace

Result<void> Engine::Impl::check_restart(const CreateRequest& request) {
    if (request.file.restart.policy == RestartPolicy::no)
        return {};
    if (request.remove_on_exit)
        return fail(ErrorKind::invalid, "[restart] policy and --rm contradict each other",
                    "leave one of them out: what is removed at its end cannot be started again");
    if (request.io.console)
        return fail(ErrorKind::unsupported,
                    "[restart] policy cannot be had with a terminal, which ends with its payload",
                    "use 'squish create', or 'squish run' without -t");
    return {};
}

void Engine::Impl::keep_for_restart(Record& record, const CreateRequest& request,
                                    const std::vector<ProvidedLayer>& layers) {
    if (request.file.restart.policy == RestartPolicy::no)
        return;
    record.streams = copy_of(request.io);
    record.layers = layers;
}

bool Engine::Impl::will_restart(const Record& record, const ExitInfo& exit) const {
    const auto& spec = record.info.file.restart;
    const bool wanted =
        spec.policy == RestartPolicy::always || (spec.policy == RestartPolicy::on_failure && exit.code != 0);
    if (!wanted || record.stop_requested || shutting_down_)
        return false;
    if (record.info.attached && !record.streams.out && !record.streams.err && !record.streams.in) {
        spdlog::warn("container {}: not started again, since its streams were lost with the squishd before this one",
                     record.info.id);
        return false;
    }
    return !spec.max_retries || record.attempts < *spec.max_retries;
}

// What is left of the last run is taken back when this is called.
void Engine::Impl::schedule_restart(const RecordPtr& record) {
    const auto& spec = record->info.file.restart;
    auto pause = spec.delay;
    for (std::uint32_t i = 1; i < record->attempts && pause < spec.max_delay; ++i)
        pause *= 2;
    pause = std::min(pause, spec.max_delay);
    record->restart_pause = std::make_shared<asio::steady_timer>(executor_, pause);
    events_.add("restart", record->info.id, record->info.name,
                {{"attempt", std::to_string(record->attempts)}, {"pause_ms", std::to_string(pause.count())}});
    asio::co_spawn(
        executor_,
        [this, record, timer = record->restart_pause]() -> asio::awaitable<void> {
            const auto [error] = co_await timer->async_wait(kAwait);
            if (error || timer != record->restart_pause || record->info.state != ContainerState::restarting ||
                shutting_down_)
                co_return;
            record->restart_pause.reset();
            co_await restart(record);
        },
        asio::detached);
}

// Stopped while it waits to be started again.
void Engine::Impl::give_up_restart(const RecordPtr& record) {
    if (const auto timer = std::exchange(record->restart_pause, nullptr))
        timer->cancel();
    record->info.state = ContainerState::exited;
    record->streams = {};
    record->layers.clear();
    save_quietly(*record);
    record->ended.open();
}

Task<void> Engine::Impl::start_again(RecordPtr record, CreateRequest& request) {
    if (record->layers.empty()) { // this squishd has not seen its start
        ProvideOptions options;
        OnLayerProgress nobody;
        CO_TRY_TO(record->layers, co_await resolve(request.file, std::move(options), std::move(nobody)));
    }
    const InHand in_hand(layers_in_hand_, record->layers);
    co_return co_await start(record, request, record->layers);
}

asio::awaitable<void> Engine::Impl::restart(RecordPtr record) {
    auto& info = record->info;
    const auto id = info.id;
    CreateRequest request;
    request.file = info.file;
    request.file.ports = info.ports; // as they were at the end, whatever was published at the start
    request.io = copy_of(record->streams);
    info.state = ContainerState::created;
    info.timings.clear();
    info.mounts.clear();
    info.layers.clear();
    info.warnings.clear();
    info.ports.clear();
    info.networks.clear();
    info.stdout_log.clear();
    info.stderr_log.clear();
    info.health.reset();
    record->kill_requested = false;
    record->changes = 0;
    ++info.restarts;
    starting_.insert(id);
    const auto ports = request.file.ports;
    record->starting = std::make_shared<Latch>(executor_);
    const auto started = co_await start_again(record, request);
    starting_.erase(id);
    const auto waits = std::exchange(record->starting, nullptr); // told when it is clear what came of it
    if (started) {
        waits->open();
        co_return;
    }
    spdlog::warn("container {}: cannot be started again: {}", id, started.error().text());
    take_back(record);
    co_await remove_cgroup(record);
    info.ports = ports;
    info.warnings.push_back("it could not be started again: " + started.error().text());
    info.exit = ExitInfo{125, 0, "start-failed"};
    info.exited_at = now_microseconds();
    events_.add("exit", id, info.name, {{"code", "125"}, {"reason", "start-failed"}});
    info.state = ContainerState::restarting;
    if (will_restart(*record, *info.exit)) {
        ++record->attempts;
        save_quietly(*record);
        schedule_restart(record);
    } else {
        give_up_restart(record);
    }
    waits->open();
}

} // namespace squish
