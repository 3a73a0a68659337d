// Starting a container.
//
// How this works
//   1. check and plan (no side effects)           4. take a cell, make the state folder, clone the mounts (stager)
//   2. reserve the name                           6. hand the plan to the cell's init (keeper), wait for "started"
//   3. bind the published ports                   5. write the plan, let the forwarder accept
//   A failure at any step undoes the ones before: undo() is safe at every point.

#include "engine/begin.h"
#include "engine/explain.h"
#include "engine/impl.h"
#include "engine/layers.h"
#include "engine/own_ids.h"
#include "engine/processors.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"
#include "plan/launch_plan.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace squish {

using wire::Json;

namespace {

constexpr int kAttempts = 5; // to start a container, while helpers die under it
// Before the second attempt, four times as long before each further one: one that was killed takes connections until
// the kernel has closed its socket.
constexpr std::chrono::milliseconds kFirstPause{4};
constexpr std::chrono::milliseconds kRefillPause{
    20}; // for a container that lives; one that ends soon refills at its end

std::string command_line(const std::vector<std::string>& arguments) {
    return join(arguments, " ");
}

const char* mode_name(NetworkMode mode) {
    switch (mode) {
    case NetworkMode::bridge:
        return "bridge";
    case NetworkMode::none:
        return "none";
    case NetworkMode::host:
        return "host";
    }
    std::unreachable();
}

Json stage_request(const plan::ContainerPlan& plan) {
    Json mounts = Json::array();
    for (const auto& mount : plan.mounts)
        mounts.push_back({{"source", mount.source},
                          {"target", mount.target},
                          {"read_only", mount.read_only},
                          {"nested", mount.nested},
                          {"label", mount.layer.empty() ? "'" + mount.target + "'" : "[layers] " + mount.layer}});
    Json files = Json::array();
    for (const auto& [path, content] : plan.files)
        files.push_back({{"path", path}, {"content", content}});
    return {{"op", "stage"}, {"rootfs", plan.rootfs}, {"mounts", mounts}, {"folders", plan.folders}, {"files", files}};
}

// Those of the payload's streams that are logs.
std::vector<int> log_descriptors(const ContainerInfo& info, const AttachedIo& io) {
    std::vector<int> logs;
    if (!info.stdout_log.empty())
        logs.push_back(io.out.get());
    if (!info.stderr_log.empty())
        logs.push_back(io.err.get());
    return logs;
}

std::string microseconds(std::uint64_t from_ns, std::uint64_t to_ns) {
    return std::to_string(to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0);
}

struct Moments {
    std::uint64_t began, cell, staged, received, rooted, executed, told;
};
std::vector<std::pair<std::string, std::string>> timings(const Moments& at) {
    return {{"cell", microseconds(at.began, at.cell)},           {"mounts", microseconds(at.cell, at.staged)},
            {"hand_over", microseconds(at.staged, at.received)}, {"root", microseconds(at.received, at.rooted)},
            {"exec", microseconds(at.rooted, at.executed)},      {"report", microseconds(at.executed, at.told)},
            {"total", microseconds(at.began, at.told)}};
}

std::uint64_t monotonic_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

using Attributes = std::vector<std::pair<std::string, std::string>>;

// The launch plan and the descriptors that travel with it; `fds` borrows from the arguments and from `memfd`.
struct HandOver {
    launch::PlanBuilder steps;
    UniqueFd memfd;
    std::vector<int> fds;
};
Result<HandOver> make_hand_over(plan::ContainerPlan plan, const Record& record, const AttachedIo& io,
                                const wire::JsonMessage& staged) {
    const auto kinds = staged.body.find("kinds");
    if (kinds == staged.body.end() || !kinds->is_array() || kinds->size() != plan.mounts.size())
        return fail(ErrorKind::unavailable, "malformed answer of squish-stager");
    std::vector<bool> folders;
    for (const auto& kind : *kinds)
        folders.push_back(kind == "folder");
    plan.environment = record.environment;
    plan.view = record.view != 0;
    plan.affinity = affinity_text(parse_processors(record.info.procfs.cpus));
    if (record.filter)
        plan.filter = record.filter->flags;
    HandOver out;
    out.steps = plan::make_launch(plan, folders, {io.console.valid(), io.rows, io.columns});
    out.memfd = TRY(os::sealed_memfd("squish-plan", TRY(out.steps.bytes()), false));
    out.fds.push_back(out.memfd.get());
    for (const auto& fd : staged.fds)
        out.fds.push_back(fd.get());
    if (io.console)
        out.fds.push_back(io.console.get());
    else
        for (const auto* stream : {&io.in, &io.out, &io.err})
            out.fds.push_back(stream->get());
    for (std::size_t i = 0; i < record.info.ports.size(); ++i)
        if (record.info.ports[i].activation)
            out.fds.push_back(record.listeners[i].get());
    if (record.filter)
        out.fds.push_back(record.filter->program.get());
    if (out.fds.size() > os::kMaxFdsPerMessage)
        return fail(ErrorKind::invalid, "too many layers and sockets");
    return out;
}

} // namespace

