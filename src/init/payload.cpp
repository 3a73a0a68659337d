// From a described payload to execve(2).

#include "init/kernel.h"
#include "init/state.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <cerrno>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41) // Linux 4.13
#endif

namespace squish::init {

using launch::StepKind;
using launch::StepView;

namespace {

// Mapped now, while nothing is refused yet; the mapping ends with execve. Sealed: what was checked stays as it was.
long map_filter(Payload& payload, int memfd) {
    const long size = raw::call(__NR_lseek, memfd, 0, SEEK_END);
    if (size < 0)
        return size;
    if (size == 0 || size % sizeof(sock_filter) != 0 || size > static_cast<long>(BPF_MAXINSNS * sizeof(sock_filter)))
        return -EBADMSG;
    const long address = raw::call(__NR_mmap, 0, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, memfd, 0);
    if (address < 0 && address > -4096)
        return address;
    payload.filter = reinterpret_cast<const void*>(address);
    payload.filter_size = static_cast<std::uint16_t>(static_cast<std::size_t>(size) / sizeof(sock_filter));
    return 0;
}

} // namespace

long describe(State& state, const StepView& view) {
    const launch::Step& step = *view.step;
    Payload& payload = state.payload;
    switch (static_cast<StepKind>(step.kind)) {
    case StepKind::argument:
        if (payload.argc == kMaxArguments)
            return -E2BIG;
        payload.argv[payload.argc++] = view.text1;
        return 0;
    case StepKind::environment:
        if (payload.envc == kMaxArguments)
            return -E2BIG;
        payload.envp[payload.envc++] = view.text1;
        return 0;
    case StepKind::work_folder:
        payload.folder = view.text1;
        return 0;
    case StepKind::ids:
        payload.uid = step.a;
        payload.gid = step.b;
        payload.set_ids = true;
        payload.groups_denied = step.flags & launch::kKeepGroups;
        return 0;
    case StepKind::standard_io:
        if (!is_slot(step.a) || !is_slot(step.b) || !is_slot(step.c))
            return -EBADSLT;
        payload.stdio[0] = state.slots[step.a];
        payload.stdio[1] = state.slots[step.b];
        payload.stdio[2] = state.slots[step.c];
        return 0;
    case StepKind::terminal:
        if (!is_slot(step.a))
            return -EBADSLT;
        payload.console = state.slots[step.a];
        payload.rows = static_cast<std::uint16_t>(step.b >> 16);
        payload.columns = static_cast<std::uint16_t>(step.b & 0xFFFF);
        return 0;
    case StepKind::pass:
        if (!is_slot(step.a))
            return -EBADSLT;
        if (payload.passed_count == kMaxPassed)
            return -E2BIG;
        payload.passed[payload.passed_count++] = state.slots[step.a];
        return 0;
    case StepKind::capabilities:
        payload.capabilities = step.c;
        return 0;
    case StepKind::resource_limit: {
        if (payload.limit_count == sizeof payload.limits / sizeof payload.limits[0])
            return -E2BIG;
        std::uint64_t hard = step.text1_size ? 0 : step.c;
        for (const char* at = view.text1; *at; ++at)
            hard = hard * 10 + static_cast<std::uint64_t>(*at - '0');
        payload.limits[payload.limit_count++] = {step.a, step.c, hard};
        return 0;
    }
    case StepKind::scope:
        payload.scope = step.c;
        return 0;
    case StepKind::affinity:
        payload.cpus = launch::read_mask(view.text1, step.text1_size);
        return payload.cpus.size > 0 ? 0 : -EINVAL;
    case StepKind::seccomp:
        if (!is_slot(step.a))
            return -EBADSLT;
        payload.filter_flags = step.b;
        return map_filter(payload, state.slots[step.a]);
    default:
        return -ENOSYS;
    }
}

namespace {

// A terminal of the container's own devpts; the master goes to the caller, the slave becomes stdin, stdout, stderr.
// TIOCGPTPEER opens the slave without a path, which something in the container could have replaced.
long make_terminal(Payload& payload) {
    const int master = raw::openat(AT_FDCWD, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0)
        return master;
    int locked = 0;
    long result = raw::ioctl(master, TIOCSPTLCK, raw::arg(&locked));
    if (result < 0)
        return result;
    struct {
        std::uint16_t rows, columns, x, y;
    } size{payload.rows, payload.columns, 0, 0};
    raw::ioctl(master, TIOCSWINSZ, raw::arg(&size));
    const int slave = raw::as_int(raw::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (slave < 0)
        return slave;
    if (payload.set_ids && payload.uid != 0)
        raw::call(__NR_fchown, slave, payload.uid, -1); // so that a user's shell can open its own terminal
    const char byte = 'p';
    result = raw::send_fd(payload.console, &byte, 1, master);
    if (result < 0)
        return result;
    raw::close(master);
    result = raw::ioctl(slave, TIOCSCTTY, 0);
    if (result < 0)
        return result;
    payload.stdio[0] = payload.stdio[1] = payload.stdio[2] = slave;
    return 0;
}

// Onto 0, 1, 2; dup3 clears close-on-exec only on those three. Sources are above 2 because init's own 0, 1, 2 are open.
long place_stdio(const Payload& payload) {
    for (int number = 0; number < 3; ++number) {
        if (payload.stdio[number] < 0)
            return -EBADF;
        const long result = raw::call(__NR_dup3, payload.stdio[number], number, 0);
        if (result < 0)
            return result;
    }
    return 0;
}

// Onto 3, 4, …, where anything may be by now: all of them move out of the way first.
long place_passed(Payload& payload) {
    const auto count = static_cast<int>(payload.passed_count);
    for (int i = 0; i < count; ++i) {
        const long moved = raw::call(__NR_fcntl, payload.passed[i], F_DUPFD_CLOEXEC, kFirstPassed + count);
        if (moved < 0)
            return moved;
        payload.passed[i] = raw::as_int(moved);
    }
    for (int i = 0; i < count; ++i)
        if (const long result = raw::call(__NR_dup3, payload.passed[i], kFirstPassed + i, 0); result < 0)
            return result;
    return 0;
}

long set_limits(const Payload& payload) {
    for (std::uint32_t i = 0; i < payload.limit_count; ++i) {
        const auto& limit = payload.limits[i];
        // A hard limit cannot be raised: what was inherited from the keeper is the most there is.
        std::uint64_t inherited[2] = {0, 0};
        if (const long got = raw::call(__NR_prlimit64, 0, limit.which, 0, raw::arg(inherited)); got < 0)
            return got;
        const std::uint64_t hard = limit.hard < inherited[1] ? limit.hard : inherited[1];
        std::uint64_t pair[2] = {limit.soft < hard ? limit.soft : hard, hard};
        if (pair[0] == inherited[0] && pair[1] == inherited[1])
            continue;
        const long result = raw::call(__NR_prlimit64, 0, limit.which, raw::arg(pair), 0);
        if (result < 0)
            return result;
    }
    return 0;
}

long set_affinity(const Payload& payload) {
    if (payload.cpus.size == 0)
        return 0;
    return raw::call(__NR_sched_setaffinity, 0, payload.cpus.size, raw::arg(payload.cpus.bytes));
}

// Should: leave the payload with exactly `keep` in all five sets (capabilities(7)), as uid:gid, without groups.
// Must not: rely on exec to drop anything.
long drop_privileges(const Payload& payload) {
    const std::uint64_t keep = payload.capabilities;
    for (int capability = 0; capability < 64; ++capability)
        if (!(keep >> capability & 1) && raw::prctl(PR_CAPBSET_DROP, capability) == -EINVAL)
            break; // beyond the last one that this kernel knows
    // Before the ids change: uid 0 gets nothing back by exec, and the change itself neither takes nor gives; what is
    // kept is said below, once.
    const long no_root = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED;
    if (const long result = raw::prctl(PR_SET_SECUREBITS, no_root | SECBIT_NO_SETUID_FIXUP); result < 0)
        return result;
    if (payload.set_ids) {
        if (!payload.groups_denied)
            if (const long result = raw::call(__NR_setgroups, 0, 0); result < 0)
                return result;
        if (const long result = raw::call(__NR_setresgid, payload.gid, payload.gid, payload.gid); result < 0)
            return result;
        if (const long result = raw::call(__NR_setresuid, payload.uid, payload.uid, payload.uid); result < 0)
            return result;
    }
    // Locked for good. A payload that was given capabilities may change ids itself, and loses them then as it would
    // expect to (a server that leaves uid 0 behind); one that has none needs no such rule.
    const long final_bits =
        keep ? no_root : no_root | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
    if (const long result = raw::prctl(PR_SET_SECUREBITS, final_bits); result < 0)
        return result;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    for (int half = 0; half < 2; ++half) {
        const auto bits32 = static_cast<std::uint32_t>(keep >> (32 * half));
        data[half] = {bits32, bits32, bits32};
    }
    if (const long result = raw::call(__NR_capset, raw::arg(&header), raw::arg(data)); result < 0)
        return result;
    for (int capability = 0; keep && capability < 64; ++capability)
        if (keep >> capability & 1)
            if (const long result = raw::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability); result < 0)
                return result;
    return 0;
}

// landlock(7). Should: cut off what is outside of the payload's own domain. Must not: leave the ruleset open; it is
// close-on-exec. Needs no_new_privs.
long install_scope(const Payload& payload) {
    if (!payload.scope)
        return 0;
    const struct {
        std::uint64_t files, network, scoped;
    } attributes{0, 0, payload.scope}; // struct landlock_ruleset_attr of Linux 6.12
    const long ruleset = raw::call(__NR_landlock_create_ruleset, raw::arg(&attributes), sizeof attributes, 0);
    if (ruleset < 0)
        return ruleset;
    const long result = raw::call(__NR_landlock_restrict_self, ruleset, 0);
    raw::close(raw::as_int(ruleset));
    return result;
}

// Should: be the last thing but execve; every call that follows is the payload's already. Needs no_new_privs.
long install_filter(const Payload& payload) {
    if (!payload.filter)
        return 0;
    const struct {
        std::uint16_t size;
        const void* instructions;
    } program{payload.filter_size, payload.filter}; // struct sock_fprog, which wants a pointer to what may be written
    return raw::call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, payload.filter_flags, raw::arg(&program));
}

bool is_missing(long error) {
    return error == -ENOENT || error == -ENOTDIR;
}

const char* search_path(const Payload& payload) {
    for (std::uint32_t i = 0; i < payload.envc; ++i) {
        const char* entry = payload.envp[i];
        if (entry[0] == 'P' && entry[1] == 'A' && entry[2] == 'T' && entry[3] == 'H' && entry[4] == '=')
            return entry + 5;
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// execvp(3): a name without a slash is looked for along PATH; a file that may not be executed is remembered.
long execute(const Payload& payload, const char* command) {
    const auto exec = [&](const char* path) {
        return raw::call(__NR_execve, raw::arg(path), raw::arg(payload.argv), raw::arg(payload.envp));
    };
    for (const char* at = command; *at; ++at)
        if (*at == '/')
            return exec(command);
    if (!*command)
        return -ENOENT;
    long result = -ENOENT;
    static char path[4096];
    for (const char* at = search_path(payload); *at;) {
        std::size_t length = 0;
        while (at[length] && at[length] != ':' && length < sizeof path - 300) {
            path[length] = at[length];
            ++length;
        }
        at += length;
        if (*at == ':')
            ++at;
        path[length++] = '/';
        for (const char* name = command; *name && length < sizeof path - 1; ++name)
            path[length++] = *name;
        path[length] = '\0';
        const long error = exec(path);
        if (!is_missing(error))
            result = error;
    }
    return result;
}

} // namespace

// Should: enter it with the payload's own rights: a folder it may not enter is an error, not a way in. Must not: follow
// a link of /proc to what we still hold open, which may lie outside of the root (CVE-2024-21626).
long enter_folder(const char* path) {
    const int folder = raw::openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_MAGICLINKS);
    if (folder < 0)
        return folder;
    const long result = raw::call(__NR_fchdir, folder);
    raw::close(folder);
    return result;
}

long become_payload(State& state, const char* command) {
    Payload& payload = state.payload;
    payload.argv[payload.argc] = nullptr;
    payload.envp[payload.envc] = nullptr;
    raw::call(__NR_setsid);
    const auto at = [](launch::RunPart part, long result) { return result - part * launch::kPart; };
    if (payload.console >= 0)
        if (const long result = make_terminal(payload); result < 0)
            return at(launch::kTerminal, result);
    if (const long result = place_stdio(payload); result < 0)
        return at(launch::kStdio, result);
    if (const long result = place_passed(payload); result < 0)
        return at(launch::kStdio, result);
    if (const long result = set_limits(payload); result < 0)
        return at(launch::kLimits, result);
    if (const long result = set_affinity(payload); result < 0)
        return at(launch::kAffinity, result);
    raw::call(__NR_umask, 022);
    if (const long result = raw::prctl(PR_SET_NO_NEW_PRIVS, 1); result < 0)
        return at(launch::kPrivileges, result);
    if (const long result = drop_privileges(payload); result < 0)
        return at(launch::kPrivileges, result);
    if (const long result = enter_folder(payload.folder ? payload.folder : "/"); result < 0)
        return at(launch::kWorkFolder, result);
    std::uint64_t no_signals = 0;
    raw::call(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, raw::arg(&no_signals), 0, sizeof no_signals);
    // Everything is close-on-exec; this also holds for what some earlier program left open by mistake.
    raw::call(__NR_close_range, kFirstPassed + payload.passed_count, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    if (const long result = install_scope(payload); result < 0)
        return at(launch::kScope, result);
    if (const long result = install_filter(payload); result < 0)
        return at(launch::kFilter, result);
    return execute(payload, command);
}

} // namespace squish::init
