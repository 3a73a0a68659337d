// What the kernel (and whoever confines us) allows: namespaces and mounts.
#include "base/text.h"
#include "doctor/doctor.h"
#include "doctor/probe.h"
#include "os/file.h"

#include <cerrno>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::doctor {

namespace {

constexpr std::uint64_t kLeastMajor = 5, kLeastMinor = 15;

Result<void> private_mounts() {
    TRY(enter_user_namespace());
    TRY(unshare(CLONE_NEWNS, "mount"));
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
        return fail_errno("make the mounts private");
    return {};
}

Result<void> try_proc() {
    TRY(private_mounts());
    TRY(unshare(CLONE_NEWPID, "pid"));
    const pid_t child = ::fork(); // the first process of the new namespace
    if (child < 0)
        return fail_errno("fork");
    if (child == 0)
        ::_exit(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0 ? errno : 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0)
        return fail_errno("mount a fresh /proc", WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
    return {};
}

Result<void> try_overlay() {
    TRY(private_mounts());
    if (::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) < 0)
        return fail_errno("mount a tmpfs");
    for (const char* folder : {"/tmp/a", "/tmp/b", "/tmp/both"})
        if (::mkdir(folder, 0700) < 0)
            return fail_errno("mkdir");
    if (::mount("overlay", "/tmp/both", "overlay", MS_RDONLY, "lowerdir=/tmp/a:/tmp/b") < 0)
        return fail_errno("mount an overlay");
    return {};
}

Result<void> try_namespaces() {
    TRY(enter_user_namespace());
    TRY(unshare(CLONE_NEWNS, "mount"));
    TRY(unshare(CLONE_NEWPID, "pid"));
    TRY(unshare(CLONE_NEWNET, "network"));
    TRY(unshare(CLONE_NEWUTS, "uts"));
    TRY(unshare(CLONE_NEWIPC, "ipc"));
    return unshare(CLONE_NEWCGROUP, "cgroup");
}

Result<void> try_time() {
    TRY(enter_user_namespace());
    return unshare(CLONE_NEWTIME, "time");
}

// Why user namespaces are refused, as far as the settings tell.
std::string userns_remedy() {
    if (first_line("/proc/sys/user/max_user_namespaces") == "0")
        return "allow them: sysctl -w user.max_user_namespaces=15000";
    if (first_line("/proc/sys/kernel/unprivileged_userns_clone") == "0")
        return "allow them: sysctl -w kernel.unprivileged_userns_clone=1";
    if (first_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1")
        return "AppArmor restricts them: allow them by a profile with 'userns,' for squish-keeper, or sysctl -w "
               "kernel.apparmor_restrict_unprivileged_userns=0";
    if (::access("/proc/self/ns/user", F_OK) < 0)
        return "use a kernel with CONFIG_USER_NS";
    return "the sandbox that squish runs in forbids them (a container without nesting, a seccomp filter): allow them "
           "there";
}

} // namespace

Check check_kernel() {
    Check check{"kernel", State::ok, "", ""};
    utsname name{};
    ::uname(&name);
    check.found = std::string("Linux ") + printable(name.release);
    const auto parts = split(name.release, '.');
    const auto major = parse_number(parts[0]).value_or(0);
    const auto minor =
        parts.size() > 1 ? parse_number(parts[1].substr(0, parts[1].find_first_not_of("0123456789"))).value_or(0) : 0;
    if (major < kLeastMajor || (major == kLeastMajor && minor < kLeastMinor)) {
        check.state = State::fail;
        check.remedy = "squish needs Linux 5.15 or newer";
    }
    return check;
}

Check check_user_namespaces() {
    Check check{"user namespaces", State::ok, "can be made", ""};
    // With a mount beneath: AppArmor lets one be made, and then refuses everything inside.
    if (const auto tried = try_in_child(private_mounts); !tried)
        check = {check.name, State::fail, tried.error().message, userns_remedy()};
    return check;
}

// What needs a user namespace cannot be tried without one; the remedy is that of the check above.
bool is_blocked(Check& check) {
    if (try_in_child(private_mounts))
        return false;
    check = {check.name, State::fail, "cannot be checked: user namespaces cannot be made", "see 'user namespaces'"};
    return true;
}

Check check_namespaces() {
    Check check{"other namespaces", State::ok, "mount, pid, network, uts, ipc, cgroup and time", ""};
    if (is_blocked(check))
        return check;
    if (const auto tried = try_in_child(try_namespaces); !tried)
        return {check.name, State::fail, tried.error().message,
                "allow it: see the limits in /proc/sys/user, and the sandbox around squish"};
    if (const auto tried = try_in_child(try_time); !tried)
        return {check.name, State::warn, tried.error().message + ": containers show the machine's uptime",
                "use a kernel with CONFIG_TIME_NS"};
    return check;
}

Check check_proc_mount() {
    Check check{"fresh /proc", State::ok, "can be mounted", ""};
    if (is_blocked(check))
        return check;
    if (const auto tried = try_in_child(try_proc); !tried)
        check = {
            check.name, State::fail, tried.error().message,
            "something is mounted over parts of /proc, as inside a container: start that one with an unmasked /proc "
            "(podman: --security-opt unmask=ALL, docker: --security-opt systempaths=unconfined)"};
    return check;
}

Check check_overlay() {
    Check check{"overlayfs", State::ok, "can be mounted in a user namespace", ""};
    if (is_blocked(check))
        return check;
    if (const auto tried = try_in_child(try_overlay); !tried)
        check = {check.name, State::fail, tried.error().message,
                 "load it: modprobe overlay; squish needs Linux 5.11 or newer for it"};
    return check;
}

Check check_seccomp() {
    Check check{"seccomp", State::ok, "", ""};
    const auto actions = first_line("/proc/sys/kernel/seccomp/actions_avail");
    if (actions.empty() && ::prctl(PR_GET_SECCOMP) < 0)
        return {check.name, State::fail, "the kernel has no seccomp filters",
                "use a kernel with CONFIG_SECCOMP_FILTER"};
    check.found = actions.contains("user_notif") ? "filters and user notification" : "filters";
    return check;
}

} // namespace squish::doctor
