#include "doctor/probe.h"

#include "base/text.h"
#include "os/file.h"

#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::doctor {

Result<void> try_in_child(Attempt attempt) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t child = ::fork();
    if (child < 0)
        return fail_errno("fork");
    if (child == 0) {
        const auto outcome = attempt();
        const int number = outcome ? 0 : outcome.error().sys_errno;
        const auto report = outcome ? std::string() : std::to_string(number) + " " + outcome.error().message;
        (void) os::write_all(writer.get(), report);
        ::_exit(outcome ? 0 : 1);
    }
    writer.reset();
    const auto report = os::read_all(reader.get(), 64 << 10);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return {};
    if (!report || report->empty())
        return fail(ErrorKind::system, "the attempt was ended by signal " + std::to_string(WTERMSIG(status)));
    const auto blank = report->find(' ');
    Error error{ErrorKind::system, report->substr(blank + 1), "", 0};
    error.sys_errno = static_cast<int>(parse_number(std::string_view(*report).substr(0, blank)).value_or(0));
    return std::unexpected(std::move(error));
}

Result<void> unshare(int flags, const char* what) {
    if (::unshare(flags) < 0)
        return fail_errno(std::string("make a ") + what + " namespace");
    return {};
}

Result<void> enter_user_namespace() {
    const auto uid = std::to_string(::geteuid());
    const auto gid = std::to_string(::getegid());
    TRY(unshare(CLONE_NEWUSER, "user"));
    TRY(os::write_existing("/proc/self/setgroups", "deny"));
    TRY(os::write_existing("/proc/self/uid_map", "0 " + uid + " 1"));
    TRY(os::write_existing("/proc/self/gid_map", "0 " + gid + " 1"));
    return {};
}

std::string first_line(const std::string& path) {
    const auto text = os::read_file(path, 64 << 10);
    return text ? std::string(trim(std::string_view(*text).substr(0, text->find('\n')))) : std::string();
}

} // namespace squish::doctor
