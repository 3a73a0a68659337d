// The steps that build the container's surroundings. Each does one thing; the order is the plan's.

#include "init/kernel.h"
#include "init/state.h"

#include <cerrno>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <sys/prctl.h>

namespace squish::init {

using launch::StepKind;
using launch::StepView;

bool is_slot(std::uint64_t value) {
    return value < launch::kSlots;
}

namespace {

long take(State& state, std::uint32_t slot, int fd) {
    if (fd < 0)
        return fd;
    if (!is_slot(slot) || state.slots[slot] >= 0)
        return -EBADSLT;
    state.slots[slot] = fd;
    return 0;
}

int slot(const State& state, std::uint64_t number) {
    return is_slot(number) ? state.slots[number] : -1;
}

// Creates the filesystem with "key=value,flag" options.
int new_filesystem(const char* type, const char* options, std::uint64_t attributes) {
    const int context = raw::fsopen(type);
    if (context < 0)
        return context;
    char word[256];
    long result = 0;
    for (const char* at = options; *at && result >= 0;) {
        std::size_t length = 0;
        std::size_t equals = 0;
        while (at[length] && at[length] != ',' && length < sizeof word - 1) {
            word[length] = at[length];
            if (at[length] == '=' && equals == 0)
                equals = length;
            ++length;
        }
        word[length] = '\0';
        if (equals)
            word[equals] = '\0';
        result = equals ? raw::fsconfig(context, FSCONFIG_SET_STRING, word, word + equals + 1)
                        : raw::fsconfig(context, FSCONFIG_SET_FLAG, word, nullptr);
        at += length;
        if (*at == ',')
            ++at;
    }
    if (result >= 0)
        result = raw::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr);
    const int mount = result < 0 ? raw::as_int(result) : raw::fsmount(context, attributes);
    raw::close(context);
    return mount;
}

// Attaches at /stage/NUMBER of the keeper's tiny root, where the tree can be filled before it moves on.
long stage(State& state, std::uint32_t mount_slot, std::uint32_t number) {
    if (number > 9)
        return -EINVAL;
    char path[] = "/stage/0";
    path[7] = static_cast<char>('0' + number);
    return raw::move_mount_to(slot(state, mount_slot), AT_FDCWD, path);
}

// That what is bound is a character device of this number: /dev/null is what others trust to swallow (CVE-2025-31133).
long check_device(int device, std::uint64_t number) {
    struct statx info{};
    if (const long result = raw::statx(device, STATX_TYPE, info); result < 0)
        return result;
    constexpr unsigned kType = 0170000, kCharacter = 0020000;
    if (!(info.stx_mask & STATX_TYPE) || (info.stx_mode & kType) != kCharacter ||
        launch::device_number(info.stx_rdev_major, info.stx_rdev_minor) != number)
        return -ENODEV;
    return 0;
}

// Should: bind the host's own node, taken from the keeper's tiny root, and look at what it is. Must not: make a device
// (mknod is refused in a user namespace anyway) or follow anything in a tree that the payload could have touched: the
// tmpfs is a minute old.
long bind_device(const State& state, std::uint32_t folder_slot, const char* name, std::uint64_t number) {
    char source[64] = "/dev/";
    std::size_t end = 5;
    for (const char* at = name; *at; ++at) {
        if (*at == '/' || end >= sizeof source - 1)
            return -EINVAL;
        source[end++] = *at;
    }
    const int folder = slot(state, folder_slot);
    const int point = raw::openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0666);
    if (point < 0)
        return point;
    const int device = raw::open_tree(AT_FDCWD, source, OPEN_TREE_CLONE);
    long result = device < 0 ? device : check_device(device, number);
    if (result >= 0)
        result = raw::move_mount(device, point);
    if (device >= 0)
        raw::close(device);
    raw::close(point);
    return result;
}