Result<RecordPtr> Engine::Impl::reserve(const CreateRequest& request) {
    auto record = std::make_shared<Record>(executor_);
    auto& info = record->info;
    info.file = request.file;
    info.resources = request.file.resources;
    record->networks = TRY(networks_of(request.file));
    if (request.file.name) {
        if (const auto taken = names_.find(*request.file.name); taken != names_.end())
            return fail(ErrorKind::conflict,
                        "the name '" + printable(*request.file.name) + "' is taken by container " + taken->second,
                        "choose another, or remove it: squish rm " + *request.file.name);
        info.name = *request.file.name;
    } else {
        do
            info.name = generate_name();
        while (names_.contains(info.name));
    }
    do
        info.id = take_id(request);
    while (records_.contains(info.id));
    info.created_at = now_microseconds();
    info.network_mode = mode_name(request.file.network.mode);
    info.terminal = request.io.console.valid();
    info.attached = request.io.out || request.io.err || request.io.console;
    info.remove_on_exit = request.remove_on_exit;
    record->folder = paths_.containers() + "/" + info.id;
    records_[info.id] = record;
    names_[info.name] = info.id;
    return record;
}

Result<void> Engine::Impl::open_logs(Record& record, AttachedIo& io) {
    if (!io.in && !io.console)
        io.in = TRY(os::open_file("/dev/null", O_RDONLY));
    if (io.console)
        return {};
    // Opened again by the payload, whoever it is (/dev/stdout); the folder lets nobody else near.
    const mode_t mode = record.info.ids.own ? 0622 : 0600;
    const auto open_log = [&](UniqueFd& stream, const char* name, std::string& path) -> Result<void> {
        if (stream)
            return {};
        path = record.folder + "/" + name;
        stream = TRY(os::open_file(path, O_WRONLY | O_CREAT | O_APPEND, mode));
        if (::fchmod(stream.get(), mode) < 0) // whatever our umask
            return fail_errno("chmod '" + path + "'");
        return {};
    };
    TRY(open_log(io.out, "stdout.log", record.info.stdout_log));
    return open_log(io.err, "stderr.log", record.info.stderr_log);
}

Task<std::string> Engine::Impl::create(CreateRequest request) {
    if (shutting_down_)
        co_return fail(ErrorKind::unavailable, "squishd is stopping", "try again");
    CO_TRY(plan::refuse_unsupported(request.file, machine_));
    CO_TRY(check_restart(request));
    if (to_json(request.file).size() > kMaxSquishfileBytes) // it could not be read back from the state
        co_return fail(ErrorKind::invalid, "the squishfile is larger than 1 MiB");
    ProvideOptions options;
    options.lock = std::move(request.lock);
    options.lock_mode = request.lock_mode;
    CO_TRY_TO(const auto layers, co_await resolve(request.file, std::move(options), std::move(request.on_progress)));
    if (request.given_up && request.given_up())
        co_return fail(ErrorKind::unavailable, "the caller has gone");
    const InHand in_hand(layers_in_hand_, layers);
    for (int attempt = 1;; ++attempt) {
        CO_TRY_TO(auto record, reserve(request));
        starting_.insert(record->info.id);
        auto started = co_await start(record, request, layers);
        starting_.erase(record->info.id);
        if (started)
            co_return record->info.id;
        undo(record);
        // A helper that died in the middle is started again: the caller need not know.
        const bool again = started.error().kind == ErrorKind::unavailable && attempt < kAttempts && !shutting_down_;
        if (!again)
            co_return std::unexpected(std::move(started).error());
        asio::steady_timer pause(executor_, kFirstPause * (1 << (2 * (attempt - 1))));
        co_await pause.async_wait(kAwait);
        if (!record->info.stdout_log.empty()) // those were ours, and are gone with the folder
            request.io.out.reset();
        if (!record->info.stderr_log.empty())
            request.io.err.reset();
    }
}

