#include "engine/id_ranges.h"
#include "engine/keeper_client.h"

#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace squish {

namespace {

constexpr int kReadySeconds = 10;

std::string user_name() {
    const auto* entry = ::getpwuid(::getuid());
    return entry ? entry->pw_name : std::to_string(::getuid());
}

// What there is to read; nothing where the file is missing.
std::string text_of(const char* path) {
    auto text = os::read_file(path);
    return text ? std::move(*text) : std::string();
}

// The keeper's one word, written at once (less than PIPE_BUF). Not "until the end of file": its twin holds the pipe
// too.
Result<std::string> read_word(int fd) {
    pollfd waiting{fd, POLLIN, 0};
    int got = 0;
    while ((got = ::poll(&waiting, 1, kReadySeconds * 1000)) < 0 && errno == EINTR) {
    }
    if (got <= 0)
        return fail(ErrorKind::unavailable,
                    "the keeper did not become ready within " + std::to_string(kReadySeconds) + " s");
    std::string text(4096, '\0');
    ssize_t count = 0;
    while ((count = ::read(fd, text.data(), text.size())) < 0 && errno == EINTR) {
    }
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
}

} // namespace

std::string single_id_warning() {
    const auto user = user_name();
    return "'" + user +
           "' has no range of subordinate ids in /etc/subuid and /etc/subgid: containers have one user only (root "
           "inside is you), files of other "
           "owners show as "
           "nobody's, and another [run] user is refused (as root: usermod --add-subuids FIRST-LAST --add-subgids "
           "FIRST-LAST, a range that nobody there has yet, " +
           user + "; then, with no container running: squish daemon stop)";
}

Result<void> start_keeper(const Paths& paths) {
    const auto user = user_name();
    const auto uids = map_arguments(::getuid(), parse_id_ranges(text_of("/etc/subuid"), user, ::getuid()));
    const auto gids = map_arguments(::getgid(), parse_id_ranges(text_of("/etc/subgid"), user, ::getuid()));
    const bool single = uids.empty() || gids.empty();
    const auto program = TRY(os::read_file(paths.libexec + "/squish-init"));
    const auto init = TRY(os::sealed_memfd("squish-init", program, true));
    const auto listener = TRY(os::listen_unix(paths.keeper_socket(), SOCK_SEQPACKET));
    const auto log = TRY(os::open_file(paths.state + "/keeper.log", O_WRONLY | O_CREAT | O_APPEND, 0600));
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) < 0)
        return fail_errno("pipe");
    UniqueFd reader(pipe_fds[0]), writer(pipe_fds[1]);
    TRY(os::spawn_detached({.program = paths.libexec + "/squish-keeper",
                            .args = {"squish-keeper", single ? "" : uids, single ? "" : gids},
                            .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                            .keep = {listener.get(), init.get(), writer.get()},
                            .stdout_fd = log.get(),
                            .stderr_fd = log.get()}));
    writer.reset();
    const auto answer = TRY(read_word(reader.get()));
    if (answer == "ok")
        return {};
    ::unlink(paths.keeper_socket().c_str());
    const auto cut = answer.find('\n');
    return fail(ErrorKind::unsupported, answer.empty() ? "the keeper ended at its start" : answer.substr(0, cut),
                cut == std::string::npos ? "see '" + paths.state + "/keeper.log'" : answer.substr(cut + 1));
}

} // namespace squish
