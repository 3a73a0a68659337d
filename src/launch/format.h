// The launch plan on the wire: what squish-init executes, in order.
//
// How this works
//   The engine decides everything and writes a plan: a header and a sequence of steps of one shape (a kind, two
//   numbers, a wide number, two texts). It travels in a sealed memfd. Descriptors travel beside it; received ones
//   occupy slots 0…N-1 of init's descriptor table in the order of sending, and steps may fill further slots.
//   Init maps the memfd and executes one step after the other; the first that fails is reported by its index.
//
// This header is shared with squish-init, which has no libc and no exceptions: nothing but <cstdint> and <cstddef>.
#pragma once

#include <cstddef>
#include <cstdint>

namespace squish::launch {

inline constexpr std::uint32_t kMagic = 0x31505153; // "SQP1"
inline constexpr std::uint32_t kSlots = 320;        // descriptor table of init: 253 received at most, then its own
inline constexpr std::uint32_t kOwnSlots = 256;     // the first slot for descriptors that steps make
inline constexpr std::uint32_t kMaxPlanBytes = 8 << 20;
inline constexpr std::uint32_t kMaxSteps = 16384;

// Every step Should do what it says and Must not leave a descriptor open over exec (all are close-on-exec).
enum class StepKind : std::uint16_t {
    none = 0,

    // --- descriptors -------------------------------------------------------------------------------------------
    new_proc = 1,       // a=slot: fsopen("proc") of this pid namespace, detached
    new_tmpfs = 2,      // a=slot, text1=options "size=64k,mode=0755", c=MOUNT_ATTR_*
    new_devpts = 3,     // a=slot, text1=options
    new_mqueue = 4,     // a=slot
    stage = 5,          // a=slot: attach the detached mount at the staging point NUMBER b, where it can be filled
    device = 6,         // a=slot of a staged /dev, text1=name, c=device_number(): the host's node of that name, bound
    symlink = 7,        // a=slot, text1=content, text2=name beneath the slot's folder
    directory = 8,      // a=slot, text1=name, b=mode
    keep = 10,          // a=slot, b=slot: a received descriptor moves out of the way of the next plan's
    file = 11,          // a=slot, text1=name, b=mode: an empty file, to mount over
    attach_beneath = 9, // a=slot of a staged folder, b=slot of a mount, text1=name: attach the mount there
    mask = 12,       // a=slot of an attached tree, b=slot of a staged folder, text1=path beneath the tree: covered by
                     // kEmptyFile or kEmptyFolder of b; a path that is not there needs no cover
    cover = 21,      // a=slot of an attached tree, b=slot of a staged folder, text1=path beneath the tree: covered by
                     // what is at text2 beneath the folder, flags & kMayMiss: if there is anything; a path that is not
                     // in the tree needs no cover
    freeze = 13,     // a=slot of an attached tree, text1=path beneath: read-only from here; needs to be there no more
    write = 14,      // a=slot of a folder, text1=path beneath, text2=what is written into that file
    new_cgroup = 15, // a=slot: cgroup2 as init's cgroup namespace shows it, read-only

    // --- the root ----------------------------------------------------------------------------------------------
    root = 16,      // a=slot: this detached mount becomes the new root
    attach = 17,    // a=slot, text1=absolute path in the new root (openat2 RESOLVE_IN_ROOT); flags & kNoLinks
    read_only = 18, // a=slot: remount read-only (mount_setattr), c=MOUNT_ATTR_* to set
    pivot = 19,     // the new root becomes "/", the old one is detached

    joined_root = 20, // the root of the namespaces that were joined is what `attach` resolves in

    // --- the rest of the surroundings ----------------------------------------------------------------------------
    hostname = 32,    // text1
    time_offset = 33, // a=slot of proc: an own time namespace in which CLOCK_BOOTTIME starts now
    loopback = 34,    // bring lo up (an own network namespace made by clone)
    no_dump = 35,     // PR_SET_DUMPABLE 0 for init
    keyring = 36,     // an anonymous session keyring, empty; fine where the kernel has no keys
    // c=key, not 0: sysinfo(2) of this process and all that it starts is answered by whoever has the listener, which
    // goes to the keeper (ReportKind::listener); flags & kMayFail: not where seccomp(2) refuses that. Once for a
    // process.
    notify = 37,

