#include "limits/machine.h"

#include "base/text.h"
#include "os/file.h"

#include <algorithm>

namespace squish::limits {

namespace {

// mountinfo writes blanks, tabs, newlines and backslashes as \ooo.
std::string unescape(std::string_view text) {
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool is_hex(std::string_view text, std::size_t length) {
    return text.size() == length &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool has_dots(std::string_view path) {
    return std::ranges::any_of(split(path, '/'), [](std::string_view part) { return part == ".." || part == "."; });
}

} // namespace

std::optional<CgroupMount> find_cgroup2(std::string_view mountinfo) {
    std::optional<CgroupMount> found;
    for (const auto line : split(mountinfo, '\n')) {
        const auto dash = line.find(" - ");
        if (dash == std::string_view::npos || !line.substr(dash + 3).starts_with("cgroup2 "))
            continue;
        const auto fields = split(line.substr(0, dash), ' ');
        if (fields.size() < 6)
            continue;
        CgroupMount mount{unescape(fields[4]), unescape(fields[3])};
        if (!mount.point.starts_with('/') || has_dots(mount.root)) // "/..": of a cgroup namespace that we are not in
            continue;
        if (!found || (found->root != "/" && mount.root == "/"))
            found = std::move(mount);
    }
    return found;
}

std::optional<std::string> own_cgroup(std::string_view proc_self_cgroup) {
    for (const auto line : split(proc_self_cgroup, '\n'))
        if (line.starts_with("0::/") && !has_dots(line.substr(3)))
            return std::string(line.substr(3));
    return std::nullopt;
}

Result<std::string> Machine::folder_of(const std::string& cgroup) const {
    const auto outside = [&] {
        return fail(ErrorKind::unsupported,
                    "the cgroup '" + printable(cgroup) + "' is not below '" + printable(mount.point) + "'");
    };
    if (!cgroup.starts_with('/') || has_dots(cgroup))
        return outside();
    std::string_view below = cgroup;
    if (mount.root != "/") {
        if (!below.starts_with(mount.root))
            return outside();
        below.remove_prefix(mount.root.size());
        if (!below.empty() && below.front() != '/')
            return outside();
    }
    while (below.ends_with('/'))
        below.remove_suffix(1);
    return (mount.point == "/" ? std::string() : mount.point) + std::string(below);
}

Result<Machine> this_machine() {
    Machine machine;
    const auto mounts = TRY(os::read_file("/proc/self/mountinfo"));
    auto mount = find_cgroup2(mounts);
    if (!mount)
        return fail(ErrorKind::unsupported, "there is no cgroup2 file system here", no_controllers_remedy());
    machine.mount = *std::move(mount);
    const auto own = TRY(os::read_file("/proc/self/cgroup"));
    machine.own = own_cgroup(own).value_or("");
    return machine;
}

std::string no_controllers_remedy() {
    return "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1, so that controllers are in cgroup v2";
}

bool is_id(std::string_view text) {
    return is_hex(text, 32);
}

bool is_instance(std::string_view text) {
    return is_hex(text, 8);
}

std::string cgroup_name(const std::string& instance, const std::string& what) {
    return "squish-" + instance + "-" + what;
}

std::optional<std::string> id_in(std::string_view name, std::string_view instance, std::string_view suffix) {
    const auto prefix = cgroup_name(std::string(instance), "");
    if (!name.starts_with(prefix) || !name.ends_with(suffix))
        return std::nullopt;
    name.remove_prefix(prefix.size());
    if (name.size() < suffix.size())
        return std::nullopt;
    name.remove_suffix(suffix.size());
    return is_id(name) ? std::optional(std::string(name)) : std::nullopt;
}

} // namespace squish::limits
