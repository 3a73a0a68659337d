#include "procview/cgroups.h"

#include "os/file.h"
#include "procview/clock.h"
#include "procview/parse.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/resource.h>
#include <utility>

namespace squish::procview {

namespace {

constexpr std::size_t kMaxDepth = 64;        // parts of a path
constexpr std::size_t kMaxFolders = 64;      // cgroups beneath a container's that are looked into
constexpr std::size_t kMaxThreads = 1 << 16; // of one container
constexpr std::size_t kMaxParents = 1024;    // whose limits are remembered
constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;

Result<UniqueFd> open_folder(int root, std::string_view path) {
    return os::open_beneath(root, std::string(path), O_RDONLY | O_DIRECTORY, kResolve);
}

std::optional<std::uint64_t> least(std::optional<std::uint64_t> one, std::optional<std::uint64_t> other) {
    if (one && other)
        return std::min(*one, *other);
    return one ? one : other;
}

std::vector<std::string> folders_in(int folder) {
    std::vector<std::string> names;
    auto opened = os::open_at(folder, ".", O_RDONLY | O_DIRECTORY);
    if (!opened)
        return names;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(opened->get()), ::closedir);
    if (!entries)
        return names;
    (void) opened->release();
    while (names.size() < kMaxFolders) {
        const auto* const entry = ::readdir(entries.get()); // NOLINT(concurrency-mt-unsafe): the stream is ours
        if (!entry)
            break;
        if (entry->d_type == DT_DIR && std::string_view(entry->d_name) != "." &&
            std::string_view(entry->d_name) != "..")
            names.emplace_back(entry->d_name);
    }
    return names;
}

// A container may have made cgroups of its own beneath its cgroup.
void add_threads_beneath(int folder, std::vector<pid_t>& threads) {
    std::vector<DirFd> open;
    std::size_t looked_at = 0;
    const auto take = [&](int parent) {
        for (const auto& name : folders_in(parent)) {
            if (++looked_at > kMaxFolders)
                return;
            auto child = open_folder(parent, name);
            if (!child)
                continue;
            if (const auto text = read_once(child->get(), "cgroup.threads"))
                for (const auto id : parse_ids(*text, kMaxThreads - std::min(threads.size(), kMaxThreads)))
                    threads.push_back(id);
            open.emplace_back(*std::move(child));
        }
    };
    take(folder);
    for (std::size_t next = 0; next < open.size(); ++next)
        take(std::exchange(open[next], DirFd()).get());
}

} // namespace

bool is_cgroup_path(std::string_view path) {
    if (!path.starts_with('/') || path.size() < 2)
        return false;
    std::size_t depth = 0;
    for (auto rest = path; !rest.empty();) {
        rest.remove_prefix(1); // the slash
        const auto part = rest.substr(0, rest.find('/'));
        if (part.empty() || part == "." || part == ".." || part.contains('\0') || ++depth > kMaxDepth)
            return false;
        rest.remove_prefix(part.size());
    }
    return true;
}

bool CgroupFiles::has_memory() {
    return has_memory_ || (has_memory_ = memory_current_.read(folder_.get(), "memory.current").has_value());
}

void CgroupFiles::read_memory(procfs::Usage& usage) {
    if (const auto text = memory_current_.read(folder_.get(), "memory.current"))
        last_.memory = parse_single(*text).value_or(last_.memory);
    if (const auto text = memory_stat_.read(folder_.get(), "memory.stat"))
        parse_memory_stat(*text, last_);
    if (const auto text = swap_current_.read(folder_.get(), "memory.swap.current"))
        last_.swap = parse_single(*text).value_or(last_.swap);
    const auto before = usage;
    usage = last_;
    usage.cpu_user_us = before.cpu_user_us;
    usage.cpu_system_us = before.cpu_system_us;
}

void CgroupFiles::read_cpu(procfs::Usage& usage) {
    if (const auto text = cpu_stat_.read(folder_.get(), "cpu.stat"))
        parse_cpu_stat(*text, last_);
    usage.cpu_user_us = last_.cpu_user_us;
    usage.cpu_system_us = last_.cpu_system_us;
}

