#include "limits/cgroup.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace squish::limits {

namespace {

constexpr std::uint64_t kInside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr int kKillRounds = 64; // each finds what was forked during the one before

Result<DirFd> open_child(int folder, const std::string& name) {
    return DirFd(TRY(os::open_beneath(folder, name, O_RDONLY | O_DIRECTORY, kInside)));
}

Result<void> make_child(int folder, const char* name) {
    if (::mkdirat(folder, name, 0755) < 0 && errno != EEXIST)
        return fail_errno(std::string("make cgroup '") + name + "'");
    // squishd's umask is for files; a container with ids of its own reads this folder as "others" do.
    if (::fchmodat(folder, name, 0755, 0) < 0)
        return fail_errno(std::string("open cgroup '") + name + "' to readers");
    return {};
}

Result<void> check_filesystem(int folder, const std::string& path, Filesystem on) {
    if (on == Filesystem::any)
        return {};
    struct statfs info{};
    if (::fstatfs(folder, &info) < 0)
        return fail_errno("statfs '" + printable(path) + "'");
    if (info.f_type != CGROUP2_SUPER_MAGIC)
        return fail(ErrorKind::unsupported, "'" + printable(path) + "' is no cgroup of version 2");
    return {};
}

// The processes that a scope was made with: none may stay in a cgroup that gives its controllers on
// (cgroups(7), "no internal processes").
Result<void> move_to_anchor(int outer) {
    const auto processes = TRY(processes_in(outer));
    if (processes.empty())
        return {};
    TRY(make_child(outer, kAnchor));
    const auto anchor = TRY(open_child(outer, kAnchor));
    for (const auto process : processes) {
        auto moved = write_value(anchor.get(), "cgroup.procs", std::to_string(process));
        if (!moved && moved.error().sys_errno != ESRCH) // it has ended
            return std::unexpected(std::move(moved).error().within("move process " + std::to_string(process)));
    }
    return {};
}

// What io.max says of the device that `value` begins with: the other lines are other devices'.
std::string line_of_device(const std::string& old, const std::string& value) {
    const auto device = value.substr(0, value.find(' '));
    for (const auto line : split(old, '\n'))
        if (line.starts_with(device + " "))
            return std::string(line);
    return device + " rbps=max wbps=max riops=max wiops=max";
}

// A cgroup with processes cannot go back to no cpuset of its own (ENOSPC; kernel/cgroup/cpuset.c, validate_change()):
// all processors there can be are the same to it, whatever its parent has.
Result<void> write_setting(int folder, const std::string& file, const std::string& value) {
    auto written = write_value(folder, file, value);
    if (!written && written.error().sys_errno == ENOSPC && file == "cpuset.cpus" && value.empty())
        return write_value(folder, file, possible_cpus());
    return written;
}

struct Written {
    const Setting* setting;
    std::string old;
};

void put_back(int folder, const std::vector<Written>& written) {
    for (auto one = written.rbegin(); one != written.rend(); ++one)
        (void) write_setting(folder, one->setting->file,
                             one->setting->file == "io.max" ? line_of_device(one->old, one->setting->value) : one->old);
}

Error explain(Error error, const Setting& setting) {
    const auto what = "[resources] " + setting.key + ": '" + printable(setting.value) + "' in " + setting.file + ": ";
    switch (error.sys_errno) {
    case ENOENT:
        return {
            ErrorKind::unsupported, "[resources] " + setting.key + ": this kernel has no " + setting.file, {}, ENOENT};
    case ERANGE:
        if (setting.controller == Controller::cpuset) // beyond all that can ever be there
            return {ErrorKind::unsupported,
                    "[resources] cpuset: '" + printable(setting.value) + "': this machine has no such processor",
                    {},
                    ERANGE};
        [[fallthrough]];
    case EINVAL:
    case ENODEV:
    case EOVERFLOW:
    case EOPNOTSUPP:
        return {ErrorKind::invalid, what + errno_text(error.sys_errno), {}, error.sys_errno};
    default:
        error.message = what + error.message;
        return error;
    }
}

// Signals go by pidfd, and only to those that are still listed once it is open: a number may be another's by then.
Result<std::size_t> kill_once(int folder) {
    std::vector<std::pair<pid_t, Pidfd>> found;
    const auto listed = TRY(processes_in(folder));
    for (const auto process : listed)
        if (process > 0)
            if (auto pidfd = os::open_pidfd(process))
                found.emplace_back(process, *std::move(pidfd));
    const auto still = TRY(processes_in(folder));
    for (const auto& [process, pidfd] : found)
        if (std::ranges::find(still, process) != still.end())
            if (auto sent = os::send_signal(pidfd.get(), SIGKILL); !sent && sent.error().sys_errno != ESRCH)
                return std::unexpected(std::move(sent).error().within("kill process " + std::to_string(process)));
    auto count = still.size();
    const auto names = TRY(children_of(folder));
    for (const auto& name : names) {
        const auto child = open_child(folder, name);
        if (!child)
            continue;
        const auto beneath = TRY(kill_once(child->get()));
        count += beneath;
    }
    return count;
}

// The folder's name within `parent`, and what is left to remove in it.
struct Level {
    std::string name;
    std::vector<std::string> left;
};

} // namespace