    // --- the payload; these only collect, `run` or `become` acts -----------------------------------------------------
    argument = 48,       // text1
    environment = 49,    // text1="KEY=value"
    work_folder = 50,    // text1: created never, an error where missing
    ids = 51,            // a=uid, b=gid, flags & kKeepGroups: setgroups is denied here (single-id map)
    standard_io = 52,    // a=slot of stdin, b=slot of stdout, c=slot of stderr
    terminal = 53,       // a=slot of the console socket, b=rows<<16|columns
    capabilities = 54,   // c=bit mask that the payload keeps (permitted, effective, inheritable, ambient, bounding)
    resource_limit = 55, // a=RLIMIT_*, b unused, c=soft, text1=hard in decimal where it differs
    seccomp = 56,        // a=slot of a sealed memfd with struct sock_filter[], b=SECCOMP_FILTER_FLAG_*
    pass = 57,           // a=slot: the payload gets it as the next of 3, 4, … (sd_listen_fds(3))
    scope = 58,          // c=LANDLOCK_SCOPE_*: what the payload reaches of that kind is its own
    affinity = 59,       // text1=mask of the CPUs that the payload may run on, as read_mask() takes it
    run = 64,            // text1=command: fork; the child becomes the payload (PID 2), init stays as PID 1
    become = 65,         // text1=command: this very process becomes the payload (`squish exec`)
    leave = 66,          // nothing is executed: what was done was all (layers of a container that runs)
};

inline constexpr const char* kEmptyFile = "file"; // of the staged folder that `mask` takes its covers from
inline constexpr const char* kEmptyFolder = "folder";

// A device's number as `device` compares it.
constexpr std::uint64_t device_number(std::uint32_t major, std::uint32_t minor) {
    return std::uint64_t{major} << 32 | minor;
}

inline constexpr std::uint16_t kMayExist = 1; // directory, file: one that is there already is fine
inline constexpr std::uint16_t kKeepGroups = 1;
inline constexpr std::uint16_t kNoLinks = 1; // attach: a path with a link in it is an error
inline constexpr std::uint16_t kMayMiss = 1; // cover: no cover there is fine
inline constexpr std::uint16_t kMayFail = 1; // notify: a kernel without it, or one who listens already, is fine

// A mask of CPUs as sched_setaffinity(2) takes it: CPU n is bit n % 8 of byte n / 8. In text two hexadecimal digits a
// byte, the first byte first: "0f" is CPUs 0 to 3, "0001" is CPU 8.
struct CpuMask {
    std::uint32_t size = 0; // in bytes; 0: no mask
    unsigned char bytes[128];
};

// Size 0 where the text is no mask, holds no CPU, or is longer than a mask may be.
[[nodiscard]] constexpr CpuMask read_mask(const char* text, std::size_t size) {
    CpuMask out{};
    if (size % 2 != 0 || size / 2 > sizeof out.bytes)
        return out;
    bool any = false;
    for (std::size_t i = 0; i < size; ++i) {
        const char digit = text[i];
        const int value = digit >= '0' && digit <= '9'   ? digit - '0'
                          : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                                         : -1;
        if (value < 0)
            return out;
        any |= value != 0;
        out.bytes[i / 2] = static_cast<unsigned char>(out.bytes[i / 2] << 4 | value);
    }
    if (any)
        out.size = static_cast<std::uint32_t>(size / 2);
    return out;
}

struct PlanHeader {
    std::uint32_t magic;
    std::uint32_t size; // of the whole plan, this header included
    std::uint32_t steps;
    std::uint32_t reserved;
};

struct Step {
    std::uint16_t kind;
    std::uint16_t flags;
    std::uint32_t size; // of this step with its texts, a multiple of 8
    std::uint32_t a;
    std::uint32_t b;
    std::uint64_t c;
    std::uint32_t text1_size; // without the NUL that follows
    std::uint32_t text2_size;
    // text1 NUL text2 NUL padding
};
static_assert(sizeof(PlanHeader) == 16 && sizeof(Step) == 32);

// One step, checked: the texts end with NUL and hold none before.
struct StepView {
    const Step* step = nullptr;
    const char* text1 = nullptr;
    const char* text2 = nullptr;
};

// Walks a plan without trusting it: every size is checked against the bytes that are there.
class PlanReader {
public:
    PlanReader(const void* bytes, std::size_t size) : bytes_(static_cast<const char*>(bytes)), size_(size) {
        if (size < sizeof(PlanHeader))
            return;
        const auto* header = reinterpret_cast<const PlanHeader*>(bytes_);
        valid_ = header->magic == kMagic && header->size == size && size <= kMaxPlanBytes && header->steps <= kMaxSteps;
        steps_ = valid_ ? header->steps : 0;
    }
    [[nodiscard]] bool valid() const { return valid_; }
    [[nodiscard]] std::uint32_t steps() const { return steps_; }

