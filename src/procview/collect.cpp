#include "procview/collect.h"

#include "os/file.h"
#include "procfs/tree.h"
#include "procview/cgroups.h"
#include "procview/clock.h"
#include "procview/load.h"
#include "procview/processes.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <map>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace squish::procview {

using procfs::View;
using procshare::Facts;
using procshare::Key;

namespace {

constexpr std::size_t kMaxTexts = 32; // of the host that are kept open
constexpr std::uint64_t kLoadWatched = 15 * 60 * kSecond;

std::string_view cgroup_of(const Facts& facts) {
    const std::string_view all(facts.cgroup.data(), facts.cgroup.size());
    return all.substr(0, all.find('\0'));
}

procfs::CpuSet cpus_of(const Facts& facts) {
    static_assert(procshare::kCpuWords * 64 == procfs::kMaxCpus);
    procfs::CpuSet cpus;
    for (std::size_t i = 0; i < procfs::kMaxCpus; ++i)
        if (facts.cpus[i / 64] >> i % 64 & 1)
            cpus.set(i);
    return cpus;
}

// What was found out about one container, for as long as it is good.
struct Seen {
    ProcessSums sums;
    std::uint64_t sums_until = 0;
    Tasks tasks; // of a cgroup
    std::uint64_t tasks_until = 0;
    std::uint64_t user_us = 0, system_us = 0; // the most that was ever shown: a process may end unwaited for
    std::size_t pid_level = 0;                // which of the ids of a process is the container's own; 0: not known yet
    std::uint64_t last_pid = 0;
    pid_t last_pid_of = 0;
};

struct WatchedLoad {
    Facts facts;
    LoadAverage average;
    std::uint64_t asked = 0, sampled = 0;
};

} // namespace

