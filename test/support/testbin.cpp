// testbin: what the end-to-end tests run inside containers. One static program, one subcommand per question.
//
//   true | exit N | raise SIGNAL | sleep SECONDS | ignore-term SECONDS
//   pid | ppid | ids | args … | env [NAME] | fds | isatty
//   cat FILE… | write FILE TEXT | stdin | flood BYTES | lines N [SECONDS BETWEEN]
//   http PORT [TEXT]             GET / answers TEXT (or "squish"), GET /bytes/N answers N bytes
//   tally PORT [GREETING]        reads a connection to its end, then answers "BYTES ADLER32"; with GREETING says that
//                                first, ends its own side, and prints the tally instead
//   peers PORT [FAMILY]          TCP and UDP, IPv4 and IPv6 (FAMILY 4 or 6: that one only): tells each client, and the
//                                log, "tcp ADDRESS PORT" or "udp ADDRESS PORT" as it is seen here
//   activated                    says what it was passed (sd_listen_fds(3)), then serves the first socket like http
//   connect HOST PORT            0 if a TCP connection can be made (numeric address)
//   abstract NAME                connects to that abstract unix socket
//   attack NAME ARGS…            what a hostile payload tries (attacks.cpp)
//   keyring                      the number of the session keyring
//   become UID COMMAND…          changes to that uid and executes the command
//   call NAME…                   makes these system calls, one in each child: "NAME ok", "NAME ERRNO", "NAME signal N"
//   orphans N                    leaves N children behind to be reaped by init, then ends
//   memory BYTES [SECONDS]       touches that much memory, and keeps it so long
//   huge BYTES                   touches so much in pages of 2 MiB
//   burn SECONDS                 uses a CPU
//   forks MOST [SECONDS]         forks until it may not, at most so often: "forked N: EAGAIN"; keeps them so long
//   direct-write FILE BYTES      writes past the page cache (O_DIRECT): "wrote BYTES in N ms"
//   sysinfo | cpus | uptimes     what a program is told of the machine (machine.cpp)
//   readers FILE COUNT SECONDS [UNTIL]   so many read it again and again, till the file UNTIL is there: whole texts
//   only hoard FILE COUNT SECONDS     opens it so often, reads the rest of each at the end nibble FILE reads it in
//   every odd way told-sysinfo [lines]              what sysinfo(2) returns, as a number; "lines": once for every line
//   of stdin exit-if FILE N               exits with N where FILE is there, else with 0
#include "attacks.h"
#include "machine.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/mman.h>
#include <linux/netlink.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace {

using Args = std::vector<std::string>;

int complain(const std::string& what) {
    std::fprintf(stderr, "testbin: %s: %s\n", what.c_str(), std::strerror(errno));
    return 1;
}

bool write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        size -= static_cast<std::size_t>(written);
    }
    return true;
}

int copy_out(int from) {
    std::vector<char> buffer(64 * 1024);
    for (;;) {
        ssize_t got = read(from, buffer.data(), buffer.size());
        if (got < 0)
            return complain("read");
        if (got == 0)
            return 0;
        if (!write_all(STDOUT_FILENO, buffer.data(), static_cast<std::size_t>(got)))
            return complain("write");
    }
}

