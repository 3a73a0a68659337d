// Namespaces for tests: what the keeper makes for a user, made in a forked child without its help.
#pragma once

#include "base/unique_fd.h"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace squish::test {

inline void write_file(const std::string& path, const std::string& text) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(file.valid()) << path << ": " << std::strerror(errno);
    ASSERT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()))
        << path << ": " << std::strerror(errno);
}

inline std::string read_file(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text(1 << 16, '\0');
    const ssize_t got = ::read(file.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

// Runs `body`, with its EXPECTs, in a child process; fails where it failed or died.
inline void in_child(const std::function<void()>& body) {
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        body();
        std::exit(::testing::Test::HasFailure() ? 1 : 0); // exit, not _exit: leaks are looked for
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "in child " << pid << ": see above";
}

// Moves the calling process into new namespaces, as root of a user namespace that holds its own id alone.
inline void enter_user_namespace(int more_namespaces) {
    const auto uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
    ASSERT_EQ(::unshare(CLONE_NEWUSER | more_namespaces), 0) << std::strerror(errno);
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + uid + " 1");
    write_file("/proc/self/gid_map", "0 " + gid + " 1");
}

// Runs `body` in a child in user, mount and network namespaces of its own: as the stager is.
inline void in_user_network(const std::function<void()>& body) {
    in_child([&] {
        enter_user_namespace(CLONE_NEWNS | CLONE_NEWNET);
        if (!::testing::Test::HasFatalFailure())
            body();
    });
}

// Runs `body` in a child in the network namespace `netns`, with the caller's capabilities over it.
inline void in_netns(int netns, const std::function<void()>& body) {
    in_child([&] {
        ASSERT_EQ(::setns(netns, CLONE_NEWNET), 0) << std::strerror(errno);
        body();
    });
}

// The same as root of a user namespace below: what a container's payload is at its most powerful.
inline void as_payload(int netns, const std::function<void()>& body) {
    in_netns(netns, [&] {
        enter_user_namespace(CLONE_NEWNS);
        if (!::testing::Test::HasFatalFailure())
            body();
    });
}

// What `make` makes while this process is in the namespace `netns`: a socket, mostly.
inline UniqueFd inside_of(int netns, const std::function<UniqueFd()>& make) {
    const UniqueFd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::setns(netns, CLONE_NEWNET), 0);
    auto made = make();
    EXPECT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
    return made;
}

// What must be true soon: asked again until it is, or five seconds have passed.
[[nodiscard]] inline bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

inline sockaddr_in endpoint(const std::string& address, int port) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &where.sin_addr);
    return where;
}

// A TCP listener in the namespace that the caller is in, on one interface only where one is given; port 0 lets the
// kernel choose.
inline UniqueFd listen_tcp(const std::string& address, int port, const char* interface = nullptr) {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (interface) {
        const auto length = static_cast<socklen_t>(std::strlen(interface));
        EXPECT_EQ(::setsockopt(listener.get(), SOL_SOCKET, SO_BINDTODEVICE, interface, length), 0);
    }
    const auto where = endpoint(address, port);
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where), 0)
        << address << ":" << port << ": " << std::strerror(errno);
    EXPECT_EQ(::listen(listener.get(), 8), 0);
    return listener;
}

inline int port_of(int socket) {
    sockaddr_in where{};
    socklen_t length = sizeof where;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&where), &length);
    return ntohs(where.sin_port);
}

inline sockaddr_in6 endpoint6(const std::string& address, int port) {
    sockaddr_in6 where{};
    where.sin6_family = AF_INET6;
    where.sin6_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET6, address.c_str(), &where.sin6_addr);
    return where;
}

// The same for IPv6, and for that alone.
inline UniqueFd listen_tcp6(const std::string& address, int port) {
    UniqueFd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    EXPECT_EQ(::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes), 0);
    const auto where = endpoint6(address, port);
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where), 0)
        << address << " " << port << ": " << std::strerror(errno);
    EXPECT_EQ(::listen(listener.get(), 8), 0);
    return listener;
}