struct Collector::Body {
    DirFd proc, sys;
    Processes processes;
    Cgroups cgroups;
    std::map<std::string, KeptFile, std::less<>> texts;
    std::map<Key, Seen> seen;
    std::map<Key, WatchedLoad> loads;
    procfs::CpuSet online;
    std::uint64_t host_memory = 0, host_swap = 0;
    std::uint64_t online_until = 0, host_sizes_until = 0;
    std::uint64_t ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    std::uint64_t page = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_PAGESIZE)));

    Body(DirFd proc_folder, DirFd sys_folder, DirFd cgroup_folder)
        : proc(std::move(proc_folder)), sys(std::move(sys_folder)), processes(proc.get()),
          cgroups(std::move(cgroup_folder)) {}

    std::string host_text(std::string_view path) {
        constexpr std::string_view kProc = "/proc/", kSys = "/sys/";
        if (path.starts_with(kSys))
            return read_once(sys.get(), std::string(path.substr(kSys.size()))).value_or("");
        if (!path.starts_with(kProc))
            return {};
        const std::string name(path.substr(kProc.size()));
        auto known = texts.find(name);
        if (known == texts.end()) {
            if (texts.size() >= kMaxTexts)
                return read_once(proc.get(), name).value_or("");
            known = texts.emplace(name, KeptFile()).first;
        }
        return known->second.read(proc.get(), name.c_str()).value_or("");
    }

    const procfs::CpuSet& online_cpus(std::uint64_t now) {
        if (now >= online_until) {
            online = procfs::parse_cpu_list(host_text("/sys/devices/system/cpu/online"));
            if (online.none())
                online.set(0);
            online_until = now + kSecond;
        }
        return online;
    }

    void refresh_host_sizes(std::uint64_t now) {
        if (now < host_sizes_until)
            return;
        const auto text = host_text("/proc/meminfo");
        host_memory = parse_meminfo(text, "MemTotal:");
        host_swap = parse_meminfo(text, "SwapTotal:");
        host_sizes_until = now + kSecond;
    }

    Seen& seen_of(Key key) {
        if (seen.size() >= procshare::kMaxViews && !seen.contains(key))
            seen.erase(seen.begin());
        return seen[key];
    }

    const ProcessSums& sums_of(const Facts& facts, Seen& known) {
        if (const auto begin = now_ns(); begin >= known.sums_until) {
            const std::vector<pid_t> roots(facts.roots.begin(), facts.roots.end());
            known.sums = processes.sum(roots);
            known.sums_until = good_until(begin, now_ns());
            known.user_us = std::max(known.user_us, known.sums.user * 1'000'000 / ticks);
            known.system_us = std::max(known.system_us, known.sums.system * 1'000'000 / ticks);
        }
        return known.sums;
    }

    const Tasks& tasks_of(const Facts& facts, CgroupFiles* files, Seen& known) {
        if (!files)
            return sums_of(facts, known).tasks;
        if (const auto begin = now_ns(); begin >= known.tasks_until) {
            if (const auto threads = files->threads(); !threads.empty())
                known.tasks = processes.look_at(threads);
            known.tasks_until = good_until(begin, now_ns());
        }
        return known.tasks;
    }

    // The number that the container itself knows its youngest process by.
    std::uint64_t last_pid(const Facts& facts, const Tasks& tasks, Seen& known) {
        if (tasks.youngest == known.last_pid_of)
            return known.last_pid;
        if (known.pid_level == 0)
            known.pid_level = processes.namespace_ids(facts.roots[0]).size();
        if (const auto ids = processes.namespace_ids(tasks.youngest);
            known.pid_level > 0 && ids.size() >= known.pid_level) {
            known.last_pid = static_cast<std::uint64_t>(ids[known.pid_level - 1]);
            known.last_pid_of = tasks.youngest;
        }
        return known.last_pid;
    }

    void add_memory(View& view, const Facts& facts, CgroupFiles* files, Seen& known, std::uint64_t now) {
        refresh_host_sizes(now);
        auto& limits = view.own.limits;
        auto& usage = view.own.usage;
        if (files && files->has_memory()) {
            files->read_memory(usage);
            const auto above = cgroups.limits_above(files->path());
            limits.memory = files->memory_limit();
            if (above.memory)
                limits.memory = std::min(*above.memory, limits.memory.value_or(UINT64_MAX));
            limits.swap =
                std::min({files->swap_limit().value_or(UINT64_MAX), above.swap.value_or(UINT64_MAX), host_swap});
        } else if (facts.memory != 0) {
            const auto& sums = sums_of(facts, known);
            usage.memory = sums.pages.resident * page;
            usage.anon = usage.active_anon = (sums.pages.resident - sums.pages.shared) * page;
            // Programs' own files count as used, not as cache, which others could take.
            usage.file_mapped = sums.pages.shared * page;
            usage.page_faults = sums.minor_faults + sums.major_faults;
            usage.major_faults = sums.major_faults;
            limits.swap = 0; // nobody knows what of it is its own
        }
        // A limit that the kernel enforces is what there is; the figure is for where none stands.
        if (!limits.memory && facts.memory != 0)
            limits.memory = facts.memory;
        if (limits.memory && host_memory > 0)
            limits.memory = std::min(*limits.memory, host_memory);
    }

    void add_load(View& view, const Facts& facts, CgroupFiles* files, Seen& known, std::uint64_t now) {
        auto found = loads.find(facts.key);
        if (found == loads.end()) {
            if (loads.size() >= procshare::kMaxViews)
                loads.erase(loads.begin());
            found = loads.emplace(facts.key, WatchedLoad()).first;
            // Nobody counted until now: as if it had been doing since its start what it does now.
            const auto& tasks = tasks_of(facts, files, known);
            found->second.average.add(tasks.running + tasks.blocked, view.uptime_ns / LoadAverage::kInterval);
            found->second.sampled = now;
        }
        found->second.facts = facts;
        found->second.asked = now;
        view.own.load = found->second.average.in_hundredths();
    }

    void sample_loads(std::uint64_t now) {
        std::erase_if(loads, [&](const auto& entry) { return now - entry.second.asked > kLoadWatched; });
        for (auto& [key, load] : loads) {
            const auto intervals = (now - load.sampled) / LoadAverage::kInterval;
            if (intervals == 0)
                continue;
            load.sampled += intervals * LoadAverage::kInterval;
            const auto& tasks = tasks_of(load.facts, cgroups.find(key, cgroup_of(load.facts)), seen_of(key));
            load.average.add(tasks.running + tasks.blocked, intervals);
        }
    }
};

