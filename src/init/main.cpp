// squish-init: PID 1 of every container, and the last moments of a process that joins one.
//
// How this works
//   It starts with one descriptor, 3, the socket to the keeper, and waits there for plans (launch/format.h). A prelude
//   may come first, long before the container is wanted: it makes what every container has (proc, /dev). The plan
//   itself ends with `run` (fork the payload, stay as PID 1) or `become` (turn into the payload). A step that fails is
//   reported with its index and errno, and init ends with 125: the kernel takes the namespaces down with it.
//   It is executed from a sealed memfd: /proc/1/exe leads to something nobody can write (CVE-2019-5736).

#include "init/kernel.h"
#include "init/state.h"

#include <cerrno>
#include <linux/wait.h>
#include <sys/mman.h>
#include <sys/prctl.h>

namespace squish::init {

void report(const State& state, launch::ReportKind kind, std::int32_t value, std::uint64_t executed_ns) {
    const launch::Report report{launch::kMagic,  kind,       state.step, value, state.received_ns,
                                state.rooted_ns, executed_ns};
    raw::write(kControl, &report, sizeof report); // a payload's filter lets write(2) pass, whatever else it refuses
}

namespace {

constexpr int kCannotStart = 125;

State state; // zeroed; lives as long as the process

[[noreturn]] void give_up(long error) {
    report(state, launch::ReportKind::failed, static_cast<std::int32_t>(-error));
    raw::exit(kCannotStart);
}

// Receives one plan message; the descriptors behind the plan's own go to slots 0, 1, 2, …
int receive_plan(launch::PlanMessage& message) {
    iovec data{&message, sizeof message};
    union {
        cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * 253)];
    } control;
    msghdr envelope{};
    envelope.msg_iov = &data;
    envelope.msg_iovlen = 1;
    envelope.msg_control = control.bytes;
    envelope.msg_controllen = sizeof control.bytes;
    long got = 0;
    do
        got = raw::call(__NR_recvmsg, kControl, raw::arg(&envelope), MSG_CMSG_CLOEXEC);
    while (got == -EINTR);
    if (got == 0)
        raw::exit(0); // the keeper is gone, or does not need this cell
    if (got != sizeof message || message.magic != launch::kMagic || (envelope.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        envelope.msg_controllen < sizeof(cmsghdr) || control.header.cmsg_type != SCM_RIGHTS)
        give_up(-EBADMSG);
    const std::size_t count = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const int* fds = reinterpret_cast<const int*>(control.bytes + CMSG_LEN(0));
    for (std::size_t i = 1; i < count && i <= launch::kOwnSlots; ++i)
        state.slots[i - 1] = fds[i];
    return fds[0];
}

launch::PlanReader map_plan(int memfd) {
    const long size = raw::call(__NR_lseek, memfd, 0, SEEK_END);
    if (size <= 0 || size > launch::kMaxPlanBytes)
        give_up(-EBADMSG);
    const long address = raw::call(__NR_mmap, 0, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, memfd, 0);
    if (address < 0 && address > -4096)
        give_up(address);
    raw::close(memfd);
    return {reinterpret_cast<const void*>(address), static_cast<std::size_t>(size)};
}

// Forks the payload and waits until it has been executed: the pipe is close-on-exec, only the child holds its other
// end, and a failure is written into it explicitly.
[[noreturn]] void run(const char* command) {
    int pipe[2];
    if (const long result = raw::call(__NR_pipe2, raw::arg(pipe), O_CLOEXEC); result < 0)
        give_up(result);
    const int child = raw::fork();
    if (child < 0)
        give_up(child);
    if (child == 0) {
        // Out of the way of what the payload is passed.
        const long moved = raw::call(__NR_fcntl, pipe[1], F_DUPFD_CLOEXEC, kFirstPassed + kMaxPassed);
        if (moved >= 0)
            raw::close(pipe[1]);
        const int out = moved >= 0 ? raw::as_int(moved) : pipe[1];
        const long error = moved >= 0 ? become_payload(state, command) : moved;
        raw::write(out, &error, sizeof error);
        raw::exit(kCannotStart);
    }
    raw::close(pipe[1]);
    long error = 0;
    long got = 0;
    do
        got = raw::call(__NR_read, pipe[0], raw::arg(&error), sizeof error);
    while (got == -EINTR);
    if (got == sizeof error)
        give_up(error);
    report(state, launch::ReportKind::started, child, raw::monotonic_ns());
    ++state.step;
    supervise(state, child);
}

[[noreturn]] void main() {
    for (int& slot : state.slots)
        slot = -1;
    state.payload.console = -1;
    std::uint64_t every_signal = ~0ULL;
    raw::call(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, raw::arg(&every_signal), 0, sizeof every_signal);
    raw::call(__NR_setsid);
    raw::prctl(PR_SET_NAME, raw::arg("squish-init")); // newer kernels name it after the memfd it was executed from
    for (;;) {
        launch::PlanMessage message{};
        const int memfd = receive_plan(message);
        if (message.last)
            state.received_ns = raw::monotonic_ns();
        auto plan = map_plan(memfd);
        launch::StepView view;
        for (; plan.next(view); ++state.step) {
            const auto kind = static_cast<launch::StepKind>(view.step->kind);
            if (kind == launch::StepKind::run)
                run(view.text1);
            if (kind == launch::StepKind::leave)
                raw::exit(0);
            const long result =
                kind == launch::StepKind::become ? become_payload(state, view.text1) : perform(state, view);
            if (result < 0)
                give_up(result);
        }
        if (!plan.valid() || message.last)
            give_up(-EBADMSG); // a last plan ends with run, become or leave
    }
}

} // namespace
} // namespace squish::init

// The compiler may call these even without a libc.
extern "C" {
void* memset(void* target, int value, std::size_t size) {
    auto* at = static_cast<volatile unsigned char*>(target);
    while (size--)
        *at++ = static_cast<unsigned char>(value);
    return target;
}
void* memcpy(void* __restrict target, const void* __restrict source, std::size_t size) {
    auto* to = static_cast<volatile unsigned char*>(target);
    const auto* from = static_cast<const unsigned char*>(source);
    while (size--)
        *to++ = *from++;
    return target;
}
[[noreturn]] void squish_init_main() {
    squish::init::main();
}
}

// The stack is aligned by hand: the kernel enters with no return address on it.
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall squish_init_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tb squish_init_main\n");
#endif
