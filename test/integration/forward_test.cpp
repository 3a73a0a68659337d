// The real squish-forward as the keeper starts it: inside a user namespace, published into another network namespace,
// accepting for a listener of the host.
#include "base/sanitizers.h"
#include "base/unique_fd.h"
#include "forward/hardening.h"
#include "os/process.h"
#include "os/socket.h"
#include "user_network.h"
#include "wire/json_channel.h"

#include <array>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>

namespace squish::forward {
namespace {

using namespace squish::test;
using ::testing::HasSubstr;
using wire::Json;

constexpr const char* kContainerAddress = "10.89.0.2";
constexpr int kContainerPort = 80;

// In the caller's network namespace: loopback up, with the container's own address beside 127.0.0.1.
void bring_up_loopback() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &request), 0) << std::strerror(errno);
    std::strcpy(request.ifr_name, "lo:1");
    const auto address = endpoint(kContainerAddress, 0);
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    ASSERT_EQ(::ioctl(socket.get(), SIOCSIFADDR, &request), 0) << std::strerror(errno);
}

// A keeper's stand-in: a child that owns the user namespace, a container's network namespace with a server in it, and
// the forwarder. It sends the test the forwarder's pid and the network namespace, and ends with the test.
class User {
public:
    User() {
        std::snprintf(folder_, sizeof folder_, "/tmp/squish-forward-test-XXXXXX");
        EXPECT_NE(::mkdtemp(folder_), nullptr);
        auto control = os::listen_unix(socket_path(), SOCK_SEQPACKET);
        auto pair = os::socket_pair();
        if (!control || !pair) {
            ADD_FAILURE() << "sockets";
            return;
        }
        std::fflush(nullptr);
        keeper_ = ::fork();
        if (keeper_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            pair->first.reset();
            keep(control->get(), pair->second.get());
            ::_exit(1);
        }
        pair->second.reset();
        auto message = os::receive_message(pair->first.get(), 64);
        if (!message || message->fds.size() != 1) {
            ADD_FAILURE() << "the keeper's stand-in failed";
            return;
        }
        forwarder = std::atoi(message->bytes.c_str());
        netns = std::move(message->fds[0]);
        auto connected = os::connect_unix(socket_path(), SOCK_SEQPACKET);
        if (connected)
            control_ = std::move(*connected);
    }
    ~User() {
        if (forwarder > 0)
            ::kill(forwarder, SIGKILL);
        ::kill(keeper_, SIGKILL);
        ::waitpid(keeper_, nullptr, 0);
        ::unlink(socket_path().c_str());
        ::rmdir(folder_);
    }

    Json call(const Json& request, std::span<const int> fds = {}) {
        EXPECT_TRUE(wire::send_json(control_.get(), request, fds));
        auto answer = wire::receive_json(control_.get());
        EXPECT_TRUE(answer.has_value());
        return answer ? answer->body : Json::object();
    }
    Json publish(int listener, int target_port = kContainerPort) {
        const std::array fds = {listener, netns.get()};
        return call({{"op", "publish"},
                     {"container", "web"},
                     {"key", "p"},
                     {"protocol", "tcp"},
                     {"target", {{"address", kContainerAddress}, {"port", target_port}}}},
                    fds);
    }
    [[nodiscard]] std::string status(const std::string& field) const {
        const auto text = read_file("/proc/" + std::to_string(forwarder) + "/status");
        const auto at = text.find("\n" + field + ":\t");
        return at == std::string::npos
                   ? ""
                   : text.substr(at + field.size() + 3, text.find('\n', at + 1) - at - field.size() - 3);
    }

    pid_t forwarder = 0;
    UniqueFd netns;

private:
    [[nodiscard]] std::string socket_path() const { return std::string(folder_) + "/control"; }

