// PID 1's second life: forward signals, reap, exit with the payload.
//
// Signals are blocked and taken with rt_sigtimedwait(2), so none is lost between two looks. A signal that the kernel
// sends on a terminal's behalf (SIGINT, SIGQUIT) goes to the payload's process group, as a terminal would send it;
// any other to the payload alone.

#include "init/kernel.h"
#include "init/state.h"

#include <cerrno>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace squish::init {

namespace {

void close_all() {
    raw::call(__NR_close_range, 4, ~0U, 0);
    for (int number = 0; number < 3; ++number)
        raw::close(number);
}

// Should: keep CAP_KILL, to signal a payload with another uid. Must not: keep anything else.
void drop_to_kill() {
    raw::prctl(PR_SET_NO_NEW_PRIVS, 1);
    for (int capability = 0; capability < 64; ++capability)
        if (raw::prctl(PR_CAPBSET_DROP, capability) == -EINVAL)
            break;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    data[0].effective = data[0].permitted = 1U << CAP_KILL;
    raw::call(__NR_capset, raw::arg(&header), raw::arg(data));
}

// Reaps everything there is; true once the payload was among it.
bool reap(int payload, int& status) {
    bool found = false;
    for (;;) {
        int one = 0;
        const long pid = raw::call(__NR_wait4, -1, raw::arg(&one), WNOHANG, 0);
        if (pid <= 0)
            return found;
        if (pid == payload) {
            status = one;
            found = true;
        }
    }
}

} // namespace

void supervise(State& state, int payload) {
    drop_to_kill();
    raw::prctl(PR_SET_DUMPABLE, 0);
    close_all();
    const std::uint64_t every_signal = ~0ULL;
    for (;;) {
        const long number = raw::call(__NR_rt_sigtimedwait, raw::arg(&every_signal), 0, 0, sizeof every_signal);
        if (number == SIGCHLD) {
            int status = 0;
            if (!reap(payload, status))
                continue;
            report(state, launch::ReportKind::exited, status);
            const int ended_by = status & 0x7F;
            raw::exit(ended_by ? 128 + ended_by : status >> 8 & 0xFF);
        }
        if (number == SIGINT || number == SIGQUIT) {
            if (raw::kill(-payload, raw::as_int(number)) < 0)
                raw::kill(payload, raw::as_int(number));
        } else if (number > 0) {
            raw::kill(payload, raw::as_int(number));
        }
    }
}

} // namespace squish::init