int open_beneath(const State& state, std::uint32_t folder_slot, const char* path, int flags) {
    return raw::openat2(slot(state, folder_slot), path, static_cast<std::uint64_t>(flags | O_NOFOLLOW),
                        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

// Should: cover what is there, file or folder, with an empty one that cannot be written to.
long mask(const State& state, std::uint32_t tree_slot, std::uint32_t empty_slot, const char* path) {
    const int target = open_beneath(state, tree_slot, path, O_PATH);
    if (target == -ENOENT)
        return 0; // a kernel without it
    if (target < 0)
        return target;
    struct statx info{};
    long result = raw::statx(target, STATX_TYPE, info);
    if (result >= 0) {
        const bool folder = (info.stx_mode & 0170000) == 0040000;
        const int cover = raw::open_tree(slot(state, empty_slot), folder ? launch::kEmptyFolder : launch::kEmptyFile,
                                         OPEN_TREE_CLONE);
        result = cover < 0 ? cover : raw::move_mount(cover, target);
        if (cover >= 0)
            raw::close(cover);
    }
    raw::close(target);
    return result;
}

// Should: put what lies in the view over what the tree has of that name. Must not: follow a link on either side.
long cover(const State& state, const launch::Step& step, const char* path, const char* source) {
    const int target = open_beneath(state, step.a, path, O_PATH);
    if (target == -ENOENT)
        return 0; // a kernel without it
    if (target < 0)
        return target;
    const int shown = open_beneath(state, step.b, source, O_PATH);
    long result = shown;
    if (shown >= 0) {
        const int copy = raw::open_tree(shown, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
        result = copy < 0 ? copy : raw::move_mount(copy, target);
        if (copy >= 0)
            raw::close(copy);
        raw::close(shown);
    } else if (shown == -ENOENT && (step.flags & launch::kMayMiss)) {
        result = 0;
    }
    raw::close(target);
    return result;
}

// Should: mount the tree from there on over itself, read-only. Must not: change what others see of the filesystem.
long freeze(const State& state, std::uint32_t tree_slot, const char* path) {
    const int target = open_beneath(state, tree_slot, path, O_PATH);
    if (target == -ENOENT)
        return 0;
    if (target < 0)
        return target;
    const int copy = raw::open_tree(target, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    long result = copy;
    if (result >= 0)
        result = raw::mount_setattr(copy, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (result >= 0)
        result = raw::move_mount(copy, target);
    if (copy >= 0)
        raw::close(copy);
    raw::close(target);
    return result;
}

// The tree is one that a step has made, a private handle: no other mount is in the way (CVE-2019-19921).
long write_file(const State& state, std::uint32_t folder_slot, const char* path, const char* text, std::size_t size) {
    const int file = open_beneath(state, folder_slot, path, O_WRONLY);
    if (file < 0)
        return file;
    const long put = raw::write(file, text, size);
    raw::close(file);
    return put < 0 ? put : static_cast<std::size_t>(put) == size ? 0 : -EIO;
}

long attach_beneath(const State& state, std::uint32_t folder_slot, std::uint32_t mount_slot, const char* name) {
    const int target = open_beneath(state, folder_slot, name, O_PATH);
    if (target < 0)
        return target;
    const long result = raw::move_mount(slot(state, mount_slot), target);
    raw::close(target);
    return result;
}

// The new root is attached beneath the tiny one; its slot stays usable as a folder.
long take_root(State& state, std::uint32_t mount_slot) {
    const int mount = slot(state, mount_slot);
    if (mount < 0)
        return -EBADF;
    const long result = raw::move_mount_to(mount, AT_FDCWD, "/root");
    if (result < 0)
        return result;
    if (state.slots[launch::kSlots - 1] >= 0)
        return -EBADSLT;
    state.slots[launch::kSlots - 1] = mount; // an alias: closed once, at exec
    return 0;
}

// Should: resolve the target as the container would, links included where they may be, never leaving the new root.
// Must not: follow a magic link.
long attach(const State& state, std::uint32_t mount_slot, const char* path, std::uint16_t flags) {
    const int root = state.slots[launch::kSlots - 1];
    const int target =
        raw::openat2(root, path, O_PATH,
                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (flags & launch::kNoLinks ? RESOLVE_NO_SYMLINKS : 0));
    if (target < 0)
        return target;
    const long result = raw::move_mount(slot(state, mount_slot), target);
    raw::close(target);
    return result;
}

// pivot_root(2), "pivot_root(".", ".")": the old root ends up over the new one and is detached from there.
long pivot(State& state) {
    const int root = state.slots[launch::kSlots - 1];
    long result = raw::call(__NR_fchdir, root);
    if (result >= 0)
        result = raw::call(__NR_pivot_root, raw::arg("."), raw::arg("."));
    if (result >= 0)
        result = raw::call(__NR_umount2, raw::arg("."), 2 /* MNT_DETACH */);
    if (result >= 0)
        result = raw::call(__NR_chdir, raw::arg("/"));
    state.rooted_ns = raw::monotonic_ns();
    return result;
}

std::size_t put_number(char* out, std::int64_t value) {
    char digits[24];
    std::size_t count = 0;
    std::uint64_t left = value < 0 ? static_cast<std::uint64_t>(-value) : static_cast<std::uint64_t>(value);
    do
        digits[count++] = static_cast<char>('0' + left % 10);
    while (left /= 10);
    std::size_t at = 0;
    if (value < 0)
        out[at++] = '-';
    while (count)
        out[at++] = digits[--count];
    return at;
}

// time_namespaces(7): offsets can be written only until a process has entered, so: unshare, write, then fork.
long start_boot_clock(const State& state, std::uint32_t proc_slot) {
    long result = raw::call(__NR_unshare, CLONE_NEWTIME);
    if (result < 0)
        return result;
    const int file = raw::openat(slot(state, proc_slot), "self/timens_offsets", O_WRONLY);
    if (file < 0)
        return file;
    const auto now = raw::clock(7 /* CLOCK_BOOTTIME */);
    char text[96] = "boottime ";
    std::size_t end = 9;
    const bool fraction = now.nanoseconds > 0;
    end += put_number(text + end, -now.seconds - (fraction ? 1 : 0));
    text[end++] = ' ';
    end += put_number(text + end, fraction ? 1'000'000'000 - now.nanoseconds : 0);
    text[end++] = '\n';
    result = raw::write(file, text, end);
    raw::close(file);
    return result < 0 ? result : 0;
}

long bring_up_loopback() {
    const int socket = raw::as_int(raw::call(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket < 0)
        return socket;
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP;
    const long result = raw::ioctl(socket, SIOCSIFFLAGS, raw::arg(&request));
    raw::close(socket);
    return result;
}

long set_hostname(const char* name, std::uint32_t size) {
    return raw::call(__NR_sethostname, raw::arg(name), size);
}

} // namespace

long perform(State& state, const StepView& view) {
    const launch::Step& step = *view.step;
    const int fd = slot(state, step.a);
    switch (static_cast<StepKind>(step.kind)) {
    case StepKind::new_proc:
        return take(state, step.a,
                    new_filesystem("proc", "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    case StepKind::new_tmpfs:
        return take(state, step.a, new_filesystem("tmpfs", view.text1, step.c));
    case StepKind::new_devpts:
        return take(state, step.a, new_filesystem("devpts", view.text1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
    case StepKind::new_cgroup:
        return take(state, step.a,
                    new_filesystem("cgroup2", "",
                                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    case StepKind::new_mqueue:
        return take(state, step.a,
                    new_filesystem("mqueue", "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    case StepKind::stage:
        return stage(state, step.a, step.b);
    case StepKind::device:
        return bind_device(state, step.a, view.text1, step.c);
    case StepKind::symlink:
        return raw::call(__NR_symlinkat, raw::arg(view.text1), fd, raw::arg(view.text2));
    case StepKind::directory: {
        const long made = raw::call(__NR_mkdirat, fd, raw::arg(view.text1), step.b);
        return made == -EEXIST && (step.flags & launch::kMayExist) ? 0 : made;
    }
    case StepKind::keep:
        if (!is_slot(step.a) || fd < 0)
            return -EBADF;
        state.slots[step.a] = -1;
        return take(state, step.b, fd);
    case StepKind::file: {
        const int made = raw::openat(fd, view.text1, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, raw::as_int(step.b));
        if (made == -EEXIST && (step.flags & launch::kMayExist))
            return 0;
        return made < 0 ? made : raw::close(made);
    }
    case StepKind::attach_beneath:
        return attach_beneath(state, step.a, step.b, view.text1);
    case StepKind::mask:
        return mask(state, step.a, step.b, view.text1);
    case StepKind::cover:
        return cover(state, step, view.text1, view.text2);
    case StepKind::freeze:
        return freeze(state, step.a, view.text1);
    case StepKind::write:
        return write_file(state, step.a, view.text1, view.text2, step.text2_size);
    case StepKind::root:
        return take_root(state, step.a);
    case StepKind::attach:
        return attach(state, step.a, view.text1, step.flags);
    case StepKind::read_only:
        return raw::mount_setattr(fd, step.c);
    case StepKind::pivot:
        return pivot(state);
    case StepKind::joined_root:
        return take(state, launch::kSlots - 1, raw::openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    case StepKind::hostname:
        return set_hostname(view.text1, step.text1_size);
    case StepKind::time_offset:
        return start_boot_clock(state, step.a);
    case StepKind::loopback:
        return bring_up_loopback();
    case StepKind::no_dump:
        return raw::prctl(PR_SET_DUMPABLE, 0);
    case StepKind::notify:
        return notify(state, step.c, step.flags & launch::kMayFail);
    case StepKind::keyring: {
        const long joined = raw::call(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
        // No keys in the kernel; or a filter that squish itself runs under, and with it all that we start.
        return joined == -ENOSYS || joined == -EPERM ? 0 : joined;
    }
    default:
        return describe(state, view);
    }
}

} // namespace squish::init