void pause_for(double seconds) {
    timespec left{static_cast<time_t>(seconds),
                  static_cast<long>((seconds - static_cast<double>(static_cast<time_t>(seconds))) * 1e9)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int cmd_raise(const Args& args) {
    std::signal(std::stoi(args.at(0)), SIG_DFL);
    raise(std::stoi(args.at(0)));
    return 99; // the signal did not end us
}

int cmd_ignore_term(const Args& args) {
    std::signal(SIGTERM, SIG_IGN);
    std::puts("ready");
    pause_for(std::stod(args.at(0)));
    return 0;
}

int cmd_ids(const Args&) {
    std::printf("%u:%u\n", getuid(), getgid());
    return 0;
}

int cmd_args(const Args& args) {
    for (const auto& arg : args)
        std::printf("[%s]\n", arg.c_str());
    return 0;
}

int cmd_env(const Args& args) {
    if (args.empty()) {
        for (char** variable = environ; *variable; ++variable)
            std::puts(*variable);
        return 0;
    }
    const char* value = std::getenv(args[0].c_str());
    if (value)
        std::puts(value);
    return value ? 0 : 1;
}

// The open descriptors, "N TARGET" each, without the one used to look.
int cmd_fds(const Args&) {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc/self/fd"), closedir);
    if (!dir)
        return complain("/proc/self/fd");
    while (dirent* entry = readdir(dir.get())) {
        if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == dirfd(dir.get()))
            continue;
        char target[256] = "?";
        ssize_t length = readlinkat(dirfd(dir.get()), entry->d_name, target, sizeof target - 1);
        std::printf("%s %.*s\n", entry->d_name, static_cast<int>(std::max<ssize_t>(length, 0)), target);
    }
    return 0;
}

int cmd_cat(const Args& args) {
    for (const auto& path : args) {
        int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return complain(path);
        int status = copy_out(fd);
        close(fd);
        if (status != 0)
            return status;
    }
    return 0;
}

int cmd_write(const Args& args) {
    int fd = open(args.at(0).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return complain(args[0]);
    bool good = write_all(fd, args.at(1).data(), args.at(1).size());
    return close(fd) == 0 && good ? 0 : complain(args[0]);
}

bool send_bytes(int fd, unsigned long long count) {
    std::vector<char> chunk(64 * 1024);
    for (std::size_t i = 0; i < chunk.size(); ++i)
        chunk[i] = static_cast<char>('a' + i % 26); // position-dependent where the count is looked at modulo 64 KiB
    while (count > 0) {
        auto part = static_cast<std::size_t>(std::min<unsigned long long>(count, chunk.size()));
        if (!write_all(fd, chunk.data(), part))
            return false;
        count -= part;
    }
    return true;
}

void answer(int client, const std::string& text) {
    std::string request;
    char chunk[2048];
    while (request.find("\r\n\r\n") == std::string::npos && request.size() < 16384) {
        ssize_t got = recv(client, chunk, sizeof chunk, 0);
        if (got <= 0)
            return;
        request.append(chunk, static_cast<std::size_t>(got));
    }
    unsigned long long count = 0;
    bool bytes = std::sscanf(request.c_str(), "GET /bytes/%llu", &count) == 1;
    std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
                       std::to_string(bytes ? count : text.size()) + "\r\n\r\n";
    if (!write_all(client, head.data(), head.size()))
        return;
    if (bytes)
        send_bytes(client, count);
    else
        write_all(client, text.data(), text.size());
    shutdown(client, SHUT_WR);
}

void tally(int client, const std::string* greeting) {
    if (greeting) {
        write_all(client, greeting->data(), greeting->size());
        shutdown(client, SHUT_WR);
    }
    std::vector<unsigned char> chunk(64 * 1024);
    unsigned long long count = 0;
    unsigned long a = 1, b = 0; // RFC 1950
    for (ssize_t got; (got = recv(client, chunk.data(), chunk.size(), 0)) > 0; count += static_cast<std::size_t>(got))
        for (ssize_t i = 0; i < got; ++i) {
            a = (a + chunk[static_cast<std::size_t>(i)]) % 65521;
            b = (b + a) % 65521;
        }
    std::string answer = std::to_string(count) + " " + std::to_string(b << 16 | a) + "\n";
    write_all(greeting ? STDOUT_FILENO : client, answer.data(), answer.size());
}

// A TCP socket on every address of both families, or of IPv4 where there is no IPv6; -1 where the port is taken.
int listener_at(const std::string& port) {
    const int on = 1, off = 0;
    const auto number = htons(static_cast<std::uint16_t>(std::stoi(port)));
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_port = number;
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = number;
    const bool six = fd >= 0;
    if (!six)
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (six)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    const auto* address = six ? reinterpret_cast<sockaddr*>(&any6) : reinterpret_cast<sockaddr*>(&any);
    const socklen_t size = six ? sizeof any6 : sizeof any;
    return bind(fd, address, size) == 0 && listen(fd, 128) == 0 ? fd : -1;
}

// A process per connection, so that a slow one does not hold up the others.
template <class Serve> int listen_and(const std::string& port, Serve serve) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGCHLD, SIG_IGN);
    const int fd = listener_at(port);
    if (fd < 0)
        return complain("listen");
    std::puts("ready");
    for (;;) {
        int client = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        if (fork() == 0) {
            serve(client);
            _exit(0);
        }
        close(client);
    }
}

int cmd_http(const Args& args) {
    return listen_and(args.at(0), [&](int client) { answer(client, args.size() > 1 ? args[1] : "squish"); });
}

int cmd_tally(const Args& args) {
    return listen_and(args.at(0), [&](int client) { tally(client, args.size() > 1 ? &args[1] : nullptr); });
}

// "ADDRESS PORT" of a peer; an IPv4 address as such, also where a dual-stack socket has it mapped.
std::string peer_text(const sockaddr_storage& peer) {
    char text[INET6_ADDRSTRLEN] = "?";
    std::uint16_t port = 0;
    if (peer.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
        const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        if (mapped)
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
        else
            inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        port = ntohs(v6.sin6_port);
    } else if (peer.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        port = ntohs(v4.sin_port);
    }
    return std::string(text) + " " + std::to_string(port);
}