Result<DirFd> open_folder(const std::string& path, Filesystem on) {
    DirFd folder(
        TRY(os::open_beneath(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)));
    TRY(check_filesystem(folder.get(), path, on));
    return folder;
}

Result<Cgroup> Cgroup::open(const std::string& path, Filesystem on) {
    Cgroup cgroup;
    cgroup.path_ = path;
    cgroup.outer_ = TRY(open_folder(path, on));
    cgroup.leaf_ = TRY(open_child(cgroup.outer_.get(), kPayload));
    return cgroup;
}

Result<Cgroup> Cgroup::make_inner(const std::string& path, const Controllers& controllers, Filesystem on) {
    Cgroup cgroup;
    cgroup.path_ = path;
    cgroup.outer_ = TRY(open_folder(path, on));
    TRY(move_to_anchor(cgroup.outer_.get()));
    TRY(enable(cgroup.outer_.get(), controllers));
    TRY(make_child(cgroup.outer_.get(), kPayload));
    cgroup.leaf_ = TRY(open_child(cgroup.outer_.get(), kPayload));
    return cgroup;
}

Result<void> apply(int folder, const std::vector<Setting>& settings) {
    std::vector<Written> written;
    for (const auto& setting : settings) {
        auto old = read_value(folder, setting.file);
        if (!old && old.error().sys_errno == ENOENT && setting.optional)
            continue;
        Result<void> done =
            old ? write_setting(folder, setting.file, setting.value) : Result<void>(std::unexpected(old.error()));
        if (!done) {
            put_back(folder, written);
            return std::unexpected(explain(std::move(done).error(), setting));
        }
        written.push_back({&setting, *std::move(old)});
    }
    return {};
}

Result<void> enable(int folder, const Controllers& controllers) {
    if (controllers.empty())
        return {};
    const auto text = TRY(read_value(folder, "cgroup.subtree_control"));
    const auto on = parse_controllers(text);
    for (const auto controller : controllers) {
        if (on.contains(controller))
            continue;
        const std::string name = to_string(controller);
        auto enabled = write_value(folder, "cgroup.subtree_control", "+" + name);
        if (enabled)
            continue;
        auto error = std::move(enabled).error();
        if (error.sys_errno == ENOENT) // not in cgroup.controllers
            return fail(ErrorKind::unsupported, "the controller '" + name + "' is not delegated to it");
        return std::unexpected(std::move(error).within("enable the controller '" + name + "'"));
    }
    return {};
}

Result<bool> is_frozen(int folder) {
    const auto text = TRY(read_value(folder, "cgroup.freeze"));
    return parse_number(text) == 1U;
}