Task<void> Engine::Impl::start(RecordPtr record, CreateRequest& request, const std::vector<ProvidedLayer>& layers) {
    auto& info = record->info;
    const auto began = monotonic_ns();
    // 1: decide
    CO_TRY(co_await check_limits(record));
    request.file.resources = info.resources;
    CO_TRY(co_await ground_->need_stager());
    const auto mode = request.file.network.mode;
    std::vector<std::uint32_t> networks;
    for (const auto& network : record->networks)
        networks.push_back(network.number);
    if (mode == NetworkMode::bridge)
        CO_TRY(co_await ground_->need_network(networks));
    machine_.single_id = ground_->facts().single_id;
    if (machine_.single_id)
        info.warnings.push_back(single_id_warning());
    if (mode == NetworkMode::host)
        info.warnings.emplace_back("[network] mode = \"host\": the container shares the host's network; it can reach "
                                   "everything on the host's loopback" +
                                   std::string(machine_.landlock >= plan::kLandlockScopes
                                                   ? ""
                                                   : ", and the host's abstract sockets, which Linux 6.12 and later "
                                                     "with Landlock would forbid"));
    auto machine = machine_;
    if (mode == NetworkMode::bridge)
        machine.resolv_conf = ground_->resolv_conf(networks.front());
    CO_TRY(plan::refuse_unsupported(request.file, machine_));
    std::vector<plan::Layer> planned;
    for (const auto& layer : layers) {
        planned.push_back(to_plan(layer));
        info.layers.push_back(to_info(layer));
    }
    const bool other_arguments = request.args.has_value();
    if (request.args && request.file.run) {
        request.file.run->args = *request.args;
    } else if (request.args) {
        CO_TRY_TO(request.file.run, plan::default_command(planned));
        request.file.run->args.insert(request.file.run->args.end(), request.args->begin(), request.args->end());
        request.args.reset(); // once is enough, however often the start is tried
    }
    if (other_arguments)
        info.file.run = request.file.run;
    CO_TRY_TO(const auto plan,
              plan::plan_container(request.file, planned, info.id, info.name, machine, record->folder));
    CO_TRY(choose_filter(*record, request.file.security));
    CO_TRY(choose_ids(*record, plan, request));
    CO_TRY(co_await choose_view(record));
    choose_cpus(*record);
    info.command = command_line(plan.arguments);
    record->environment = plan.environment;
    if (request.io.console &&
        !std::ranges::any_of(plan.environment, [](const auto& pair) { return pair.first == "TERM"; }))
        record->environment.emplace_back("TERM", "xterm");
    for (const auto& mount : plan.mounts)
        info.mounts.push_back({mount.source, mount.target, mount.layer, mount.read_only});
    info.mounts.insert(info.mounts.begin(), MountInfo{plan.rootfs, "/", plan.rootfs_layer, true});

    // 2, 3: what others could be in the way of
    CO_TRY(bind_ports(*record, request.file.ports));
    CellKind kind;
    kind.mode = mode;
    kind.networks = networks;
    kind.view = info.procfs.shown;
    kind.sysinfo = info.procfs.sysinfo;
    keep_for_restart(*record, request, layers);
    CO_TRY_TO(const auto limiting, co_await make_cgroup(record));
    kind.cgroup = record->cgroup.leaf();
    CO_TRY_TO(auto cell, co_await take_cell(record, std::move(kind)));
    if (info.ids.own)
        adapt_environment(request.file, record->environment);
    take_place(*record, std::move(cell.network));
    record->view = std::exchange(cell.view, 0);
    if (mode == NetworkMode::bridge && request.file.network.host_loopback)
        if (auto allowed = co_await ground_->allow_host_loopback(record->network.number); !allowed) {
            ground_->discard(std::move(cell));
            co_return std::unexpected(std::move(allowed).error());
        }
    const auto naming = begin(executor_, [this, record] { return add_names(record); });
    const auto cell_at = monotonic_ns();
    const auto prepared = [&]() -> Result<void> {
        TRY(os::make_dirs(record->folder));
        const auto folder = TRY(os::open_file(record->folder, O_PATH | O_DIRECTORY));
        const auto put = [&](const char* name, const std::string& text) -> Result<void> {
            const auto file = TRY(os::open_at(folder.get(), name, O_WRONLY | O_CREAT | O_EXCL, 0644));
            if (::fchmod(file.get(), 0644) < 0) // read by every id in the container, whatever our umask
                return fail_errno(std::string("chmod '") + name + "'");
            return os::write_all(file.get(), text);
        };
        for (const char* name : {"hosts", "hostname"}) // of an earlier run of the same container
            (void) ::unlinkat(folder.get(), name, 0);
        TRY(put("hosts", plan::hosts_file(plan, info.address)));
        TRY(put("hostname", plan.hostname + "\n"));
        TRY(open_logs(*record, request.io));
        return save(*record);
    }();
    if (!prepared) {
        ground_->discard(std::move(cell));
        co_return std::unexpected(prepared.error());
    }

    // 4: the mounts
    Result<wire::JsonMessage> staged = fail(ErrorKind::unavailable, "squish-stager is gone", "try again");
    if (auto* stager = ground_->stager())
        staged = co_await stager->ask(stage_request(plan));
    if (staged && staged->fds.size() != plan.mounts.size() + 1)
        staged = fail(ErrorKind::unavailable, "malformed answer of squish-stager");
    if (!staged) {
        ground_->discard(std::move(cell));
        auto error = std::move(staged).error();
        if (error.kind == ErrorKind::system)
            error.kind = ErrorKind::start_failed;
        co_return std::unexpected(std::move(error));
    }
    const auto staged_at = monotonic_ns();
    // 5: the plan
    auto hand_over = make_hand_over(plan, *record, request.io, *staged);
    if (!hand_over) {
        ground_->discard(std::move(cell));
        co_return std::unexpected(std::move(hand_over).error());
    }
    const auto& steps = hand_over->steps;
    if (auto named = co_await naming(); !named) {
        ground_->discard(std::move(cell));
        co_return std::unexpected(std::move(named).error());
    }
    if (auto limited = co_await limiting(); !limited) {
        ground_->discard(std::move(cell));
        co_return std::unexpected(std::move(limited).error());
    }
    // Published first: whoever connects before the payload listens is refused, and nothing is left to do once it runs.
    if (!info.ports.empty()) {
        if (auto published = co_await publish(record); !published) {
            ground_->discard(std::move(cell));
            co_return std::unexpected(std::move(published).error());
        }
    }

    // 6: from here on it lives or has failed
    show(*record, 0);
    KeeperClient::FailedStep failed;
    Result<Launched> launched = fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    if (auto* keeper = ground_->keeper())
        launched = co_await keeper->launch(info.id, cell.name, std::move(hand_over->fds), failed);
    if (!launched) {
        if (!failed.happened) {
            ground_->discard(std::move(cell));
            auto error = std::move(launched).error();
            if (error.sys_errno == ENOENT) // the cell has died, and the keeper knows it no more: another will do
                error.kind = ErrorKind::unavailable;
            co_return std::unexpected(std::move(error));
        }
        if (failed.step == ~0U && failed.error == ESRCH) // without a word: killed by somebody; another will do
            co_return fail(ErrorKind::unavailable, "the container's init has ended before the payload was started",
                           "try again");
        const auto ahead = cell.prelude.size();
        if (failed.step < ahead)
            co_return std::unexpected(explain_step(cell.prelude[failed.step], failed.error));
        const auto own = failed.step - ahead;
        if (own + 1 == steps.size())
            co_return std::unexpected(explain_run(plan.command, plan.work_folder, failed.error));
        co_return std::unexpected(
            explain_step(own < steps.size() ? steps.descriptions()[own] : "start the container", failed.error));
    }
    info.pid = launched->pid;
    show(*record, info.pid);
    info.started_at = now_microseconds();
    info.state = ContainerState::running;
    ++record->run;
    events_.add("start", info.id, info.name,
                info.restarts > 0 ? Attributes{{"restarts", std::to_string(info.restarts)}} : Attributes{});
    begin_health(record);
    if (info.resources.any())
        schedule_ahead(kRefillPause);
    info.timings = timings(Moments{began, cell_at, staged_at, launched->received_ns, launched->rooted_ns,
                                   launched->executed_ns, monotonic_ns()});

    if (auto logs = log_descriptors(info, request.io); !logs.empty() && ground_->keeper())
        (void) co_await ground_->keeper()->watch_log(info.id, config_.log_limit,
                                                     std::move(logs)); // ended already: nothing to watch
    // After the answer: what it adds to the state written before (the pid, the times) the keeper knows as well. One
    // that somebody waits for ends soon, as a rule, and then needs it no more.
    asio::co_spawn(
        executor_,
        [this, record]() -> asio::awaitable<void> {
            asio::steady_timer pause(executor_, record->info.attached ? kRefillPause : std::chrono::milliseconds(0));
            co_await pause.async_wait(kAwait);
            if (is_alive(record->info.state))
                save_quietly(*record);
        },
        asio::detached);
    // One that has ended already is told so after the answer to its start, which may want to look at it.
    if (const auto early = early_ends_.extract(info.id))
        asio::post(executor_, [this, id = info.id, status = early.mapped()] { on_exited(id, status); });
    ground_->refill(kRefillPause);
    co_return Result<void>{};
}

void Engine::Impl::take_back(const RecordPtr& record) {
    early_ends_.erase(record->info.id);
    for (const auto& listener : record->listeners)
        stop_listening(listener.get());
    record->listeners.clear();
    drop_view(*record);
    asio::co_spawn(executor_, leave_network(record, std::chrono::milliseconds(0)), asio::detached);
    if (ground_->keeper())
        ground_->keeper()->forget(record->info.id);
    ground_->refill(kRefillPause); // a start that failed used up a cell, too
}

// A start that failed leaves nothing: no name, no folder, no listener, no address.
void Engine::Impl::undo(const RecordPtr& record) {
    take_back(record);
    asio::co_spawn(executor_, remove_cgroup(record), asio::detached);
    record->info.exit = ExitInfo{125, 0, "start-failed"};
    record->ended.open();
    forget_record(record);
}

} // namespace squish