std::optional<std::uint64_t> CgroupFiles::memory_limit() {
    if (const auto text = memory_max_.read(folder_.get(), "memory.max"))
        last_memory_limit_ = parse_single(*text);
    return last_memory_limit_;
}

std::optional<std::uint64_t> CgroupFiles::swap_limit() {
    if (const auto text = swap_max_.read(folder_.get(), "memory.swap.max"))
        last_swap_limit_ = parse_single(*text);
    return last_swap_limit_;
}

std::vector<procfs::DeviceUse> CgroupFiles::devices() {
    if (const auto text = io_stat_.read(folder_.get(), "io.stat"))
        last_devices_ = parse_io_stat(*text);
    return last_devices_;
}

std::vector<pid_t> CgroupFiles::threads() {
    std::vector<pid_t> ids;
    if (const auto text = threads_.read(folder_.get(), "cgroup.threads"))
        ids = parse_ids(*text, kMaxThreads);
    add_threads_beneath(folder_.get(), ids);
    return ids;
}

void CgroupFiles::read_pressure(procfs::Own& own) {
    own.pressure_cpu = cpu_pressure_.read(folder_.get(), "cpu.pressure");
    own.pressure_memory = memory_pressure_.read(folder_.get(), "memory.pressure");
    own.pressure_io = io_pressure_.read(folder_.get(), "io.pressure");
}

Cgroups::Cgroups(DirFd root) : root_(std::move(root)) {
    rlimit limit{};
    const auto many = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 2 / kDescriptorsOfOne : 1;
    max_open_ = std::clamp<rlim_t>(many, 1, kMaxOpen);
}

CgroupFiles* Cgroups::find(procshare::Key key, std::string_view path) {
    if (!root_ || !is_cgroup_path(path))
        return nullptr;
    const auto now = now_ns();
    if (const auto known = open_.find(key); known != open_.end()) {
        if (known->second.path() == path) {
            known->second.used = now;
            return &known->second;
        }
        open_.erase(known);
    }
    close_least_used(max_open_ - 1);
    auto opened = open_folder(root_.get(), path.substr(1));
    if (!opened && (opened.error().sys_errno == EMFILE || opened.error().sys_errno == ENFILE)) {
        close_least_used(open_.size() / 2);
        opened = open_folder(root_.get(), path.substr(1));
    }
    if (!opened)
        return nullptr;
    auto& files = open_.emplace(key, CgroupFiles(std::string(path), DirFd(*std::move(opened)))).first->second;
    files.used = now;
    return &files;
}

void Cgroups::close_least_used(std::size_t keep) {
    while (open_.size() > keep)
        open_.erase(std::ranges::min_element(open_, {}, [](const auto& entry) { return entry.second.used; }));
}

Cgroups::Limits Cgroups::limits_above(std::string_view path) {
    Limits all;
    if (!root_ || !is_cgroup_path(path))
        return all;
    for (auto end = path.rfind('/'); end > 0 && end != std::string_view::npos; end = path.rfind('/', end - 1)) {
        const auto& limits = limits_of(path.substr(1, end - 1));
        all.memory = least(all.memory, limits.memory);
        all.swap = least(all.swap, limits.swap);
    }
    return all;
}

const Cgroups::Limits& Cgroups::limits_of(std::string_view path) {
    const auto now = now_ns();
    auto known = parents_.find(path);
    if (known == parents_.end()) {
        if (parents_.size() >= kMaxParents)
            parents_.clear();
        known = parents_.emplace(std::string(path), Parent()).first;
    }
    auto& parent = known->second;
    if (now >= parent.good_until) {
        parent.good_until = now + kSecond;
        if (const auto folder = open_folder(root_.get(), path)) { // gone: what it was
            const auto memory = read_once(folder->get(), "memory.max"),
                       swap = read_once(folder->get(), "memory.swap.max");
            parent.limits.memory = memory ? parse_single(*memory) : std::nullopt;
            parent.limits.swap = swap ? parse_single(*swap) : std::nullopt;
        }
    }
    return parent.limits;
}

} // namespace squish::procview
