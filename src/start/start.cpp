#include "start/start.h"

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

namespace squish {

namespace {

constexpr std::chrono::seconds kDeadline{60};
constexpr std::size_t kMaxReport = 64 << 10;

std::string log_of(const Paths& paths) {
    return "its log is '" + printable(paths.state) + "/squishd.log'";
}

// The daemon's error, as it sent it: {"error": {"kind": …, "message": …, "remedy": …}}.
Error reported_error(const std::string& report, const Paths& paths) {
    Error error{ErrorKind::unavailable, "squishd ended before it served", log_of(paths), 0};
    const auto body = nlohmann::json::parse(report, nullptr, false);
    if (!body.is_object() || !body.contains("error") || !body["error"].is_object())
        return error;
    const auto& told = body["error"];
    const auto text = [&](const char* key) {
        const auto found = told.find(key);
        return found != told.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    error.message = text("message");
    error.remedy = text("remedy").empty() ? log_of(paths) : text("remedy");
    // Which of the kinds it is matters for the exit code only: a prerequisite that is missing, a wrong configuration.
    if (text("kind") == "unsupported")
        error.kind = ErrorKind::unsupported;
    else if (text("kind") == "invalid")
        error.kind = ErrorKind::invalid;
    return error;
}

Result<void> await_report(int pipe, const Paths& paths) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    std::string report;
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waiting{pipe, POLLIN, 0};
        const int got = left.count() > 0 ? ::poll(&waiting, 1, static_cast<int>(left.count())) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail(ErrorKind::unavailable, "squishd did not serve within 60 seconds", log_of(paths));
        char buffer[4096];
        const auto count = ::read(pipe, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR)
            continue;
        if (count > 0)
            report.append(buffer, static_cast<std::size_t>(count));
        if (report == "ready\n")
            return {};
        if (count <= 0 || report.ends_with('\n') || report.size() > kMaxReport)
            return std::unexpected(reported_error(report, paths));
    }
}

} // namespace

Result<void> start_in_background(const Paths& paths) {
    TRY(secure_state_folder(paths));
    // Whoever comes second waits here and then finds the first one's daemon. The holder has a deadline, so we have one.
    const auto lock = TRY(os::open_file(paths.state + "/start.lock", O_RDWR | O_CREAT, 0600));
    while (::flock(lock.get(), LOCK_EX) < 0)
        if (errno != EINTR)
            return fail_errno("lock '" + printable(paths.state) + "/start.lock'");
    if (os::connect_unix(paths.socket, SOCK_STREAM))
        return {};
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    os::Spawn spawn;
    spawn.program = paths.bin + "/squishd";
    spawn.args = {"squishd", "--ready-fd", "3"};
    for (char** variable = environ; *variable; ++variable)
        spawn.environment.emplace_back(*variable);
    spawn.keep = {writer.get()};
    const auto started = os::spawn_detached(spawn);
    if (!started)
        return std::unexpected(Error(started.error()).within("start squishd"));
    writer.reset();
    return await_report(reader.get(), paths);
}

} // namespace squish
