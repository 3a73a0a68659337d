// [health]: a command inside the container, over and over, that says whether its payload does its work.
//
// How this works
//   The keeper clones each check into the container, as it does for `squish exec`: nothing of it runs on the host. It
//   is killed when it takes too long. As long as a container is "starting" it is asked at least once a second; failures
//   then count only after `start_period`. `retries` failures in a row make it unhealthy, one success healthy.

#include "engine/impl.h"

#include "base/text.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace squish {

namespace {

using namespace std::chrono_literals;

constexpr int kTimedOut = 124; // as timeout(1) has it
constexpr std::chrono::milliseconds kWhileStarting = 1s;

// Takes what a check writes, so that it never waits for us, and keeps the beginning.
asio::awaitable<void> collect(std::shared_ptr<asio::posix::stream_descriptor> pipe,
                              std::shared_ptr<std::string> output) {
    char buffer[4096];
    for (;;) {
        const auto [error] = co_await pipe->async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
        if (error)
            co_return;
        const auto got = ::read(pipe->native_handle(), buffer, sizeof buffer);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            co_return;
        if (got > 0 && output->size() < kMaxHealthOutput)
            output->append(buffer, std::min(static_cast<std::size_t>(got), kMaxHealthOutput - output->size()));
    }
}

// Of a check that could not be started, as a shell has it.
int code_of(ErrorKind kind) {
    return kind == ErrorKind::no_command ? 127 : kind == ErrorKind::not_executable ? 126 : 125;
}

Result<ExecRequest> make_check(const HealthSpec& health, UniqueFd& reader) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    reader = UniqueFd(ends[0]);
    UniqueFd writer(ends[1]);
    if (::fcntl(reader.get(), F_SETFL, O_NONBLOCK) < 0)
        return fail_errno("fcntl");
    ExecRequest request;
    request.command = health.command;
    request.io.err = UniqueFd(::fcntl(writer.get(), F_DUPFD_CLOEXEC, 3));
    request.io.out = std::move(writer);
    return request;
}

} // namespace

const char* to_string(HealthInfo::Status status) {
    switch (status) {
    case HealthInfo::Status::starting:
        return "starting";
    case HealthInfo::Status::healthy:
        return "healthy";
    case HealthInfo::Status::unhealthy:
        return "unhealthy";
    }
    std::unreachable();
}

void Engine::Impl::begin_health(const RecordPtr& record) {
    if (!record->info.file.health)
        return;
    if (!record->info.health)
        record->info.health.emplace();
    asio::co_spawn(executor_, watch_health(record, record->run), asio::detached);
}

// As long as this run of the container lasts.
asio::awaitable<void> Engine::Impl::watch_health(RecordPtr record, unsigned run) {
    const auto spec = *record->info.file.health;
    const auto is_over = [&] {
        return shutting_down_ || record->run != run || !is_alive(record->info.state) ||
               !records_.contains(record->info.id);
    };
    for (;;) {
        const bool starting = record->info.health->status == HealthInfo::Status::starting;
        asio::steady_timer pause(executor_, starting ? std::min(spec.interval, kWhileStarting) : spec.interval);
        co_await pause.async_wait(kAwait);
        if (is_over())
            co_return;
        if (record->info.state == ContainerState::paused)
            continue;
        const auto outcome = co_await check_health(record, spec);
        if (is_over())
            co_return;
        if (record->info.state != ContainerState::paused) // one that was paused in the middle says nothing
            note_health(*record, spec, outcome);
    }
}

asio::awaitable<Engine::Impl::CheckOutcome> Engine::Impl::check_health(RecordPtr record, HealthSpec spec) {
    UniqueFd reader;
    auto request = make_check(spec, reader);
    if (!request)
        co_return CheckOutcome{125, request.error().text()};
    const auto output = std::make_shared<std::string>();
    const auto pipe = std::make_shared<asio::posix::stream_descriptor>(executor_, reader.release());
    auto started = co_await exec(record->info.id, std::move(*request));
    if (!started)
        co_return CheckOutcome{code_of(started.error().kind), started.error().text()};
    asio::co_spawn(executor_, collect(pipe, output), asio::detached);
    const auto ended = std::make_shared<Latch>(executor_);
    const auto exit = std::make_shared<ExitInfo>();
    asio::co_spawn(
        executor_,
        [this, id = *started, ended, exit]() -> asio::awaitable<void> {
            if (const auto waited = co_await wait_exec(id))
                *exit = *waited;
            ended->open();
        },
        asio::detached);
    const bool in_time = co_await ended->wait_for(spec.timeout);
    if (!in_time) {
        (void) co_await kill_exec(*started, SIGKILL);
        (void) co_await ended->wait_for(10s);
    }
    asio::steady_timer turn(executor_, 0ms); // what it has written last
    co_await turn.async_wait(kAwait);
    pipe->cancel();
    co_return CheckOutcome{in_time ? exit->code : kTimedOut, *output};
}

void Engine::Impl::note_health(Record& record, const HealthSpec& spec, const CheckOutcome& outcome) {
    auto& health = *record.info.health;
    const auto before = health.status;
    health.checked_at = now_microseconds();
    health.last_code = outcome.code;
    health.last_output = outcome.output;
    if (outcome.code == 0) {
        health.failing_streak = 0;
        health.status = HealthInfo::Status::healthy;
    } else {
        const auto age = std::chrono::microseconds(health.checked_at - record.info.started_at);
        if (before != HealthInfo::Status::starting || age >= spec.start_period)
            ++health.failing_streak;
        if (health.failing_streak >= spec.retries)
            health.status = HealthInfo::Status::unhealthy;
    }
    if (health.status == before)
        return;
    events_.add("health", record.info.id, record.info.name,
                {{"status", to_string(health.status)}, {"code", std::to_string(outcome.code)}});
    save_quietly(record);
}

} // namespace squish
