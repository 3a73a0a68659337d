#include "procfsd/watchdog.h"

#include <csignal>

namespace squish::procfsd {

namespace {

volatile std::sig_atomic_t pulse_came = 0;

void on_pulse(int) {
    pulse_came = 1;
}

std::int64_t now_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec + 1; // never 0
}

void set(timer_t timer, int seconds, int interval) {
    itimerspec when{};
    when.it_value.tv_sec = seconds;
    when.it_interval.tv_sec = interval;
    ::timer_settime(timer, 0, &when, nullptr);
}

Result<timer_t> make_timer(int signal_number) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signal_number;
    timer_t timer = nullptr;
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return fail_errno("timer_create");
    return timer;
}

} // namespace

Result<Watchdog> Watchdog::start() {
    struct sigaction action{};
    action.sa_handler = on_pulse; // without SA_RESTART: it ends a read that waits
    if (::sigaction(SIGALRM, &action, nullptr) < 0)
        return fail_errno("sigaction");
    Watchdog watchdog;
    watchdog.deadline_ = TRY(make_timer(SIGKILL)); // the kernel's own: it reaches us wherever we hang
    watchdog.pulse_ = TRY(make_timer(SIGALRM));
    return watchdog;
}

void Watchdog::arm_deadline(std::int64_t now) {
    set(deadline_, kDeadlineSeconds + 1, 0);
    armed_at_ = now;
}

void Watchdog::request_begins() {
    was_busy_ = true;
    if (const auto now = now_seconds(); now != armed_at_)
        arm_deadline(now);
    if (pulse_seconds_ != 1) { // disarms the deadline when there was nothing to do for a second
        pulse_seconds_ = 1;
        set(pulse_, 1, 1);
    }
}

bool Watchdog::wait_begins(Ticks ticks) {
    // A pulse that comes after this and before the wait is seen at the next one, which is before the deadline.
    if (!pulse_came)
        return false;
    pulse_came = 0;
    const auto now = now_seconds();
    if (was_busy_) {
        was_busy_ = false;
        arm_deadline(now);
    } else {
        set(deadline_, 0, 0);
        armed_at_ = 0;
        const int seconds = ticks == Ticks::wanted ? kTickSeconds : 0;
        if (seconds != pulse_seconds_)
            set(pulse_, seconds, seconds);
        pulse_seconds_ = seconds;
    }
    if (ticks == Ticks::none || now < ticked_at_ + kTickSeconds)
        return false;
    ticked_at_ = now;
    return true;
}

} // namespace squish::procfsd