int bound_socket(int family, int type, const std::string& port) {
    int fd = socket(family, type | SOCK_CLOEXEC, 0), on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage any{};
    any.ss_family = static_cast<sa_family_t>(family);
    const auto number = htons(static_cast<std::uint16_t>(std::stoi(port)));
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        reinterpret_cast<sockaddr_in6&>(any).sin6_port = number;
    } else {
        reinterpret_cast<sockaddr_in&>(any).sin_port = number;
    }
    const socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    return bind(fd, reinterpret_cast<sockaddr*>(&any), size) == 0 ? fd : -1;
}

int cmd_peers(const Args& args) {
    const int family = args.size() > 1 && args[1] == "4" ? AF_INET : AF_INET6;
    const int tcp = bound_socket(family, SOCK_STREAM, args.at(0)), udp = bound_socket(family, SOCK_DGRAM, args.at(0));
    if (tcp < 0 || udp < 0 || listen(tcp, 128) != 0)
        return complain("listen");
    std::puts("ready");
    if (fork() == 0)
        for (;;) {
            char datagram[65536];
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            const ssize_t got = recvfrom(udp, datagram, sizeof datagram, 0, reinterpret_cast<sockaddr*>(&peer), &size);
            if (got < 0)
                continue;
            // The line, then what came.
            auto text = "udp " + peer_text(peer) + "\n";
            write_all(STDOUT_FILENO, text.data(), text.size());
            text.append(datagram, static_cast<std::size_t>(std::min<ssize_t>(got, 60000)));
            sendto(udp, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
        }
    for (;;) {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        const int client = accept4(tcp, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        const auto text = "tcp " + peer_text(peer) + "\n";
        write_all(STDOUT_FILENO, text.data(), text.size());
        write_all(client, text.data(), text.size());
        close(client);
    }
}

int cmd_activated(const Args&) {
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
        const char* value = std::getenv(name);
        std::printf("%s=%s\n", name, value ? value : "(unset)");
    }
    std::printf("pid %d, O_NONBLOCK %d, close-on-exec %d\n", getpid(), (fcntl(3, F_GETFL) & O_NONBLOCK) != 0,
                (fcntl(3, F_GETFD) & FD_CLOEXEC) != 0);
    std::puts("ready");
    for (;;) {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        const int client = accept4(3, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
        if (client < 0)
            return complain("accept");
        answer(client, "activated " + peer_text(peer));
        close(client);
    }
}

int cmd_connect(const Args& args) {
    const auto& address = args.at(0);
    const auto port = htons(static_cast<std::uint16_t>(std::stoi(args.at(1))));
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = port;
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = port;
    const bool is_ipv4 = inet_pton(AF_INET, address.c_str(), &ipv4.sin_addr) == 1;
    if (!is_ipv4 && inet_pton(AF_INET6, address.c_str(), &ipv6.sin6_addr) != 1)
        return 2;
    const int fd = socket(is_ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval limit{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int result = is_ipv4 ? connect(fd, reinterpret_cast<sockaddr*>(&ipv4), sizeof ipv4)
                               : connect(fd, reinterpret_cast<sockaddr*>(&ipv6), sizeof ipv6);
    return result == 0 ? 0 : complain("connect");
}

// By clone(2) itself: what the C library does for fork(2) has no flags for namespaces.
long clone_into(unsigned long flags) {
    const long pid = syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0)
        _exit(0);
    return pid;
}

long io_uring_setup() {
    io_uring_params parameters{};
    return syscall(SYS_io_uring_setup, 1, &parameters);
}

const std::map<std::string, long (*)()> kCalls = {
    {"unshare", [] { return static_cast<long>(unshare(CLONE_NEWUSER)); }},
    {"clone", [] { return clone_into(CLONE_NEWUSER); }},
    {"clone-high", [] { return clone_into(0xdead000000000000 | CLONE_NEWUSER); }},
    {"clone3", [] { return syscall(SYS_clone3, nullptr, 0); }},
    {"setns", [] { return static_cast<long>(setns(-1, 0)); }},
    {"fork", [] { return clone_into(0); }},
    {"mount", [] { return static_cast<long>(mount("none", "/tmp", "tmpfs", 0, nullptr)); }},
    {"umount", [] { return static_cast<long>(umount2("/tmp", 0)); }},
    {"open_tree", [] { return syscall(SYS_open_tree, AT_FDCWD, "/nowhere", 0); }},
    {"fsopen", [] { return syscall(SYS_fsopen, "nothing", 0); }},
    {"alg", [] { return static_cast<long>(socket(AF_ALG, SOCK_SEQPACKET, 0)); }},
    {"alg-high", [] { return syscall(SYS_socket, 0xdead000000000000 | AF_ALG, SOCK_SEQPACKET, 0); }},
    {"packet", [] { return static_cast<long>(socket(AF_PACKET, SOCK_RAW, 0)); }},
    {"vsock", [] { return static_cast<long>(socket(AF_VSOCK, SOCK_STREAM, 0)); }},
    {"netfilter", [] { return static_cast<long>(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)); }},
    {"route", [] { return static_cast<long>(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)); }},
    {"keyctl", [] { return syscall(SYS_keyctl, 0, -3, 0); }},
    {"userfaultfd", [] { return syscall(SYS_userfaultfd, 1); }},
    {"io_uring", io_uring_setup},
    {"tiocsti", [] { return static_cast<long>(ioctl(-1, TIOCSTI, "x")); }},
    {"mkdir", [] { return static_cast<long>(mkdir("/tmp/made", 0755)); }},
#if defined(__x86_64__)
    {"i386",
     [] {
         long out = 0;
         __asm__ volatile("int $0x80" : "=a"(out) : "a"(20L) : "memory");
         return out;
     }},
    {"x32", [] { return syscall(0x40000000 | 39); }},
#endif
};

int cmd_abstract(const Args& args) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    args.at(0).copy(to.sun_path + 1, sizeof to.sun_path - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + args[0].size());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), size) != 0)
        return complain("connect");
    std::puts("connected");
    return 0;
}