// The peer's IPv6 address of a connection that waits to be accepted.
inline std::string accept_peer6(int listener) {
    sockaddr_in6 peer{};
    socklen_t length = sizeof peer;
    const UniqueFd accepted(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    EXPECT_TRUE(accepted.valid()) << std::strerror(errno);
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text);
    return text;
}

// Connects within `timeout_ms`; 0, or the errno with which that failed (ETIMEDOUT where nothing came back).
inline int connect_tcp(const std::string& address, int port, int timeout_ms = 3000) {
    const bool ipv6 = address.contains(':');
    const UniqueFd client(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto ipv4_end = endpoint(ipv6 ? "" : address, port);
    const auto ipv6_end = endpoint6(ipv6 ? address : "", port);
    const auto* const where =
        ipv6 ? reinterpret_cast<const sockaddr*>(&ipv6_end) : reinterpret_cast<const sockaddr*>(&ipv4_end);
    if (::connect(client.get(), where, ipv6 ? sizeof ipv6_end : sizeof ipv4_end) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    pollfd waiting{client.get(), POLLOUT, 0};
    if (::poll(&waiting, 1, timeout_ms) == 0)
        return ETIMEDOUT;
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

// True where somebody answered to an ICMP echo, sent as an unprivileged program does.
inline bool ping(const std::string& address) {
    const bool ipv6 = address.contains(':');
    const UniqueFd socket(ipv6 ? ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMPV6)
                               : ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
    EXPECT_TRUE(socket.valid()) << "ICMP socket: " << std::strerror(errno);
    const unsigned char kind = ipv6 ? 128 : 8, answered = ipv6 ? 129 : 0;
    const unsigned char request[8] = {kind, 0, 0, 0, 0, 0, 0, 1};
    const auto ipv4_end = endpoint(ipv6 ? "" : address, 0);
    const auto ipv6_end = endpoint6(ipv6 ? address : "", 0);
    const auto* const where =
        ipv6 ? reinterpret_cast<const sockaddr*>(&ipv6_end) : reinterpret_cast<const sockaddr*>(&ipv4_end);
    if (::sendto(socket.get(), request, sizeof request, 0, where, ipv6 ? sizeof ipv6_end : sizeof ipv4_end) < 0)
        return false;
    pollfd waiting{socket.get(), POLLIN, 0};
    unsigned char answer[64] = {255};
    return ::poll(&waiting, 1, 1000) == 1 && ::recv(socket.get(), answer, sizeof answer, 0) == 8 &&
           answer[0] == answered;
}

// Where the tests cannot run here: a skip, or a failure where CI says that none may be skipped.
inline bool unprivileged() {
    return ::geteuid() != 0;
}
inline bool tests_must_run() {
    return std::getenv("SQUISH_TESTS_MUST_RUN") != nullptr;
}

} // namespace squish::test

#define SKIP_AS_ROOT()                                                                                                 \
    do {                                                                                                               \
        if (!squish::test::unprivileged()) {                                                                           \
            ASSERT_FALSE(squish::test::tests_must_run()) << "must run as an unprivileged user";                        \
            GTEST_SKIP() << "runs as an unprivileged user only";                                                       \
        }                                                                                                              \
    } while (false)

// The value of a Result, or the end of the test with its error.
#define MUST(expr)                                                                                                     \
    __extension__({                                                                                                    \
        auto must_result_ = (expr);                                                                                    \
        if (!must_result_) {                                                                                           \
            ADD_FAILURE() << #expr << ": " << must_result_.error().text();                                             \
            return;                                                                                                    \
        }                                                                                                              \
        std::move(must_result_).value();                                                                               \
    })

#define MUST_VOID(expr)                                                                                                \
    do {                                                                                                               \
        if (auto must_result_ = (expr); !must_result_) {                                                               \
            ADD_FAILURE() << #expr << ": " << must_result_.error().text();                                             \
            return;                                                                                                    \
        }                                                                                                              \
    } while (false)
