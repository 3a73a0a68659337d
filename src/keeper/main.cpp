// squish-keeper: the parent of all containers of one user.
//
//   squish-keeper UIDMAP GIDMAP      started by squishd, detached, with
//     fd 3  the listening socket (keeper.sock)
//     fd 4  the sealed memfd of squish-init
//     fd 5  where to say "ok" or "message\nremedy"
// UIDMAP and GIDMAP are the arguments of newuidmap(1) joined by ',', or "" for a single-id map.

#include "base/text.h"
#include "keeper/bootstrap.h"
#include "keeper/server.h"
#include "os/file.h"
#include "os/process.h"

#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

namespace {

using namespace squish;

std::vector<std::string> words(std::string_view joined) {
    std::vector<std::string> out;
    if (!joined.empty())
        for (const auto word : split(joined, ','))
            out.emplace_back(word);
    return out;
}

// Blocked, not ignored: an ignored signal would be inherited by every payload.
void block_signals() {
    sigset_t blocked;
    sigemptyset(&blocked);
    for (const int number : {SIGHUP, SIGPIPE, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2})
        sigaddset(&blocked, number);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
}

Result<std::unique_ptr<keeper::Server>> begin(int argc, char** argv) {
    if (argc != 3)
        return fail(ErrorKind::invalid, "squish-keeper is started by squishd");
    UniqueFd listener(3), init(4);
    ::umask(022); // what is made here and in containers is looked at by other ids; squishd's 077 is for its own files
    block_signals();
    (void) os::raise_descriptor_limit(); // each container costs three
    TRY(keeper::enter_user_namespace({words(argv[1]), words(argv[2])}));
    TRY(keeper::leave_users_keyring());
    auto home = TRY(keeper::build_home(init.get()));
    return keeper::Server::make(std::move(home), std::move(init), std::move(listener));
}

} // namespace

int main(int argc, char** argv) {
    for (int fd = 3; fd <= 5; ++fd)
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    UniqueFd ready(5);
    auto server = begin(argc, argv);
    (void) os::write_all(ready.get(),
                         server ? std::string("ok") : server.error().message + "\n" + server.error().remedy);
    ready.reset();
    return server ? (*server)->run() : 1;
}
