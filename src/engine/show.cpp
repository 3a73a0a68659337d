// What a container is shown of the machine (/proc, /sys, sysinfo(2)), and which CPUs it runs on.

#include "engine/impl.h"
#include "engine/processors.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <spdlog/spdlog.h>

namespace squish {

namespace {

constexpr std::string_view kCgroups = "/sys/fs/cgroup"; // where the servers look for them

std::uint64_t boot_clock_ns() {
    timespec now{};
    (void) ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Of a cgroup's folder, where the servers look for it: below the mount of version 2 ("unified" beside those of version
// 1).
std::string below_mount(std::string_view folder) {
    folder.remove_prefix(std::min(kCgroups.size(), folder.size()));
    if (constexpr std::string_view kUnified = "/unified"; folder.starts_with("/unified/"))
        folder.remove_prefix(kUnified.size());
    return std::string(folder);
}

bool has_figures(const ProcfsSpec& procfs) {
    return procfs.memory || procfs.cpus;
}

// "0-2,5"
std::string list_of(const Processors& processors) {
    std::string out;
    for (std::size_t cpu = 0; cpu < processors.size(); ++cpu) {
        if (!processors[cpu])
            continue;
        auto last = cpu;
        while (last + 1 < processors.size() && processors[last + 1])
            ++last;
        out += (out.empty() ? "" : ",") + std::to_string(cpu) + (last > cpu ? "-" + std::to_string(last) : "");
        cpu = last;
    }
    return out;
}

bool limits_cpus(const ResourceSpec& resources, const ProcfsSpec& procfs) {
    return resources.cpus || resources.cpuset || procfs.cpus;
}

} // namespace

// Should: say before anything is done whether it can be had. Where nobody asked for it by name, a container without it
// is better than none: it says so.
Task<void> Engine::Impl::choose_view(RecordPtr record) {
    auto& info = record->info;
    const auto& procfs = info.file.procfs;
    info.procfs = {};
    if (procfs.mode == ProcfsSpec::Mode::host) {
        info.procfs.why = "[procfs] mode = \"host\"";
        co_return Result<void>{};
    }
    auto up = co_await ground_->need_views();
    if (!up && (procfs.mode_given || has_figures(procfs) || up.error().kind != ErrorKind::unsupported))
        co_return std::unexpected(std::move(up).error().within("[procfs]"));
    if (!up) {
        info.procfs.why = up.error().text();
        info.warnings.push_back("/proc and /sys show the host's figures, whatever the limits: " + info.procfs.why);
        co_return Result<void>{};
    }
    info.procfs.shown = true;
    if (info.file.security.seccomp == "unconfined")
        info.procfs.why = "sysinfo(2): [security] seccomp = \"unconfined\"";
    else if (const auto listeners = check_listeners(); !listeners)
        info.procfs.why = "sysinfo(2): " + listeners.error().text();
    info.procfs.sysinfo = info.procfs.why.empty();
    co_return Result<void>{};
}

// By its limits, else by the figures that it is to be shown; empty: all.
void Engine::Impl::choose_cpus(Record& record) {
    auto& info = record.info;
    const auto& resources = info.resources;
    info.procfs.cpus.clear();
    if (!limits_cpus(resources, info.file.procfs))
        return;
    auto allowed = own_processors();
    if (resources.cpuset)
        if (const auto set = allowed & parse_processors(*resources.cpuset); set.any())
            allowed = set;
    std::vector<procshare::Key> others;
    for (const auto& [id, other] : records_)
        if (other.get() != &record && other->view != 0)
            others.push_back(other->view);
    const auto* const views = ground_->views();
    const auto load = views ? views->load(others) : std::vector<unsigned>();
    const auto quota = resources.cpus ? resources.cpus : resources.cpuset ? std::nullopt : info.file.procfs.cpus;
    const auto chosen = quota ? choose_processors(allowed, *quota, load) : allowed;
    if (chosen != own_processors())
        info.procfs.cpus = list_of(chosen);
}

// What its view says from now on. `pid`: of its init; 0: it is about to start.
void Engine::Impl::show(const Record& record, pid_t pid) {
    auto* const views = ground_->views();
    if (record.view == 0 || !views)
        return;
    const auto& info = record.info;
    auto facts = views->get(record.view).value_or(procshare::Facts{});
    facts.key = record.view;
    if (facts.started_ns == 0) {
        facts.started_ns = boot_clock_ns();
        facts.started_at = now_microseconds();
    }
    facts.memory = info.file.procfs.memory.value_or(0);
    facts.own_cpus = limits_cpus(info.resources, info.file.procfs) ? 1 : 0;
    facts.cpus = {};
    const auto cpus = parse_processors(info.procfs.cpus);
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu)
        if (cpus[cpu])
            facts.cpus[cpu / 64] |= std::uint64_t{1} << (cpu % 64);
    if (pid != 0)
        facts.roots[0] = pid;
    facts.cgroup = {};
    if (record.cgroup) {
        auto path = below_mount(info.cgroup);
        path += std::string("/") + limits::kPayload;
        if (info.cgroup.starts_with(kCgroups) && path.size() < facts.cgroup.size())
            std::memcpy(facts.cgroup.data(), path.data(), path.size());
        else // sums over its processes are shown
            spdlog::warn("container {}: its cgroup '{}' cannot be shown", info.id, info.cgroup);
    }
    views->put(facts);
}

// A process that `exec` starts is no child of the container's init, and has ended or begins to count.
void Engine::Impl::show_exec(procshare::Key view, pid_t ended, pid_t begun) {
    auto* const views = ground_->views();
    auto facts = views && view != 0 ? views->get(view) : std::nullopt;
    if (!facts)
        return;
    const auto slot = std::ranges::find(facts->roots, ended);
    if (slot == facts->roots.end()) // more than are counted
        return;
    *slot = begun;
    views->put(*facts);
}

// After a restart of squishd: processes that ended meanwhile count no more, since others may get their numbers.
void Engine::Impl::show_again(const Record& record, const std::set<pid_t>& alive) {
    auto* const views = ground_->views();
    auto facts = views && record.view != 0 ? views->get(record.view) : std::nullopt;
    if (!facts)
        return;
    for (auto& root : facts->roots)
        if (!alive.contains(root))
            root = 0;
    views->put(*facts);
}

std::vector<procshare::Key> Engine::Impl::views_in_use() const {
    std::vector<procshare::Key> keys;
    for (const auto& [id, record] : records_)
        if (record->view != 0 && record->info.state != ContainerState::exited)
            keys.push_back(record->view);
    return keys;
}

void Engine::Impl::drop_view(Record& record) {
    ground_->remove_view(std::exchange(record.view, 0));
}

// Other limits: the CPUs that it runs on and is shown, all at once or not at all.
Task<void> Engine::Impl::rebind_cpus(RecordPtr record) {
    auto& info = record->info;
    const auto before = info.procfs.cpus;
    choose_cpus(*record);
    if (info.procfs.cpus != before) {
        const auto wanted = info.procfs.cpus.empty() ? own_processors() : parse_processors(info.procfs.cpus);
        Result<void> bound = fail(ErrorKind::unavailable, "the keeper is gone", "try again");
        if (auto* keeper = ground_->keeper())
            bound = co_await keeper->affinity(info.id, affinity_text(wanted));
        if (!bound) {
            info.procfs.cpus = before;
            co_return std::unexpected(std::move(bound).error().within("CPUs to run on"));
        }
    }
    show(*record, 0);
    co_return Result<void>{};
}

} // namespace squish