Collector::Collector(std::unique_ptr<Body> body) : body_(std::move(body)) {}
Collector::Collector(Collector&&) noexcept = default;
Collector& Collector::operator=(Collector&&) noexcept = default;
Collector::~Collector() = default;

Result<Collector> Collector::open(std::string proc, std::string sys, std::string cgroup) {
    DirFd proc_folder(TRY(os::open_file(proc, O_PATH | O_DIRECTORY)));
    DirFd sys_folder(TRY(os::open_file(sys, O_PATH | O_DIRECTORY)));
    auto cgroup_folder = os::open_file(cgroup, O_PATH | O_DIRECTORY);
    return Collector(std::make_unique<Body>(std::move(proc_folder), std::move(sys_folder),
                                            cgroup_folder ? DirFd(*std::move(cgroup_folder)) : DirFd()));
}

View Collector::view(const Facts& facts, std::uint32_t needs) {
    const auto now = now_ns();
    View view;
    view.ticks_per_second = static_cast<std::uint32_t>(body_->ticks);
    view.page_size = body_->page;
    view.host_cpus = body_->online_cpus(now);
    view.uptime_ns = facts.started_ns != 0 && now > facts.started_ns ? now - facts.started_ns : 0;
    view.started_at = facts.started_at / 1'000'000;
    auto& own = view.own;
    own.limits.cpus = cpus_of(facts) & view.host_cpus;
    if (own.limits.cpus.none())
        own.limits.cpus = view.host_cpus;

    const auto path = cgroup_of(facts);
    auto* const files = body_->cgroups.find(facts.key, path);
    const bool figures = facts.memory != 0 || facts.own_cpus != 0;
    // A cgroup that cannot be opened is gone: zero, and nothing of the host.
    const bool gone = !path.empty() && !files;
    view.own_memory = facts.memory != 0 || gone || (files && files->has_memory());
    view.own_usage = figures || gone || files;
    own.limits.own_cpus = facts.own_cpus != 0 || files;

    auto& known = body_->seen_of(facts.key);
    if (needs & procfs::kMemory && view.own_memory)
        body_->add_memory(view, facts, files, known, now);
    if (needs & procfs::kCpu && files) {
        files->read_cpu(own.usage);
    } else if (needs & procfs::kCpu && figures) {
        (void) body_->sums_of(facts, known);
        own.usage.cpu_user_us = known.user_us;
        own.usage.cpu_system_us = known.system_us;
    }
    if (needs & procfs::kTasks) {
        const auto& tasks = body_->tasks_of(facts, files, known);
        own.usage.tasks = tasks.count;
        own.usage.running = std::max<std::uint64_t>(tasks.running, 1); // whoever asks
        own.usage.blocked = tasks.blocked;
        own.last_pid = body_->last_pid(facts, tasks, known);
    }
    if (needs & procfs::kDevices && files)
        own.devices = files->devices();
    if (needs & procfs::kLoad && view.own_usage)
        body_->add_load(view, facts, files, known, now);
    if (needs & procfs::kPressure && files)
        files->read_pressure(own);
    return view;
}

std::string Collector::host_text(const std::string& path) {
    return body_->host_text(path);
}

void Collector::tick() {
    body_->sample_loads(now_ns());
}

bool Collector::watches_load() const {
    return !body_->loads.empty();
}

void Collector::forget(Key key) {
    body_->cgroups.forget(key);
    body_->seen.erase(key);
    body_->loads.erase(key);
}

} // namespace squish::procview
