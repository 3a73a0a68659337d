#include "procview/processes.h"

#include "base/text.h"
#include "os/file.h"
#include "procview/clock.h"
#include "procview/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <string>

namespace squish::procview {

namespace {

constexpr std::size_t kMaxProcesses = 1 << 16;

// The names in a folder that are numbers, at most `limit`.
std::vector<pid_t> ids_in(int folder, const std::string& path, std::size_t limit) {
    std::vector<pid_t> ids;
    auto opened = os::open_at(folder, path, O_RDONLY | O_DIRECTORY);
    if (!opened)
        return ids;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(opened->get()), ::closedir);
    if (!entries)
        return ids;
    (void) opened->release();
    while (ids.size() < limit) {
        const auto* const entry = ::readdir(entries.get()); // NOLINT(concurrency-mt-unsafe): the stream is ours
        if (!entry)
            break;
        if (const auto id = parse_number(entry->d_name); id && *id > 0 && *id < 1U << 30)
            ids.push_back(static_cast<pid_t>(*id));
    }
    return ids;
}

std::optional<ProcessStat> stat_of(int proc, const std::string& path) {
    const auto text = read_once(proc, path + "/stat");
    return text ? parse_process_stat(*text) : std::nullopt;
}

// Counts states, and no more of them than kMaxTasksLookedAt.
class Census {
public:
    [[nodiscard]] bool full() const { return looked_ >= kMaxTasksLookedAt; }
    void add(const ProcessStat& stat) {
        ++looked_;
        running_ += is_running(stat.state) ? 1 : 0;
        blocked_ += is_blocked(stat.state) ? 1 : 0;
    }
    void note_age(pid_t pid, std::uint64_t started) {
        if (youngest_ == 0 || started > latest_ || (started == latest_ && pid > youngest_)) {
            youngest_ = pid;
            latest_ = started;
        }
    }
    [[nodiscard]] Tasks result(std::uint64_t count) const {
        Tasks tasks{count, running_, blocked_, youngest_};
        if (looked_ > 0 && count > looked_) {
            tasks.running = running_ * count / looked_;
            tasks.blocked = blocked_ * count / looked_;
        }
        return tasks;
    }

private:
    std::uint64_t looked_ = 0, running_ = 0, blocked_ = 0, latest_ = 0;
    pid_t youngest_ = 0;
};

} // namespace

void Processes::refresh() {
    const auto begin = now_ns();
    if (begin < good_until_)
        return;
    table_.clear();
    children_.clear();
    for (const auto pid : ids_in(proc_, ".", kMaxProcesses)) {
        const auto stat = stat_of(proc_, std::to_string(pid));
        if (!stat) // it has ended
            continue;
        table_.emplace(pid, *stat);
        children_.emplace(stat->parent, pid);
    }
    good_until_ = procview::good_until(begin, now_ns());
}

std::vector<pid_t> Processes::below(std::span<const pid_t> roots) const {
    // Each is taken once: the table was not read at one instant, so that parents can go round in a circle.
    std::set<pid_t> seen;
    std::vector<pid_t> found;
    for (const auto root : roots)
        if (root > 0 && table_.contains(root) && seen.insert(root).second)
            found.push_back(root);
    for (std::size_t next = 0; next < found.size(); ++next) {
        const auto [begin, end] = children_.equal_range(found[next]);
        for (auto child = begin; child != end; ++child)
            if (seen.insert(child->second).second)
                found.push_back(child->second);
    }
    return found;
}

ProcessSums Processes::sum(std::span<const pid_t> roots) {
    refresh();
    ProcessSums sums;
    Census census;
    std::uint64_t threads = 0;
    for (const auto pid : below(roots)) {
        const auto& stat = table_.at(pid);
        // Times of those that have ended are their parent's once it has waited for them: nobody is counted twice.
        sums.user += stat.user;
        sums.system += stat.system;
        sums.minor_faults += stat.minor_faults;
        sums.major_faults += stat.major_faults;
        threads += stat.threads;
        census.note_age(pid, stat.started);
        const auto path = std::to_string(pid);
        if (const auto text = read_once(proc_, path + "/statm")) {
            const auto pages = parse_statm(*text);
            sums.pages.resident += pages.resident;
            sums.pages.shared += pages.shared;
        }
        if (census.full())
            continue;
        if (stat.threads <= 1) {
            census.add(stat);
            continue;
        }
        const auto tasks = path + "/task";
        for (const auto thread : ids_in(proc_, tasks, kMaxTasksLookedAt)) {
            const auto found = stat_of(proc_, tasks + "/" + std::to_string(thread));
            if (!found)
                continue;
            census.note_age(thread, found->started);
            census.add(*found);
            if (census.full())
                break;
        }
    }
    sums.tasks = census.result(threads);
    return sums;
}

Tasks Processes::look_at(std::span<const pid_t> threads) const {
    Census census;
    for (const auto thread : threads) {
        if (census.full())
            break;
        const auto stat = stat_of(proc_, std::to_string(thread));
        if (!stat)
            continue;
        census.note_age(thread, stat->started);
        census.add(*stat);
    }
    return census.result(threads.size());
}

std::vector<pid_t> Processes::namespace_ids(pid_t pid) const {
    const auto status = pid > 0 ? read_once(proc_, std::to_string(pid) + "/status") : std::nullopt;
    return status ? parse_namespace_ids(*status) : std::vector<pid_t>();
}

} // namespace squish::procview
