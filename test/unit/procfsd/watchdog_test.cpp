// A process has one watchdog: each case is a child.
#include "procfsd/watchdog.h"

#include <chrono>
#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace squish::procfsd {
namespace {

using namespace std::chrono_literals;

int status_of(const std::function<void(Watchdog&)>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        auto watchdog = Watchdog::start();
        if (!watchdog)
            ::_exit(1);
        body(*watchdog);
        ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

void expect_killed(const std::function<void(Watchdog&)>& body) {
    const int status = status_of(body);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

// Longer than any request may take.
constexpr auto kLong = std::chrono::seconds(Watchdog::kDeadlineSeconds + 2);

void sleep_through_signals(std::chrono::steady_clock::duration time) {
    for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;)
        std::this_thread::sleep_until(end);
}

TEST(Watchdog, ARequestThatHangsEndsTheProcess) {
    expect_killed([](Watchdog& watchdog) {
        watchdog.request_begins();
        sleep_through_signals(2 * kLong);
    });
}

TEST(Watchdog, TheLastOfManyMayNotHangEither) {
    expect_killed([](Watchdog& watchdog) {
        for (int i = 0; i < 20; ++i) {
            watchdog.request_begins();
            sleep_through_signals(10ms);
            (void) watchdog.wait_begins(Watchdog::Ticks::wanted);
        }
        watchdog.request_begins();
        sleep_through_signals(2 * kLong);
    });
}

TEST(Watchdog, ManyRequestsOneAfterAnotherAreNoHarm) {
    const int status = status_of([](Watchdog& watchdog) {
        for (const auto end = std::chrono::steady_clock::now() + kLong; std::chrono::steady_clock::now() < end;) {
            watchdog.request_begins();
            sleep_through_signals(1ms);
            (void) watchdog.wait_begins(Watchdog::Ticks::none);
        }
    });
    EXPECT_EQ(status, 0);
}

TEST(Watchdog, WhoHasNothingToDoIsLeftAloneAndTicks) {
    const int status = status_of([](Watchdog& watchdog) {
        watchdog.request_begins();
        while (!watchdog.wait_begins(Watchdog::Ticks::wanted))
            ::pause(); // as a read of the connection, which a pulse ends
    });
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace squish::procfsd
