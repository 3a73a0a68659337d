#include "keeper/affinity.h"

#include "base/text.h"
#include "os/file.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <sys/syscall.h>
#include <unistd.h>

namespace squish::keeper {

namespace {

constexpr int kMaxDepth = 16;
constexpr int kMaxPasses = 32;
constexpr std::size_t kMaxText = 64 << 20; // of a cgroup with every pid there may be

struct CloseDir {
    void operator()(DIR* folder) const { ::closedir(folder); }
};

// What is gone when we look is no task of it any more: ENODEV of a cgroup that was removed while it was open.
bool is_gone(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ENODEV;
}

Result<void> collect(int cgroup, int depth, std::set<pid_t>& tasks) {
    const auto text = os::read_file_at(cgroup, "cgroup.threads", kMaxText);
    if (!text && !is_gone(text.error()))
        return std::unexpected(text.error());
    if (text)
        for (const auto line : split(*text, '\n'))
            if (const auto task = parse_number(line); task && *task > 0)
                tasks.insert(static_cast<pid_t>(*task));
    auto opened = os::open_at(cgroup, ".", O_RDONLY | O_DIRECTORY);
    if (!opened)
        return is_gone(opened.error()) ? Result<void>() : std::unexpected(opened.error());
    const std::unique_ptr<DIR, CloseDir> folder(::fdopendir(opened->get()));
    if (!folder)
        return fail_errno("list a cgroup");
    (void) opened->release();
    while (const auto* entry = ::readdir(folder.get())) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        const auto beneath = os::open_at(cgroup, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
        if (!beneath && is_gone(beneath.error()))
            continue;
        if (!beneath)
            return std::unexpected(beneath.error());
        if (depth == kMaxDepth)
            return fail_errno("cgroups too deep", ELOOP);
        TRY(collect(beneath->get(), depth + 1, tasks));
    }
    return {};
}

} // namespace

// A task inherits from the one that makes it: once a look finds none but those that have been set, all have been. One
// that forks faster than we look would keep us here for ever, hence the bound.
Result<void> set_affinity(int cgroup, const launch::CpuMask& cpus) {
    std::set<pid_t> done;
    Result<void> result;
    for (int pass = 0; pass < kMaxPasses; ++pass) {
        std::set<pid_t> tasks;
        TRY(collect(cgroup, 0, tasks));
        bool any = false;
        for (const auto task : tasks) {
            if (!done.insert(task).second)
                continue;
            any = true;
            if (::syscall(SYS_sched_setaffinity, task, cpus.size, cpus.bytes) < 0 && errno != ESRCH && result)
                result = fail_errno("sched_setaffinity");
        }
        if (!any)
            break;
    }
    return result;
}

} // namespace squish::keeper
