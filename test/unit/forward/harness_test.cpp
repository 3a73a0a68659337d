#include "harness.h"

#include "forward/service.h"
#include "os/socket.h"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

extern "C" int __lsan_do_recoverable_leak_check() __attribute__((weak));

namespace squish::forward::test {

namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void be_patient(int socket) {
    const timeval patience{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

constexpr std::size_t kPatternBytes = 1'000'003; // a prime: no power of two repeats it
constexpr std::size_t kChunk = 64 * 1024;

const std::string& pattern() {
    static const std::string bytes = [] {
        std::string out(kPatternBytes + kChunk, '\0');
        std::uint32_t state = 1;
        for (std::size_t i = 0; i < kPatternBytes; ++i)
            out[i] = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
        std::copy_n(out.begin(), kChunk, out.begin() + kPatternBytes);
        return out;
    }();
    return bytes;
}

} // namespace

UniqueFd listen_tcp(int backlog) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = loopback(0);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(socket.get(), backlog) < 0)
        std::abort();
    be_patient(socket.get());
    return socket;
}

int port_of(int socket) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

UniqueFd connect_tcp(int port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    be_patient(socket.get());
    const auto address = loopback(port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return {};
    return socket;
}

UniqueFd accept_tcp(int listener) {
    UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    be_patient(socket.get());
    return socket;
}

void reset(UniqueFd socket) {
    const linger now{1, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

std::string receive_exactly(int socket, std::size_t count) {
    std::string out(count, '\0');
    std::size_t have = 0;
    while (have < count) {
        const auto got = ::recv(socket, out.data() + have, count - have, 0);
        if (got <= 0)
            break;
        have += static_cast<std::size_t>(got);
    }
    out.resize(have);
    return out;
}

int end_of(int socket) {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = ::recv(socket, buffer, sizeof buffer, 0)) > 0) {
    }
    return got == 0 ? 0 : errno;
}

bool echoes(int socket, std::string_view bytes) {
    return send_all(socket, bytes) && receive_exactly(socket, bytes.size()) == bytes;
}

bool send_pattern(int socket, std::uint64_t count) {
    for (std::uint64_t at = 0; at < count;) {
        const auto size = std::min<std::uint64_t>(kChunk, count - at);
        if (!send_all(socket, std::string_view(pattern()).substr(at % kPatternBytes, size)))
            return false;
        at += size;
    }
    return true;
}

std::uint64_t receive_pattern(int socket) {
    std::string buffer(kChunk, '\0');
    for (std::uint64_t at = 0;;) {
        const auto got = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (got <= 0)
            return at;
        const auto size = static_cast<std::size_t>(got);
        if (std::string_view(buffer).substr(0, size) != std::string_view(pattern()).substr(at % kPatternBytes, size))
            return at;
        at += size;
    }
}

EchoServer::EchoServer()
    : listener_(listen_tcp()), stop_(::eventfd(0, EFD_CLOEXEC)), port_(port_of(listener_.get())),
      thread_([this] { run(); }) {}

EchoServer::~EchoServer() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
}

void EchoServer::run() {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    std::map<int, UniqueFd> open;
    const auto watch = [&](int fd) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
    };
    watch(listener_.get());
    watch(stop_.get());
    std::string buffer(kChunk, '\0');
    for (;;) {
        epoll_event event{};
        if (::epoll_wait(epoll.get(), &event, 1, -1) != 1)
            continue;
        const int fd = event.data.fd;
        if (fd == stop_.get())
            return;
        if (fd == listener_.get()) {
            auto socket = accept_tcp(fd);
            watch(socket.get());
            const int number = socket.get();
            open[number] = std::move(socket);
            continue;
        }
        const auto got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got <= 0 || !send_all(fd, std::string_view(buffer).substr(0, static_cast<std::size_t>(got))))
            open.erase(fd);
    }
}

