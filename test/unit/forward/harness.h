// A forwarder in a process of its own, seen from outside: by its control socket, by its ports, by /proc.
#pragma once

#include "base/sanitizers.h"
#include "base/unique_fd.h"
#include "forward/pipe_pool.h"
#include "wire/json_channel.h"

#include <chrono>
#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace squish::forward::test {

inline constexpr bool kSanitized = kAddressSanitizer; // memory figures mean nothing then

// Waits for `condition`, at most ten seconds.
template <class Condition> bool eventually(Condition condition) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
         std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(5)))
        if (condition())
            return true;
    return condition();
}

// TCP on 127.0.0.1. Sockets are blocking, with ten seconds of patience.
[[nodiscard]] UniqueFd listen_tcp(int backlog = 4096);
[[nodiscard]] int port_of(int socket);
[[nodiscard]] UniqueFd connect_tcp(int port); // invalid where refused
[[nodiscard]] UniqueFd accept_tcp(int listener);
void reset(UniqueFd socket); // closes so that the peer sees a reset

[[nodiscard]] bool send_all(int socket, std::string_view bytes);
[[nodiscard]] std::string receive_exactly(int socket, std::size_t count); // shorter where the data ended before
// How the data ended: 0 for an orderly end, else an errno; bytes before it are dropped.
[[nodiscard]] int end_of(int socket);
[[nodiscard]] bool echoes(int socket, std::string_view bytes);

// Bytes that differ at every position: the stream's content is a function of the offset.
[[nodiscard]] bool send_pattern(int socket, std::uint64_t count);
// The number of right bytes up to the end of the data, or to the first wrong byte.
[[nodiscard]] std::uint64_t receive_pattern(int socket);

// Sends back what it gets, any number of connections, until destroyed.
class EchoServer {
public:
    EchoServer();
    ~EchoServer();
    [[nodiscard]] int port() const { return port_; }

private:
    void run();
    UniqueFd listener_, stop_;
    int port_;
    std::thread thread_;
};

class ForwarderProcess {
public:
    struct Options {
        PipePool::Limits pipes = {};
        unsigned max_fds = 0; // 0: as they are
    };
    explicit ForwarderProcess(const Options& options);
    ForwarderProcess() : ForwarderProcess(Options{}) {}
    // Ends it by SIGTERM and expects that it ends well (and leaked nothing, under the sanitizer).
    ~ForwarderProcess();

    [[nodiscard]] UniqueFd connect_control() const;
    wire::Json call(wire::Json request, std::span<const int> fds = {});
    void send(const wire::Json& request, std::span<const int> fds = {});
    wire::Json receive();

    // Publishes a fresh listener and returns its port.
    int publish(const std::string& key, int target_port, const wire::Json& more = wire::Json::object());
    wire::Json publish_listener(const std::string& key, int listener, int target_port,
                                const wire::Json& more = wire::Json::object());
    // The figures of a port; an empty object where it is not listed.
    wire::Json port(const std::string& key);

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::size_t resident_bytes() const;
    [[nodiscard]] std::size_t open_fds() const;
    [[nodiscard]] std::size_t pipes() const; // those it has made itself
    [[nodiscard]] double cpu_seconds() const;

private:
    [[nodiscard]] std::size_t count_fds(std::string_view kind) const;
    std::string folder_;
    std::size_t inherited_pipes_ = 0;
    pid_t pid_ = 0;
    UniqueFd control_;
};

} // namespace squish::forward::test