int cmd_keyring(const Args&) {
    const long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    if (id < 0)
        return complain("keyctl");
    std::printf("%ld\n", id);
    return 0;
}

int cmd_become(const Args& args) {
    const auto id = static_cast<uid_t>(std::stoul(args.at(0)));
    if (setresuid(id, id, id) != 0)
        return complain("setresuid");
    std::vector<char*> words;
    for (std::size_t i = 1; i < args.size(); ++i)
        words.push_back(const_cast<char*>(args[i].c_str()));
    words.push_back(nullptr);
    execv(words[0], words.data());
    return complain(args[1]);
}

int cmd_told_sysinfo(const Args& args) {
    const auto call = [] {
        struct sysinfo info{};
        const long result = syscall(SYS_sysinfo, &info); // of glibc's own function the result is not known to be kept
        if (result < 0)
            return complain("sysinfo");
        std::printf("%ld\n", result);
        std::fflush(stdout);
        return 0;
    };
    if (args.empty())
        return call();
    for (int byte = getchar(); byte != EOF; byte = getchar())
        if (byte == '\n' && call() != 0)
            return 1;
    return 0;
}

int cmd_call(const Args& args) {
    for (const auto& name : args) {
        const auto call = kCalls.at(name);
        std::fflush(stdout);
        const pid_t child = fork();
        if (child < 0)
            return complain("fork");
        if (child == 0) {
            errno = 0;
            _exit(call() < 0 ? errno : 0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status))
            std::printf("%s signal %d\n", name.c_str(), WTERMSIG(status));
        else
            std::printf("%s %s\n", name.c_str(),
                        WEXITSTATUS(status) == 0 ? "ok" : strerrorname_np(WEXITSTATUS(status)));
    }
    return 0;
}

int cmd_orphans(const Args& args) {
    for (int i = std::stoi(args.at(0)); i > 0; --i) {
        pid_t middle = fork();
        if (middle == 0) {
            if (fork() == 0)
                pause_for(0.05);
            _exit(0);
        }
        waitpid(middle, nullptr, 0);
    }
    return 0;
}

int cmd_lines(const Args& args) {
    for (int i = 1; i <= std::stoi(args.at(0)); ++i) {
        std::printf("line %d\n", i);
        if (args.size() > 1)
            pause_for(std::stod(args[1]));
    }
    return 0;
}

int cmd_memory(const Args& args) {
    std::size_t size = std::stoull(args.at(0));
    auto* block = static_cast<volatile char*>(std::malloc(size));
    if (!block)
        return complain("malloc");
    for (std::size_t i = 0; i < size; i += 4096)
        block[i] = 1;
    std::puts("touched");
    if (args.size() > 1)
        pause_for(std::stod(args[1]));
    return 0;
}

int cmd_huge(const Args& args) {
    constexpr std::size_t kHuge = 2 << 20;
    const std::size_t size = std::stoull(args.at(0));
    void* const block =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
    if (block == MAP_FAILED)
        return complain("mmap");
    for (std::size_t i = 0; i < size; i += kHuge)
        static_cast<volatile char*>(block)[i] = 1;
    std::puts("touched");
    return 0;
}