    // The next step; false at the end or where the plan is malformed (valid() is false then).
    bool next(StepView& out) {
        if (!valid_ || index_ == steps_) {
            valid_ &= offset_ == size_; // nothing may follow the last step
            return false;
        }
        const std::size_t left = size_ - offset_;
        const auto* step = reinterpret_cast<const Step*>(bytes_ + offset_);
        const bool sound = left >= sizeof(Step) && step->size % 8 == 0 && step->size >= sizeof(Step) &&
                           step->size <= left &&
                           std::size_t{step->text1_size} + step->text2_size + 2 <= step->size - sizeof(Step);
        if (!sound)
            return valid_ = false;
        out.step = step;
        out.text1 = bytes_ + offset_ + sizeof(Step);
        out.text2 = out.text1 + step->text1_size + 1;
        if (!is_text(out.text1, step->text1_size) || !is_text(out.text2, step->text2_size))
            return valid_ = false;
        offset_ += step->size;
        ++index_;
        return true;
    }

private:
    static bool is_text(const char* text, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i)
            if (text[i] == '\0')
                return false;
        return text[size] == '\0';
    }

    const char* bytes_;
    std::size_t size_;
    std::size_t offset_ = sizeof(PlanHeader);
    std::uint32_t index_ = 0;
    std::uint32_t steps_ = 0;
    bool valid_ = false;
};

// --- what init tells the keeper, and the keeper init, over fd 3 (SOCK_SEQPACKET)
// ---------------------------------------

enum class ReportKind : std::uint32_t {
    started = 1, // the payload has been executed; value = its pid inside
    failed = 2,  // step `step` failed with errno `value`
    exited = 3,  // the payload ended; value = its wait status. Init exits right after.
    // A step `notify`: received_ns = its key, all behind it 0; with the listener (seccomp_unotify(2)) as a descriptor.
    listener = 4,
};

// `value` of a failed `run` or `become`: errno + kPart * the part of it that failed.
inline constexpr std::int32_t kPart = 10000;
enum RunPart : std::int32_t {
    kExecute = 0,
    kTerminal = 1,
    kStdio = 2,
    kLimits = 3,
    kPrivileges = 4,
    kWorkFolder = 5,
    kFilter = 6,
    kScope = 7,
    kAffinity = 8
};

struct Report {
    std::uint32_t magic;
    ReportKind kind;
    std::uint32_t step; // index of the step, counted over all plans this init was given
    std::int32_t value;
    std::uint64_t received_ns, rooted_ns, executed_ns; // CLOCK_MONOTONIC: plan received, pivoted, payload executed
};

// False where the bytes are no report of ours; `out` is as it was then.
[[nodiscard]] inline bool read_report(const void* bytes, std::size_t size, Report& out) {
    Report report{};
    if (size != sizeof report)
        return false;
    __builtin_memcpy(&report, bytes, sizeof report);
    if (report.magic != kMagic || report.kind < ReportKind::started || report.kind > ReportKind::listener)
        return false;
    if (report.kind == ReportKind::listener &&
        (report.received_ns == 0 || report.value != 0 || report.rooted_ns != 0 || report.executed_ns != 0))
        return false;
    out = report;
    return true;
}

// A plan message: this header, with the plan's memfd as the first descriptor and the slots' descriptors behind it.
struct PlanMessage {
    std::uint32_t magic;
    std::uint32_t last; // 1: nothing follows, the plan contains `run`, `become` or `leave`; 0: a prelude, wait for more
};

} // namespace squish::launch
