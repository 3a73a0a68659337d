// Ends this process where one request takes too long, so that the next server tries again; and says when it is time for
// what is done once in a while. Costs no system call while requests come one after another.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <ctime>

namespace squish::procfsd {

class Watchdog {
public:
    static constexpr int kDeadlineSeconds = 2; // at least so long, and at most one more
    static constexpr int kTickSeconds = 5;

    // Its timers are the process's: one in a process. SIGALRM is ours from now on, and interrupts a read.
    [[nodiscard]] static Result<Watchdog> start();

    // Before each request that is answered.
    void request_begins();
    // Before waiting for the next one: true where a tick is due. `ticks`: somebody wants ticks.
    enum class Ticks { none, wanted };
    [[nodiscard]] bool wait_begins(Ticks ticks);

private:
    void arm_deadline(std::int64_t now);

    timer_t deadline_ = nullptr, pulse_ = nullptr;
    int pulse_seconds_ = 0;     // 0: no pulse
    std::int64_t armed_at_ = 0; // 0: not armed
    std::int64_t ticked_at_ = 0;
    bool was_busy_ = false; // since the last pulse
};

} // namespace squish::procfsd
