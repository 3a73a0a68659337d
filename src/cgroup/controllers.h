// Which controllers there are, who has them, and what to tell a user who needs one that is not there.
//
// All pure: texts of the kernel in, facts and messages out. Rules: Documentation/admin-guide/cgroup-v2.rst, cgroups(7),
// systemd.resource-control(5).
#pragma once

#include "base/result.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::cgroup {

enum class Controller : std::uint8_t { cpu, cpuset, io, memory, pids, hugetlb };
inline constexpr std::initializer_list<Controller> kControllers{
    Controller::cpu, Controller::cpuset, Controller::io, Controller::memory, Controller::pids, Controller::hugetlb};

[[nodiscard]] const char* to_string(Controller controller);

class ControllerSet {
public:
    ControllerSet() = default;
    ControllerSet(std::initializer_list<Controller> members) {
        for (const auto member : members)
            insert(member);
    }
    void insert(Controller member) { bits_ |= bit(member); }
    [[nodiscard]] bool contains(Controller member) const { return (bits_ & bit(member)) != 0; }
    [[nodiscard]] bool empty() const { return bits_ == 0; }
    [[nodiscard]] ControllerSet without(ControllerSet other) const { return ControllerSet(bits_ & ~other.bits_); }
    [[nodiscard]] ControllerSet common(ControllerSet other) const { return ControllerSet(bits_ & other.bits_); }
    [[nodiscard]] std::vector<Controller> members() const;
    [[nodiscard]] std::string text() const; // "cpu memory"
    bool operator==(const ControllerSet&) const = default;

private:
    explicit ControllerSet(unsigned bits) : bits_(bits) {}
    static unsigned bit(Controller member) { return 1U << static_cast<unsigned>(member); }
    unsigned bits_ = 0;
};

// The text of cgroup.controllers or cgroup.subtree_control. Those that squish has no limit for (rdma, misc) are left
// out.
[[nodiscard]] ControllerSet parse_controllers(std::string_view text);

// How the machine has its cgroups mounted.
enum class Hierarchy {
    unified, // cgroup v2 alone
    hybrid,  // cgroup v2 without controllers beside v1, which has them
    legacy,  // v1 alone
    none,    // neither
};
struct Mounts {
    Hierarchy hierarchy = Hierarchy::none;
    std::string unified; // where cgroup v2 is mounted; empty where it is not
    std::string root;    // which cgroup of the caller's namespace is mounted there, "/" as a rule
    bool ns_delegate = false;
};
// The text of /proc/self/mountinfo.
[[nodiscard]] Mounts parse_mounts(std::string_view mountinfo);

// Where a cgroup's path lies below the mount point: "/b" for "/a/b" where "/a" is mounted. Nothing where it does not.
[[nodiscard]] std::optional<std::string> below_mount(const Mounts& mounts, std::string_view cgroup_path);

// The path behind "0::" in the text of /proc/PID/cgroup; nothing where the process is in no cgroup v2. A path that
// leads out of the reader's cgroup namespace ("/../x") counts as none.
[[nodiscard]] std::optional<std::string> parse_own_cgroup(std::string_view text);

// The parent's path; "/" is its own parent.
[[nodiscard]] std::string parent_of(std::string_view path);
// Whether `path` is `ancestor` or lies below it: "/a/b" is within "/a", "/ab" is not.
[[nodiscard]] bool is_within(std::string_view path, std::string_view ancestor);

// What was found out about this machine and user, as far as messages need it.
struct Situation {
    Hierarchy hierarchy = Hierarchy::none;
    ControllerSet kernel;    // at the root of the hierarchy
    ControllerSet delegated; // in the cgroup under which ours are made
    bool user_manager = false;
    std::uint32_t uid = 0;
    std::string user; // its name
};

// One limit of a squishfile, as its writer knows it, and the controller it takes.
struct Need {
    std::string key; // "memory", "io.read_bps"
    Controller controller;
    bool operator==(const Need&) const = default;
};

// Why these limits cannot be enforced here, and what would change that. `needs` are those that are missing (at least
// one). ErrorKind::unsupported.
[[nodiscard]] Error explain_missing(const std::vector<Need>& needs, const Situation& situation);

// For `squish doctor`: one finding for each controller.
struct ControllerReport {
    Controller controller;
    bool available = false;
    std::string found;  // "delegated", "the kernel has it, the user manager does not"
    std::string remedy; // empty where it is available
};
[[nodiscard]] std::vector<ControllerReport> report_controllers(const Situation& situation);

// The line for user@.service that adds `wanted` to what is delegated already: "Delegate=cpu io memory pids".
[[nodiscard]] std::string delegate_line(ControllerSet delegated, ControllerSet wanted);

} // namespace squish::cgroup