    static void keep(int control, int report) {
        enter_user_namespace(CLONE_NEWNET);
        const UniqueFd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        const UniqueFd container(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        bring_up_loopback();
        const auto listener = listen_tcp("0.0.0.0", kContainerPort);
        ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
        os::Spawn spawn;
        spawn.program = SQUISH_BUILD_DIR "/libexec/squish/squish-forward";
        spawn.args = {"squish-forward"};
        spawn.keep = {control};
        spawn.stderr_fd = STDERR_FILENO;
        const auto child = os::spawn_child(spawn);
        ASSERT_TRUE(child.has_value()) << child.error().text();
        const int netns = container.get();
        ASSERT_TRUE(os::send_message(report, std::to_string(child->pid), {&netns, 1}).has_value());
        // The container's server: each connection gets its peer's address and then its own words back.
        for (;;) {
            sockaddr_in peer{};
            socklen_t size = sizeof peer;
            const UniqueFd socket(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
            char text[INET_ADDRSTRLEN] = {};
            ::inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
            ::send(socket.get(), text, std::strlen(text), MSG_NOSIGNAL);
            char buffer[4096];
            for (ssize_t got = 0; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
                ::send(socket.get(), buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL);
        }
    }

    char folder_[64];
    pid_t keeper_ = 0;
    UniqueFd control_;
};

class Forward : public ::testing::Test {
protected:
    void SetUp() override { SKIP_AS_ROOT(); }
};

// Connects in the host's network namespace, says `words`, and returns all that comes back, and how it ended if not
// well.
std::string talk(int port, const std::string& words) {
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{10, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const auto where = endpoint("127.0.0.1", port);
    if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) < 0)
        return "not connected";
    if (::send(client.get(), words.data(), words.size(), MSG_NOSIGNAL) < 0) // a reset is told once: here or below
        return std::string("|") + std::strerror(errno);
    ::shutdown(client.get(), SHUT_WR);
    std::string all;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = ::recv(client.get(), buffer, sizeof buffer, 0)) > 0)
        all.append(buffer, static_cast<std::size_t>(got));
    return got == 0 ? all : all + "|" + std::strerror(errno);
}

TEST_F(Forward, LeadsFromTheHostIntoTheContainersNetworkNamespace) {
    User user;
    const auto listener = listen_tcp("127.0.0.1", 0);
    const int port = port_of(listener.get());
    const auto published = user.publish(listener.get());
    ASSERT_EQ(published["ok"], true) << published;
    // The way inside is the container's own loopback: the peer is the container itself.
    for (int i = 0; i < 20; ++i)
        ASSERT_EQ(talk(port, "hello"), std::string(kContainerAddress) + "hello");
    const auto figures = user.call({{"op", "list"}})["ports"][0];
    EXPECT_EQ(figures["accepted"], 20);
    EXPECT_EQ(figures["failed"], 0);
}

TEST_F(Forward, CutsTheClientWhereNobodyListensInTheContainer) {
    User user;
    const auto listener = listen_tcp("127.0.0.1", 0);
    ASSERT_EQ(user.publish(listener.get(), 81)["ok"], true);
    EXPECT_THAT(talk(port_of(listener.get()), "hello"), HasSubstr("reset"));
}

TEST_F(Forward, LeavesTheContainersNamespaceWhenItIsReleased) {
    User user;
    auto listener = listen_tcp("127.0.0.1", 0);
    const int port = port_of(listener.get());
    ASSERT_EQ(user.publish(listener.get())["ok"], true);
    listener.reset();
    ASSERT_EQ(talk(port, "x"), std::string(kContainerAddress) + "x");
    ASSERT_EQ(user.call({{"op", "release"}, {"container", "web"}})["ok"], true);
    EXPECT_EQ(talk(port, "x"), "not connected");
}

TEST_F(Forward, KeepsTwoCapabilitiesAndLittleMemory) {
    User user;
    const auto listener = listen_tcp("127.0.0.1", 0);
    ASSERT_EQ(user.publish(listener.get())["ok"], true); // it is up, and has served
    char expected[17];
    std::snprintf(expected, sizeof expected, "%016llx", 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN);
    EXPECT_EQ(user.status("CapEff"), expected);
    EXPECT_EQ(user.status("CapPrm"), expected);
    EXPECT_EQ(user.status("CapBnd"), "0000000000000000");
    EXPECT_EQ(user.status("CapInh"), "0000000000000000");
    EXPECT_EQ(user.status("CapAmb"), "0000000000000000");
    EXPECT_EQ(user.status("NoNewPrivs"), "1");
    if (!kAddressSanitizer) {
        EXPECT_LT(std::atoi(user.status("VmRSS").c_str()), 3 * 1024) << user.status("VmRSS");
    }
}

// Also where there are no capabilities to drop.
TEST_F(Forward, CannotBeTracedNorGainPrivileges) {
    in_child([] {
        ASSERT_EQ(::prctl(PR_GET_DUMPABLE), 1);
        MUST_VOID(harden());
        EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 0);
        EXPECT_EQ(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
        ::prctl(PR_SET_DUMPABLE, 1); // for the leak check
    });
}

TEST_F(Forward, RefusesToStartWithoutItsControlSocket) {
    os::Spawn spawn;
    spawn.program = SQUISH_BUILD_DIR "/libexec/squish/squish-forward";
    spawn.args = {"squish-forward"};
    const auto child = MUST(os::spawn_child(spawn));
    ASSERT_TRUE(os::wait_ended(child.pidfd.get(), 5000));
    EXPECT_EQ(os::exit_code(MUST(os::reap(child.pidfd.get())).status), 1);
}

} // namespace
} // namespace squish::forward
