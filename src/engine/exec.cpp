// A further process in a container that runs.

#include "engine/explain.h"
#include "engine/impl.h"
#include "engine/own_ids.h"
#include "engine/processors.h"

#include "base/text.h"
#include "os/file.h"
#include "plan/launch_plan.h"

#include <algorithm>
#include <fcntl.h>

namespace squish {

namespace {

// The plan and its descriptors; `fds` borrows from `filter` and `io`, which gets /dev/null for what the caller did not
// attach.
struct ExecHandOver {
    launch::PlanBuilder steps;
    UniqueFd memfd;
    std::vector<int> fds;
};
Result<ExecHandOver> make_exec_hand_over(const plan::ExecPlan& plan, AttachedIo& io, const seccomp::FilterPtr& filter) {
    ExecHandOver out;
    out.steps = plan::make_exec(plan, {io.console.valid(), io.rows, io.columns});
    out.memfd = TRY(os::sealed_memfd("squish-exec", TRY(out.steps.bytes()), false));
    out.fds.push_back(out.memfd.get());
    if (io.console) {
        out.fds.push_back(io.console.get());
    } else {
        for (auto* stream : {&io.in, &io.out, &io.err}) {
            if (!*stream)
                *stream = TRY(os::open_file("/dev/null", O_RDWR));
            out.fds.push_back(stream->get());
        }
    }
    if (filter)
        out.fds.push_back(filter->program.get());
    return out;
}

} // namespace

Task<std::string> Engine::Impl::exec(std::string id, ExecRequest request) {
    CO_TRY_TO(const auto record, get(id));
    if (!is_alive(record->info.state))
        co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' does not run");
    if (record->info.state == ContainerState::paused)
        co_return fail(ErrorKind::conflict, "container '" + printable(record->info.name) + "' is paused",
                       "let it go on first: squish unpause " + record->info.name);
    if (request.command.empty())
        co_return fail(ErrorKind::invalid, "no command given");
    plan::ExecPlan plan;
    plan.command = request.command;
    plan.environment = record->environment;
    const auto set = [&](const std::string& key, const std::string& value) {
        const auto known = std::ranges::find(plan.environment, key, &std::pair<std::string, std::string>::first);
        if (known != plan.environment.end())
            known->second = value;
        else
            plan.environment.emplace_back(key, value);
    };
    if (request.io.console)
        set("TERM", "xterm");
    for (const auto& [key, value] : request.env)
        set(key, value);
    const auto& run = record->info.file.run;
    plan.work_folder = request.workdir ? *request.workdir : run && run->workdir ? *run->workdir : "/";
    plan.user = request.user ? *request.user : run && run->user ? *run->user : UserSpec{};
    plan.own_keyring = plan::needs_keyring(record->info.file.security.seccomp);
    plan.capabilities = plan::capability_bits(record->info.file.security.capabilities);
    plan.network = record->info.file.network.mode;
    plan.machine = machine_;
    plan.sysinfo = record->info.procfs.sysinfo ? record->view : 0;
    plan.affinity = affinity_text(parse_processors(record->info.procfs.cpus));
    if (machine_.single_id && (plan.user.uid != 0 || plan.user.gid != 0))
        co_return fail(ErrorKind::unsupported, "only one id is mapped for this account: no other user can be had",
                       "give it a range in /etc/subuid and /etc/subgid");
    if (record->info.ids.own) {
        CO_TRY(check_own_ids(plan.user));
        open_pipes_to_all(request.io);
    }

    CO_TRY_TO(const auto filter, filter_of(*record)); // never less confined than the container
    if (filter)
        plan.filter = filter->flags;
    CO_TRY_TO(auto hand_over, make_exec_hand_over(plan, request.io, filter));
    const auto& steps = hand_over.steps;

    const auto exec_id = std::string(kExecPrefix) + random_hex(8);
    auto exec = std::make_shared<Exec>(executor_);
    execs_[exec_id] = exec; // before the start: its end may be told first
    KeeperClient::FailedStep failed;
    Result<Launched> launched = fail(ErrorKind::unavailable, "the keeper is gone", "try again");
    if (auto* keeper = ground_->keeper())
        launched = co_await keeper->exec(id, exec_id, std::move(hand_over.fds), failed);
    if (!launched) {
        execs_.erase(exec_id);
        if (!failed.happened) {
            auto error = std::move(launched).error();
            error.kind = ErrorKind::start_failed;
            co_return std::unexpected(std::move(error).within("exec in '" + printable(record->info.name) + "'"));
        }
        if (failed.step + 1 == steps.size())
            co_return std::unexpected(explain_run(plan.command.front(), plan.work_folder, failed.error));
        co_return std::unexpected(explain_step(
            failed.step < steps.size() ? steps.descriptions()[failed.step] : "join the container", failed.error));
    }
    if (execs_.contains(exec_id)) { // it has not ended yet
        exec->view = record->view;
        exec->pid = launched->pid;
        show_exec(exec->view, 0, exec->pid);
    }
    co_return exec_id;
}

Task<ExitInfo> Engine::Impl::wait_exec(std::string id) {
    for (const auto& [ended, exit] : recent_ends_)
        if (ended == id)
            co_return exit;
    const auto found = execs_.find(id);
    if (found == execs_.end())
        co_return fail(ErrorKind::not_found, "no exec '" + printable(id) + "'");
    const auto exec = found->second;
    co_await exec->ended.wait();
    co_return *exec->exit;
}

Task<void> Engine::Impl::kill_exec(std::string id, int number) {
    if (!execs_.contains(id) || !ground_->keeper())
        co_return fail(ErrorKind::not_found, "no exec '" + printable(id) + "'");
    co_return co_await ground_->keeper()->signal(id, number);
}

} // namespace squish
