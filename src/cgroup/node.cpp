#include "cgroup/node.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace squish::cgroup {

namespace {

constexpr std::size_t kMaxFile = 1 << 20; // cgroup.procs of a full cgroup is the longest
constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

struct CloseDir {
    void operator()(DIR* stream) const noexcept { ::closedir(stream); }
};

std::string quoted(const std::string& path, std::string_view file = {}) {
    return "'" + printable(path) + (file.empty() ? "" : "/" + std::string(file)) + "'";
}

} // namespace

const Kernel& real_kernel() {
    static const Kernel kernel{
        .is_cgroup2 =
            [](int dir) {
                struct statfs info{};
                return ::fstatfs(dir, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
            },
        .make_dir = [](int dir, const char* name) { return ::mkdirat(dir, name, 0755); },
        .remove_dir = [](int dir, const char* name) { return ::unlinkat(dir, name, AT_REMOVEDIR); },
    };
    return kernel;
}

bool is_valid_cgroup_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (name.empty() || name.size() > 128 || !plain(name.front()))
        return false;
    if (!std::ranges::all_of(name, [&](char c) { return plain(c) || c == '-' || c == '_' || c == '.'; }))
        return false;
    // Control files are CONTROLLER.WHAT; a child of that name would be in their way (cgroup-v2.rst, "Avoid Name
    // Collisions").
    const auto first = name.substr(0, name.find('.'));
    for (const auto controller : kControllers)
        if (first == to_string(controller) && first != name)
            return false;
    return first != "cgroup" && first != "rdma" && first != "misc";
}

Result<Node> Node::open(const Kernel& kernel, const std::string& mount_point, std::string_view cgroup_path) {
    DirFd mount(TRY(os::open_file(mount_point, O_RDONLY | O_DIRECTORY)));
    std::string relative(cgroup_path);
    relative.erase(0, relative.find_first_not_of('/'));
    if (cgroup_path.empty() || cgroup_path.front() != '/')
        return fail(ErrorKind::invalid, "'" + printable(cgroup_path) + "' is not the path of a cgroup");
    DirFd dir = relative.empty() || cgroup_path == "/"
                    ? std::move(mount)
                    : DirFd(TRY(os::open_beneath(mount.get(), relative, O_RDONLY | O_DIRECTORY, kBeneath)));
    if (!kernel.is_cgroup2(dir.get()))
        return fail(ErrorKind::unsupported, quoted(mount_point) + " is not a cgroup v2 file system");
    return Node(kernel, std::move(dir), std::string(cgroup_path));
}

Result<Node> Node::child(const std::string& name) const {
    if (!is_valid_cgroup_name(name))
        return fail(ErrorKind::invalid, "'" + printable(name) + "' cannot be the name of a cgroup");
    DirFd dir(TRY(os::open_beneath(dir_.get(), name, O_RDONLY | O_DIRECTORY, kBeneath | RESOLVE_NO_XDEV)));
    return Node(*kernel_, std::move(dir), (path_ == "/" ? "" : path_) + "/" + name);
}

Result<Node> Node::make_child(const std::string& name) const {
    if (!is_valid_cgroup_name(name))
        return fail(ErrorKind::invalid, "'" + printable(name) + "' cannot be the name of a cgroup");
    if (kernel_->make_dir(dir_.get(), name.c_str()) < 0)
        return fail_errno("make the cgroup " + quoted(path_, name));
    return child(name);
}

Result<void> Node::remove_child(const std::string& name) const {
    if (!is_valid_cgroup_name(name))
        return fail(ErrorKind::invalid, "'" + printable(name) + "' cannot be the name of a cgroup");
    if (kernel_->remove_dir(dir_.get(), name.c_str()) < 0 && errno != ENOENT)
        return fail_errno("remove the cgroup " + quoted(path_, name));
    return {};
}

Result<std::vector<std::string>> Node::children() const {
    // A description of its own: a shared one has a shared position.
    auto again = TRY(os::open_at(dir_.get(), ".", O_RDONLY | O_DIRECTORY));
    const std::unique_ptr<DIR, CloseDir> stream(::fdopendir(again.get()));
    if (!stream)
        return fail_errno("list " + quoted(path_));
    (void) again.release(); // the stream's now
    std::vector<std::string> names;
    while (const auto* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (entry->d_type == DT_DIR && name != "." && name != "..")
            names.emplace_back(name);
    }
    std::ranges::sort(names);
    return names;
}

Result<UniqueFd> Node::open_file(const std::string& file, int flags) const {
    auto fd = os::open_beneath(dir_.get(), file, static_cast<std::uint64_t>(flags), kBeneath | RESOLVE_NO_XDEV);
    if (!fd)
        return fail_errno("open " + quoted(path_, file), fd.error().sys_errno);
    return fd;
}

Result<std::string> Node::read(const std::string& file) const {
    const auto fd = TRY(open_file(file, O_RDONLY));
    auto text = os::read_all(fd.get(), kMaxFile);
    if (!text)
        return std::unexpected(std::move(text).error().within(quoted(path_, file)));
    return text;
}

Result<void> Node::write(const FileWrite& write) const {
    const auto fd = TRY(open_file(write.file, O_WRONLY | O_TRUNC));
    for (;;) { // one write(2): the kernel takes each as a whole
        const auto count = ::write(fd.get(), write.value.data(), write.value.size());
        if (count == static_cast<ssize_t>(write.value.size()))
            return {};
        if (count >= 0)
            return fail_errno("write " + quoted(path_, write.file), EIO);
        if (errno != EINTR)
            return fail_errno("write '" + printable(trim(write.value)) + "' to " + quoted(path_, write.file));
    }
}

Result<void> Node::write_all(std::span<const FileWrite> writes) const {
    for (const auto& one : writes)
        TRY(write(one));
    return {};
}

Result<void> Node::check_delegated() const {
    if (::faccessat(dir_.get(), ".", W_OK | X_OK, AT_EACCESS) < 0)
        return fail_errno("make cgroups in " + quoted(path_));
    for (const auto* file : {"cgroup.procs", "cgroup.subtree_control"})
        if (::faccessat(dir_.get(), file, W_OK, AT_EACCESS) < 0)
            return fail_errno("write " + quoted(path_, file));
    return {};
}

Result<ControllerSet> Node::controllers() const {
    return parse_controllers(TRY(read("cgroup.controllers")));
}

Result<ControllerSet> Node::enabled() const {
    return parse_controllers(TRY(read("cgroup.subtree_control")));
}

Result<void> Node::enable(ControllerSet wanted) const {
    const auto missing = wanted.without(TRY(enabled()));
    for (const auto controller : missing.members()) {
        auto written = write({"cgroup.subtree_control", std::string("+") + to_string(controller)});
        if (written)
            continue;
        auto error = std::move(written).error();
        if (error.sys_errno == EBUSY)
            error.remedy =
                "processes are in the cgroup itself; start squish in a cgroup of its own: systemd-run --user "
                "--scope -p Delegate=yes squish daemon start";
        return std::unexpected(std::move(error));
    }
    return {};
}

Result<std::vector<pid_t>> Node::processes() const {
    std::vector<pid_t> out;
    const auto text = TRY(read("cgroup.procs"));
    for (const auto line : split(text, '\n'))
        if (const auto number = parse_number(trim(line))) // 0: a process outside of our pid namespace
            out.push_back(static_cast<pid_t>(*number));
    return out;
}

Result<void> Node::adopt(pid_t process) const {
    return write({"cgroup.procs", std::to_string(process)});
}

} // namespace squish::cgroup