ForwarderProcess::ForwarderProcess(const Options& options) {
    char folder[] = "/tmp/squish-forward-test-XXXXXX";
    folder_ = ::mkdtemp(folder);
    auto listener = os::listen_unix(folder_ + "/control", SOCK_SEQPACKET);
    if (!listener)
        std::abort();
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent)
            ::_exit(1);
        auto pipes = options.pipes;
        if (options.max_fds) {
            const rlimit limit{options.max_fds, options.max_fds};
            ::setrlimit(RLIMIT_NOFILE, &limit);
            pipes.highest_fd = static_cast<int>(options.max_fds);
        }
        const auto served = serve(std::move(*listener), pipes);
        const bool leaked = __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0;
        ::_exit(!served ? 1 : leaked ? 2 : 0);
    }
    control_ = connect_control();
    EXPECT_EQ(call({{"op", "list"}})["ok"], true); // it is up
    inherited_pipes_ = count_fds("pipe:");
}

ForwarderProcess::~ForwarderProcess() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_EQ(status, 0) << "the forwarder did not end well";
    ::unlink((folder_ + "/control").c_str());
    ::rmdir(folder_.c_str());
}

UniqueFd ForwarderProcess::connect_control() const {
    auto socket = os::connect_unix(folder_ + "/control", SOCK_SEQPACKET);
    if (!socket)
        return {};
    be_patient(socket->get());
    return std::move(*socket);
}

void ForwarderProcess::send(const wire::Json& request, std::span<const int> fds) {
    EXPECT_TRUE(wire::send_json(control_.get(), request, fds));
}

wire::Json ForwarderProcess::receive() {
    auto message = wire::receive_json(control_.get());
    EXPECT_TRUE(message) << message.error().text();
    return message ? std::move(message->body) : wire::Json::object();
}

wire::Json ForwarderProcess::call(wire::Json request, std::span<const int> fds) {
    request["seq"] = 7;
    send(request, fds);
    auto answer = receive();
    EXPECT_EQ(answer.value("seq", 0), 7);
    return answer;
}

wire::Json ForwarderProcess::publish_listener(const std::string& key, int listener, int target_port,
                                              const wire::Json& more) {
    wire::Json request = {{"op", "publish"},
                          {"container", "c"},
                          {"key", key},
                          {"protocol", "tcp"},
                          {"target", {{"address", "127.0.0.1"}, {"port", target_port}}}};
    request.update(more);
    UniqueFd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const int fds[] = {listener, own.get()};
    return call(request, fds);
}

int ForwarderProcess::publish(const std::string& key, int target_port, const wire::Json& more) {
    auto listener = listen_tcp();
    const auto answer = publish_listener(key, listener.get(), target_port, more);
    EXPECT_TRUE(answer.value("ok", false)) << answer;
    return port_of(listener.get());
}

wire::Json ForwarderProcess::port(const std::string& key) {
    const auto ports = call({{"op", "list"}})["ports"];
    for (const auto& port : ports)
        if (port["key"] == key)
            return port;
    return wire::Json::object();
}

std::size_t ForwarderProcess::resident_bytes() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
    std::size_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t ForwarderProcess::open_fds() const {
    return count_fds({});
}

std::size_t ForwarderProcess::pipes() const {
    return (count_fds("pipe:") - inherited_pipes_) / 2;
}

std::size_t ForwarderProcess::count_fds(std::string_view kind) const {
    const auto folder = "/proc/" + std::to_string(pid_) + "/fd/";
    std::size_t count = 0;
    DIR* dir = ::opendir(folder.c_str());
    while (const dirent* entry = dir ? ::readdir(dir) : nullptr) {
        char target[128];
        const auto size = ::readlink((folder + entry->d_name).c_str(), target, sizeof target);
        if (size > 0 && std::string_view(target, static_cast<std::size_t>(size)).starts_with(kind))
            ++count;
    }
    if (dir)
        ::closedir(dir);
    return count;
}

double ForwarderProcess::cpu_seconds() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    std::string word;
    double ticks = 0;
    for (int field = 1; file >> word && field <= 15; ++field)
        if (field == 14 || field == 15)
            ticks += std::stod(word);
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

} // namespace squish::forward::test
