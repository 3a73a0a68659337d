#include "plan/launch_plan.h"

#include "base/text.h"
#include "plan/covered_paths.h"

#include <array>
#include <sys/mount.h>
#include <sys/resource.h>
#include <tuple>

namespace squish::plan {

using launch::PlanBuilder;
using launch::StepKind;

namespace {

enum OwnSlot : std::uint32_t {
    kProc = launch::kOwnSlots,
    kDev,
    kPts,
    kShm,
    kQueue,
    kTmp,
    kSys,
    kEmpty,
    kCgroup,
    kView
};

constexpr std::uint64_t kScopeAbstractSockets =
    1; // LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, newer than Debian 12's headers
constexpr const char* kKeyring = "make a session keyring (sysctl kernel.keys.maxkeys limits how many)";
constexpr std::uint64_t kMaxProcesses = 4096;
constexpr std::uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// Every limit has a value of ours, whoever started squishd and with which; a hard limit below it stays (getrlimit(2)).
void note_limits(PlanBuilder& steps, const Machine& machine) {
    struct Limit {
        std::uint32_t which;
        std::uint64_t soft, hard;
    };
    constexpr std::uint64_t kNone = RLIM_INFINITY;
    const Limit limits[] = {
        // 1024 descriptors: select(2) knows no more; who knows how to use more raises it
        {RLIMIT_NOFILE, std::min<std::uint64_t>(1024, machine.descriptor_limit), machine.descriptor_limit},
        {RLIMIT_CORE, 0, 0}, // where cores go is the host's setting: not out of a container
        {RLIMIT_STACK, 8 << 20, kNone},
        {RLIMIT_MEMLOCK, 8 << 20, 8 << 20}, // what Linux 5.16 and later give everybody
        {RLIMIT_MSGQUEUE, 819'200, 819'200},
        {RLIMIT_NICE, 0, 0},
        {RLIMIT_RTPRIO, 0, 0},
        {RLIMIT_RTTIME, kNone, kNone},
        {RLIMIT_AS, kNone, kNone},
        {RLIMIT_CPU, kNone, kNone},
        {RLIMIT_DATA, kNone, kNone},
        {RLIMIT_FSIZE, kNone, kNone},
        {RLIMIT_LOCKS, kNone, kNone},
        // Counted apart for each container, by its user namespace (Linux 5.14; for the user before): a payload that
        // only
        // forks leaves process numbers to the rest of the machine, which has 32,768 where nobody raised that.
        {RLIMIT_NPROC, kMaxProcesses, kMaxProcesses},
        {RLIMIT_RSS, kNone, kNone},
        {RLIMIT_SIGPENDING, kNone, kNone},
    };
    for (const auto& limit : limits) {
        const auto hard = limit.hard == limit.soft ? std::string() : std::to_string(limit.hard);
        steps.add(StepKind::resource_limit, {.a = limit.which, .c = limit.soft, .text1 = hard},
                  "note the resource limits");
    }
}

void describe_payload(PlanBuilder& steps, const std::vector<std::string>& arguments,
                      const std::vector<std::pair<std::string, std::string>>& environment,
                      const std::string& work_folder, const UserSpec& user, std::uint64_t capabilities,
                      const Machine& machine, std::uint32_t first_io, const IoSlots& io) {
    for (const auto& argument : arguments)
        steps.add(StepKind::argument, {.text1 = argument}, "pass the arguments");
    for (const auto& [key, value] : environment)
        steps.add(StepKind::environment, {.text1 = key + "=" + value}, "pass the environment");
    steps.add(StepKind::work_folder, {.text1 = work_folder}, "note the working folder");
    steps.add(StepKind::ids,
              {.flags = machine.single_id ? launch::kKeepGroups : std::uint16_t{0}, .a = user.uid, .b = user.gid},
              "note the user");
    if (io.console)
        steps.add(StepKind::terminal, {.a = first_io, .b = static_cast<std::uint32_t>(io.rows) << 16 | io.columns},
                  "note the terminal");
    else
        steps.add(StepKind::standard_io, {.a = first_io, .b = first_io + 1, .c = first_io + 2},
                  "note stdin, stdout and stderr");
    steps.add(StepKind::capabilities, {.c = capabilities}, "note the capabilities");
    note_limits(steps, machine);
}

// In the host's network a payload could speak to every abstract socket of the host, whatever the mounts
// (CVE-2020-15257). Landlock can forbid that, and nothing else can. What it could say about files, the mounts say
// already, for nothing.
void scope(PlanBuilder& steps, NetworkMode network, const Machine& machine) {
    if (network == NetworkMode::host && machine.landlock >= kLandlockScopes)
        steps.add(StepKind::scope, {.c = kScopeAbstractSockets}, "note the scope of abstract sockets");
}

void answer_sysinfo(PlanBuilder& steps, std::uint64_t key) {
    if (key != 0)
        steps.add(StepKind::notify, {.c = key}, "have sysinfo(2) answered (seccomp_unotify(2))");
}

void bind_to_cpus(PlanBuilder& steps, const std::string& affinity) {
    if (!affinity.empty())
        steps.add(StepKind::affinity, {.text1 = affinity}, "note the CPUs");
}

void confine(PlanBuilder& steps, std::optional<std::uint32_t> flags, std::size_t slot) {
    if (flags)
        steps.add(StepKind::seccomp, {.a = static_cast<std::uint32_t>(slot), .b = *flags}, "note the seccomp filter");
}

// Sockets for the payload, as systemd passes them (sd_listen_fds(3)). The payload is PID 2 in its own eyes. Before the
// environment that the squishfile gives: the first of two variables of one name is the one that counts.
void pass_sockets(PlanBuilder& steps, const std::vector<std::string>& names, std::uint32_t first_slot) {
    if (names.empty())
        return;
    for (std::uint32_t i = 0; i < names.size(); ++i)
        steps.add(StepKind::pass, {.a = first_slot + i}, "pass the socket '" + printable(names[i]) + "'");
    for (const auto& variable : {std::string("LISTEN_PID=2"), "LISTEN_FDS=" + std::to_string(names.size()),
                                 "LISTEN_FDNAMES=" + join(names, ":")})
        steps.add(StepKind::environment, {.text1 = variable}, "pass the environment");
}

// A target beneath our own empty /tmp has no mount point yet: it is made in the tmpfs.
void make_points_in_tmp(PlanBuilder& steps, const std::string& target, bool folder) {
    const auto inside = target.substr(std::string_view("/tmp/").size());
    for (std::size_t end = inside.find('/'); end != std::string::npos; end = inside.find('/', end + 1))
        steps.add(StepKind::directory,
                  {.flags = launch::kMayExist, .a = kTmp, .b = 0755, .text1 = inside.substr(0, end)},
                  "make a folder for '" + printable(target) + "'");
    steps.add(folder ? StepKind::directory : StepKind::file,
              {.flags = launch::kMayExist, .a = kTmp, .b = folder ? 0755U : 0644U, .text1 = inside},
              "make the mount point '" + printable(target) + "'");
}

} // namespace

namespace {

template <std::size_t N>
void mask(PlanBuilder& steps, std::uint32_t tree, const char* point, const std::array<const char*, N>& paths) {
    for (const auto* path : paths)
        steps.add(StepKind::mask, {.a = tree, .b = kEmpty, .text1 = path}, std::string("cover ") + point + "/" + path);
}

// /proc and /sys, while nobody can touch them: what the container has no business with is covered, what it may only
// read is frozen. They are staged for that: a detached mount takes no mounts before Linux 6.15.
void close_kernel(PlanBuilder& steps, const Machine& machine, bool with_sysfs) {
    steps.add(StepKind::new_tmpfs, {.a = kEmpty, .c = kQuiet, .text1 = "mode=0755,size=4k,nr_inodes=4"},
              "make the empty file and folder");
    steps.add(StepKind::file, {.a = kEmpty, .b = 0444, .text1 = launch::kEmptyFile}, "make the empty file");
    steps.add(StepKind::directory, {.a = kEmpty, .b = 0555, .text1 = launch::kEmptyFolder}, "make the empty folder");
    steps.add(StepKind::read_only, {.a = kEmpty, .c = MOUNT_ATTR_RDONLY}, "make the empty file and folder read-only");
    steps.add(StepKind::stage, {.a = kEmpty, .b = 1}, "hold the empty file and folder");
    steps.add(StepKind::stage, {.a = kProc, .b = 2}, "hold proc");
    // Counted per namespace and below it (user_namespaces(7)): nobody in here makes another one, filter or not.
    steps.add(StepKind::write, {.a = kProc, .text1 = "sys/user/max_user_namespaces", .text2 = "0"},
              "forbid user namespaces in the container");
    // These are counted for the user, too (inotify(7)): one container may use half of them.
    for (const auto& [path, count] : {std::pair("sys/user/max_inotify_instances", machine.inotify_instances),
                                      std::pair("sys/user/max_inotify_watches", machine.inotify_watches)})
        if (count > 0)
            steps.add(StepKind::write, {.a = kProc, .text1 = path, .text2 = std::to_string(count / 2)},
                      "limit inotify in the container");
    mask(steps, kProc, "/proc", kMaskedProc);
    for (const auto* path : kFrozenProc)
        steps.add(StepKind::freeze, {.a = kProc, .text1 = path}, std::string("make /proc/") + path + " read-only");
    if (with_sysfs) {
        steps.add(StepKind::stage, {.a = kSys, .b = 3}, "hold sysfs");
        mask(steps, kSys, "/sys", kMaskedSys);
    }
}

} // namespace

namespace {

// What is shown of the machine: files of the view over those of the kernel. A kernel without such a file needs none.
void cover_proc(PlanBuilder& steps) {
    for (const auto* path : kShownProc)
        steps.add(StepKind::cover, {.a = kProc, .b = kView, .text1 = path, .text2 = std::string("proc/") + path},
                  std::string("show the container's own /proc/") + path);
}
void cover_sys(PlanBuilder& steps, std::uint32_t tree) {
    for (const auto& [path, shown] : kShownSys)
        steps.add(StepKind::cover, {.a = tree, .b = kView, .text1 = path, .text2 = shown},
                  std::string("show the container's own /sys/") + path);
}

} // namespace

PlanBuilder make_prelude(const Machine& machine, const Surroundings& surroundings) {
    const bool with_sysfs = surroundings.sysfs;
    PlanBuilder steps;
    steps.add(StepKind::no_dump, {}, "close init to inspection");
    if (with_sysfs)
        steps.add(StepKind::keep, {.a = 0, .b = kSys}, "keep sysfs");
    if (surroundings.view) {
        steps.add(StepKind::keep, {.a = with_sysfs ? 1U : 0U, .b = kView}, "keep the view");
        steps.add(StepKind::stage, {.a = kView, .b = 4}, "hold the view");
    }
    steps.add(StepKind::new_proc, {.a = kProc}, "mount proc");
    close_kernel(steps, machine, with_sysfs);
    steps.add(StepKind::new_tmpfs, {.a = kDev, .c = kQuiet, .text1 = "mode=0755,size=64k"}, "mount /dev");
    steps.add(StepKind::stage, {.a = kDev, .b = 0}, "mount /dev");
    // Linux, Documentation/admin-guide/devices.txt
    constexpr std::tuple<const char*, std::uint32_t, std::uint32_t> kDevices[] = {
        {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
    for (const auto& [device, major, minor] : kDevices)
        steps.add(StepKind::device, {.a = kDev, .c = launch::device_number(major, minor), .text1 = device},
                  std::string("bind /dev/") + device);
    constexpr std::pair<const char*, const char*> kLinks[] = {{"/proc/self/fd", "fd"},
                                                              {"/proc/self/fd/0", "stdin"},
                                                              {"/proc/self/fd/1", "stdout"},
                                                              {"/proc/self/fd/2", "stderr"},
                                                              {"pts/ptmx", "ptmx"}};
    for (const auto& [content, name] : kLinks)
        steps.add(StepKind::symlink, {.a = kDev, .text1 = content, .text2 = name}, std::string("link /dev/") + name);
    for (const auto* folder : {"pts", "shm", "mqueue"})
        steps.add(StepKind::directory, {.a = kDev, .b = 0755, .text1 = folder}, std::string("make /dev/") + folder);
    // gid 5 is tty where more than one id is mapped
    steps.add(StepKind::new_devpts,
              {.a = kPts,
               .text1 = machine.single_id ? "newinstance,ptmxmode=0666,mode=0620"
                                          : "newinstance,ptmxmode=0666,mode=0620,gid=5"},
              "mount /dev/pts");
    steps.add(StepKind::attach_beneath, {.a = kDev, .b = kPts, .text1 = "pts"}, "mount /dev/pts");
    steps.add(StepKind::new_tmpfs, {.a = kShm, .c = kQuiet, .text1 = "mode=1777,size=64m"}, "mount /dev/shm");
    steps.add(StepKind::attach_beneath, {.a = kDev, .b = kShm, .text1 = "shm"}, "mount /dev/shm");
    steps.add(StepKind::new_mqueue, {.a = kQueue}, "mount /dev/mqueue");
    steps.add(StepKind::attach_beneath, {.a = kDev, .b = kQueue, .text1 = "mqueue"}, "mount /dev/mqueue");
    steps.add(StepKind::read_only, {.a = kDev, .c = MOUNT_ATTR_RDONLY}, "make /dev read-only");
    if (surroundings.cgroup)
        steps.add(StepKind::new_cgroup, {.a = kCgroup}, "mount cgroup2");
    if (surroundings.view) {
        cover_proc(steps);
        if (with_sysfs)
            cover_sys(steps, kSys);
    }
    // In init already: the payload inherits it, and a start does not wait for it.
    answer_sysinfo(steps, surroundings.sysinfo);
    return steps;
}

PlanBuilder make_launch(const ContainerPlan& plan, const std::vector<bool>& folders, const IoSlots& io) {
    PlanBuilder steps;
    const auto rootfs = "rootfs layer '" + printable(plan.rootfs_layer) + "'";
    steps.add(StepKind::root, {.a = 0}, "mount the " + rootfs);
    // /tmp first, and no links on the way to the others: a rootfs whose /proc leads to /tmp, or the other way round,
    // would have its payload write what everybody in the container takes for the kernel's word (CVE-2019-19921).
    if (plan.own_tmp) {
        steps.add(
            StepKind::new_tmpfs,
            {.a = kTmp, .c = plan.tmp_noexec ? kQuiet : MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .text1 = "mode=1777"},
            "mount /tmp");
        steps.add(StepKind::attach, {.a = kTmp, .text1 = "/tmp"}, "mount /tmp");
    }
    const auto attach = [&](std::uint32_t slot, const std::string& point) {
        steps.add(StepKind::attach, {.flags = launch::kNoLinks, .a = slot, .text1 = point},
                  "mount " + point + " (it must not be a link in the " + rootfs + ")");
    };
    attach(kDev, "/dev");
    attach(kProc, "/proc");
    if (plan.network != NetworkMode::host)
        attach(kSys, "/sys");
    for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
        const auto& mount = plan.mounts[i];
        if (plan.own_tmp && mount.target.starts_with("/tmp/"))
            make_points_in_tmp(steps, mount.target, folders[i]);
        steps.add(StepKind::attach, {.a = static_cast<std::uint32_t>(i + 1), .text1 = mount.target},
                  "mount '" + printable(mount.target) + "'" +
                      (mount.layer.empty() ? "" : " (layer '" + printable(mount.layer) + "')"));
        if (mount.layer.empty() && mount.target == "/sys") { // the host's, with the host's network
            mask(steps, static_cast<std::uint32_t>(i + 1), "/sys", kMaskedSys);
            mask(steps, static_cast<std::uint32_t>(i + 1), "/sys", kMaskedHostSys);
            if (plan.view)
                cover_sys(steps, static_cast<std::uint32_t>(i + 1));
        }
    }
    if (plan.own_cgroup) // runtimes size themselves by the limits in here
        attach(kCgroup, "/sys/fs/cgroup");
    steps.add(StepKind::pivot, {}, "enter the " + rootfs);
    steps.add(StepKind::hostname, {.text1 = plan.hostname}, "set the host name");
    if (plan.machine.time_namespaces)
        steps.add(StepKind::time_offset, {.a = kProc}, "start the container's clock");
    const auto first_io = static_cast<std::uint32_t>(plan.mounts.size() + 1);
    pass_sockets(steps, plan.sockets, first_io + (io.console ? 1 : 3));
    describe_payload(steps, plan.arguments, plan.environment, plan.work_folder, plan.user, plan.capabilities,
                     plan.machine, first_io, io);
    bind_to_cpus(steps, plan.affinity);
    scope(steps, plan.network, plan.machine);
    confine(steps, plan.filter, first_io + (io.console ? 1 : 3) + plan.sockets.size());
    if (plan.own_keyring)
        steps.add(StepKind::keyring, {}, kKeyring);
    steps.add(StepKind::run, {.text1 = plan.command}, "run '" + printable(plan.command) + "'");
    return steps;
}

PlanBuilder make_attach(const std::string& point) {
    PlanBuilder steps;
    steps.add(StepKind::no_dump, {}, "close the joining process to inspection");
    steps.add(StepKind::joined_root, {}, "open the container's root");
    steps.add(StepKind::attach, {.a = 0, .text1 = point}, "mount the layers at '" + point + "'");
    steps.add(StepKind::leave, {}, "leave the container");
    return steps;
}

PlanBuilder make_exec(const ExecPlan& plan, const IoSlots& io) {
    PlanBuilder steps;
    // The joining process shows up in the container before it has become the payload: nobody there may look into it.
    steps.add(StepKind::no_dump, {}, "close the joining process to inspection");
    describe_payload(steps, plan.command, plan.environment, plan.work_folder, plan.user, plan.capabilities,
                     plan.machine, 0, io);
    bind_to_cpus(steps, plan.affinity);
    answer_sysinfo(steps, plan.sysinfo);
    scope(steps, plan.network, plan.machine);
    confine(steps, plan.filter, io.console ? 1 : 3);
    if (plan.own_keyring)
        steps.add(StepKind::keyring, {}, kKeyring);
    steps.add(StepKind::become, {.text1 = plan.command.front()}, "run '" + printable(plan.command.front()) + "'");
    return steps;
}

} // namespace squish::plan
