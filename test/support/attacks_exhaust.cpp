// Attempts to use up what containers share with others, and the races with what is mounted. See attacks.h.
#include "attacks.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace attacks {

namespace {

void say(const char* what, long count, int why) {
    std::printf("%s %ld %s\n", what, count, why ? strerrorname_np(why) : "ok");
    std::fflush(stdout);
}

// Held until somebody ends us.
[[noreturn]] void hold() {
    for (;;)
        pause();
}

// forks N [hold]: so many processes that do nothing: "forks COUNT ok", or with what refused the next one.
int forks(const Args& args) {
    const long most = std::stol(args.at(0));
    long made = 0;
    int why = 0;
    for (; made < most && why == 0; ++made) {
        const pid_t child = fork();
        if (child == 0)
            hold();
        if (child < 0) {
            why = errno;
            break;
        }
    }
    say("forks", made, why);
    if (args.size() > 1)
        hold();
    std::signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (wait(nullptr) > 0) {
    }
    return 0;
}

// inotify N [hold]: so many instances, and in the first so many watches of one file each.
int inotify(const Args& args) {
    const long most = std::stol(args.at(0));
    long made = 0;
    int why = 0;
    while (made < most) {
        if (inotify_init1(IN_CLOEXEC) < 0) {
            why = errno;
            break;
        }
        ++made;
    }
    say("instances", made, why);
    if (args.size() > 1)
        hold();
    return 0;
}

// watches FOLDER N [hold]: so many watches, of files that are made in FOLDER.
int watches(const Args& args) {
    const long most = std::stol(args.at(1));
    const int fd = inotify_init1(IN_CLOEXEC);
    long made = 0;
    int why = fd < 0 ? errno : 0;
    while (made < most && why == 0) {
        const auto path = args[0] + "/w" + std::to_string(made);
        const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0 || inotify_add_watch(fd, path.c_str(), IN_MODIFY) < 0)
            why = errno;
        else
            ++made;
        if (file >= 0)
            close(file);
    }
    say("watches", made, why);
    if (args.size() > 2)
        hold();
    return 0;
}

// connections ADDRESS PORT N [hold]: so many connections that say nothing.
int connections(const Args& args) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(args.at(1))));
    inet_pton(AF_INET, args[0].c_str(), &to.sin_addr);
    const long most = std::stol(args.at(2));
    long made = 0;
    int why = 0;
    for (; made < most && why == 0; ++made) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval patience{.tv_sec = 2, .tv_usec = 0};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
            why = errno;
            break;
        }
    }
    say("connections", made, why);
    if (args.size() > 3)
        hold();
    return 0;
}

// swap A B: exchanges the two, again and again, until it is ended.
int swap(const Args& args) {
    std::puts("ready");
    std::fflush(stdout);
    for (unsigned turn = 0;; ++turn) {
        if (renameat2(AT_FDCWD, args.at(0).c_str(), AT_FDCWD, args.at(1).c_str(), RENAME_EXCHANGE) < 0)
            return 1;
        usleep(turn * 37 % 300); // each rename makes every walk up a path on this machine start again
    }
}

// identify PATH…: what is there: "PATH TYPE MAJOR:MINOR".
int identify(const Args& args) {
    for (const auto& path : args) {
        struct stat info{};
        if (lstat(path.c_str(), &info) < 0) {
            std::printf("%s %s\n", path.c_str(), strerrorname_np(errno));
            continue;
        }
        const char* type = S_ISCHR(info.st_mode)   ? "device"
                           : S_ISDIR(info.st_mode) ? "folder"
                           : S_ISREG(info.st_mode) ? "file"
                           : S_ISLNK(info.st_mode) ? "link"
                                                   : "other";
        std::printf("%s %s %u:%u\n", path.c_str(), type, static_cast<unsigned>(info.st_rdev >> 8 & 0xfff),
                    static_cast<unsigned>(info.st_rdev & 0xff));
    }
    return 0;
}

} // namespace

const Table& exhaustion() {
    static const Table table = {{"forks", forks},     {"inotify", inotify},
                                {"watches", watches}, {"connections", connections},
                                {"swap", swap},       {"identify", identify}};
    return table;
}

} // namespace attacks