Result<void> kill_all(int folder) {
    auto killed = write_value(folder, "cgroup.kill", "1");
    if (killed || killed.error().sys_errno != ENOENT)
        return killed;
    (void) write_value(folder, "cgroup.freeze", "1"); // Linux 5.2; those that are frozen fork no more, and die
    for (int round = 0; round < kKillRounds; ++round) {
        const auto left = TRY(kill_once(folder));
        if (left == 0)
            break;
    }
    (void) write_value(folder, "cgroup.freeze", "0");
    return {};
}

Result<void> remove_tree(const std::string& path, Filesystem on) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos || slash + 1 == path.size())
        return fail_errno("remove cgroup '" + printable(path) + "'", EINVAL);
    auto opened = open_folder(path, on);
    if (!opened && (opened.error().sys_errno == ENOENT || opened.error().sys_errno == ENODEV))
        return {};
    auto folder = TRY(std::move(opened));
    // Deepest first, with one descriptor, however deep a payload has built: cgroups are never moved, so ".." leads
    // back to where we came from.
    std::vector<Level> levels;
    auto beneath = TRY(children_of(folder.get()));
    levels.push_back({path.substr(slash + 1), std::move(beneath)});
    for (;;) {
        auto& level = levels.back();
        if (!level.left.empty()) {
            auto name = std::move(level.left.back());
            level.left.pop_back();
            auto child = open_child(folder.get(), name);
            if (!child)
                continue; // gone meanwhile, or else the rmdir(2) above it says so
            folder = *std::move(child);
            beneath = TRY(children_of(folder.get()));
            levels.push_back({std::move(name), std::move(beneath)});
            continue;
        }
        auto parent = TRY(os::open_at(folder.get(), "..", O_RDONLY | O_DIRECTORY));
        folder = DirFd(std::move(parent));
        if (::unlinkat(folder.get(), level.name.c_str(), AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENODEV)
            return fail_errno("remove cgroup '" + printable(level.name) + "'");
        levels.pop_back();
        if (levels.empty())
            return {};
    }
}

Result<std::vector<pid_t>> processes_in(int folder) {
    std::vector<pid_t> processes;
    const auto text = TRY(read_value(folder, "cgroup.procs"));
    for (const auto line : split(text, '\n'))
        if (const auto number = parse_number(line); number && *number <= INT32_MAX)
            processes.push_back(static_cast<pid_t>(*number));
    return processes;
}

Result<std::vector<std::string>> children_of(int folder) {
    auto copy = TRY(os::open_at(folder, ".", O_RDONLY | O_DIRECTORY)); // readdir(3) moves its offset
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
    if (!stream)
        return fail_errno("read cgroup folder");
    (void) copy.release();
    std::vector<std::string> names;
    while (const auto* entry = ::readdir(stream.get()))
        if (entry->d_type == DT_DIR && std::string_view(entry->d_name) != "." &&
            std::string_view(entry->d_name) != "..")
            names.emplace_back(entry->d_name);
    return names;
}

Result<std::string> read_value(int folder, const std::string& file) {
    const auto fd = TRY(os::open_beneath(folder, file, O_RDONLY, kInside));
    auto text = os::read_all(fd.get(), kMaxFileBytes);
    if (!text)
        return std::unexpected(std::move(text).error().within("'" + file + "'"));
    while (text->ends_with('\n'))
        text->pop_back();
    return text;
}

Result<void> write_value(int folder, const std::string& file, const std::string& value) {
    // O_NONBLOCK: since Linux 6.16 a lower memory.max or memory.high is then reached by those who allocate, not by us.
    const auto fd = TRY(os::open_beneath(folder, file, O_WRONLY | O_TRUNC | O_NONBLOCK, kInside));
    const auto line = value + "\n"; // an empty value is a write of one byte, not of none
    ssize_t put = 0;
    while ((put = ::write(fd.get(), line.data(), line.size())) < 0 && errno == EINTR) {
    }
    if (put != static_cast<ssize_t>(line.size()))
        return fail_errno("write '" + file + "'", put < 0 ? errno : EIO);
    return {};
}

} // namespace squish::limits