int cmd_forks(const Args& args) {
    std::vector<pid_t> children;
    const auto most = std::stoul(args.at(0));
    const char* why = "no limit met";
    while (children.size() < most) {
        const pid_t child = fork();
        if (child < 0) {
            why = strerrorname_np(errno);
            break;
        }
        if (child == 0) {
            pause();
            _exit(0);
        }
        children.push_back(child);
    }
    std::printf("forked %zu: %s\n", children.size(), why);
    if (args.size() > 1)
        pause_for(std::stod(args[1]));
    for (const pid_t child : children) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    return 0;
}

int cmd_direct_write(const Args& args) {
    constexpr std::size_t kBlock = 64 * 1024, kAlignment = 4096;
    const std::size_t size = std::stoull(args.at(1)) / kBlock * kBlock;
    const std::unique_ptr<void, void (*)(void*)> block(std::aligned_alloc(kAlignment, kBlock), std::free);
    if (!block)
        return complain("aligned_alloc");
    std::memset(block.get(), 'x', kBlock);
    const int fd = open(args.at(0).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0644);
    if (fd < 0)
        return complain(args[0]);
    const auto begun = std::chrono::steady_clock::now();
    for (std::size_t done = 0; done < size; done += kBlock)
        if (write(fd, block.get(), kBlock) != static_cast<ssize_t>(kBlock))
            return complain(args[0]);
    if (fsync(fd) != 0 || close(fd) != 0)
        return complain(args[0]);
    const auto taken = std::chrono::steady_clock::now() - begun;
    std::printf("wrote %zu in %lld ms\n", size,
                static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(taken).count()));
    return 0;
}

int cmd_exit_if(const Args& args) {
    return access(args.at(0).c_str(), F_OK) == 0 ? std::stoi(args.at(1)) : 0;
}

int cmd_burn(const Args& args) {
    auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::stod(args.at(0)));
    while (std::chrono::steady_clock::now() < end) {
    }
    return 0;
}

const std::map<std::string, int (*)(const Args&)> kCommands = {
    {"true", [](const Args&) { return 0; }},
    {"exit", [](const Args& args) { return std::stoi(args.at(0)); }},
    {"raise", cmd_raise},
    {"sleep", [](const Args& args) { return pause_for(std::stod(args.at(0))), 0; }},
    {"ignore-term", cmd_ignore_term},
    {"pid", [](const Args&) { return std::printf("%d\n", getpid()) < 0 ? 1 : 0; }},
    {"ppid", [](const Args&) { return std::printf("%d\n", getppid()) < 0 ? 1 : 0; }},
    {"ids", cmd_ids},
    {"args", cmd_args},
    {"env", cmd_env},
    {"fds", cmd_fds},
    {"isatty", [](const Args&) { return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? 0 : 1; }},
    {"cat", cmd_cat},
    {"write", cmd_write},
    {"stdin", [](const Args&) { return copy_out(STDIN_FILENO); }},
    {"flood", [](const Args& args) { return send_bytes(STDOUT_FILENO, std::stoull(args.at(0))) ? 0 : 1; }},
    {"lines", cmd_lines},
    {"http", cmd_http},
    {"tally", cmd_tally},
    {"peers", cmd_peers},
    {"activated", cmd_activated},
    {"connect", cmd_connect},
    {"call", cmd_call},
    {"abstract", cmd_abstract},
    {"attack", cmd_attack},
    {"become", cmd_become},
    {"keyring", cmd_keyring},
    {"orphans", cmd_orphans},
    {"memory", cmd_memory},
    {"huge", cmd_huge},
    {"forks", cmd_forks},
    {"direct-write", cmd_direct_write},
    {"exit-if", cmd_exit_if},
    {"told-sysinfo", cmd_told_sysinfo},
    {"burn", cmd_burn},
    {"sysinfo", cmd_sysinfo},
    {"cpus", cmd_cpus},
    {"uptimes", cmd_uptimes},
    {"readers", cmd_readers},
    {"hoard", cmd_hoard},
    {"nibble", cmd_nibble},
};

} // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    auto command = argc > 1 ? kCommands.find(argv[1]) : kCommands.end();
    if (command == kCommands.end()) {
        std::fputs("usage: testbin COMMAND [ARGS]; see the top of test/support/testbin.cpp\n", stderr);
        return 2;
    }
    try {
        return command->second(Args(argv + 2, argv + argc));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "testbin: bad arguments: %s\n", error.what());
        return 2;
    }
}
