// The uplink with a real slirp4netns, for a process that stands for the keeper.
#include "network/network.h"
#include "network/rules.h"
#include "os/process.h"
#include "uplink/pasta.h"
#include "uplink/probe.h"
#include "uplink/slirp4netns.h"
#include "user_network.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <set>
#include <sstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace squish::uplink {
namespace {

using namespace squish::test;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What the tests need of the machine; a skip says what is missing.
class Uplink : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        auto usable = check_tun_device();
        if (auto found = find_slirp4netns(); usable && !found)
            usable = std::unexpected(found.error());
        if (!usable) {
            ASSERT_FALSE(tests_must_run()) << usable.error().text();
            GTEST_SKIP() << usable.error().text();
        }
        folder_ = std::filesystem::temp_directory_path() / ("squish-uplink-test-" + std::to_string(::getpid()));
        std::filesystem::create_directory(folder_);
    }
    void TearDown() override {
        if (!folder_.empty())
            std::filesystem::remove_all(folder_);
    }
    std::filesystem::path folder_;
};

enum class Ids { one, range };

// A process in a user and a network namespace of its own and in a mount namespace that holds next to nothing, as the
// keeper is. It runs `work` first, says that it is there, and lives until it is destroyed.
class Keeper {
public:
    explicit Keeper(Ids ids = Ids::one, const std::function<void()>& work = [] {}) {
        int up[2], down[2];
        EXPECT_EQ(::pipe2(up, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(down, O_CLOEXEC), 0);
        UniqueFd said(up[0]), say(up[1]), heard(down[0]), tell(down[1]);
        std::fflush(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            tell.reset();
            said.reset();
            live(ids, work, say, heard);
        }
        say.reset();
        heard.reset();
        char word = 0;
        if (ids == Ids::range && ::read(said.get(), &word, 1) == 1) {
            const auto pid = std::to_string(pid_);
            EXPECT_EQ(std::system(("newuidmap " + pid + " 0 " + std::to_string(::getuid()) + " 1 1 " +
                                   first_id("/etc/subuid") + " 65536")
                                      .c_str()),
                      0);
            EXPECT_EQ(std::system(("newgidmap " + pid + " 0 " + std::to_string(::getgid()) + " 1 1 " +
                                   first_id("/etc/subgid") + " 65536")
                                      .c_str()),
                      0);
            EXPECT_EQ(::write(tell.get(), "m", 1), 1);
        }
        EXPECT_EQ(::read(said.get(), &word, 1), 1) << "the keeper has died";
        EXPECT_EQ(word, 'r') << "the keeper failed";
    }
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::string proc(const std::string& file) const {
        return "/proc/" + std::to_string(pid_) + "/" + file;
    }

    // The first of the caller's subordinate ids in that file; empty where there are none.
    static std::string first_id(const std::string& file) {
        std::ifstream lines(file);
        const char* name = std::getenv("USER");
        for (std::string line; std::getline(lines, line);) {
            const auto one = line.find(':'), two = line.find(':', one + 1);
            const auto user = line.substr(0, one);
            if (two != std::string::npos &&
                ((name && user == name) || user == std::to_string(::getuid()) || user == user_name()))
                return line.substr(one + 1, two - one - 1);
        }
        return {};
    }

private:
    static std::string user_name();

    [[noreturn]] static void live(Ids ids, const std::function<void()>& work, const UniqueFd& say,
                                  const UniqueFd& heard) {
        constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWNET;
        char word = 0;
        if (ids == Ids::one) {
            enter_user_namespace(kNamespaces);
        } else {
            EXPECT_EQ(::unshare(CLONE_NEWUSER | kNamespaces), 0);
            EXPECT_EQ(::write(say.get(), "u", 1), 1);
            EXPECT_EQ(::read(heard.get(), &word, 1), 1);
        }
        work();
        EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr), 0);
        EXPECT_EQ(::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr), 0);
        EXPECT_EQ(::mkdir("/mnt/old", 0700), 0);
        EXPECT_EQ(::syscall(SYS_pivot_root, "/mnt", "/mnt/old"), 0);
        EXPECT_EQ(::umount2("/old", MNT_DETACH), 0);
        EXPECT_EQ(::write(say.get(), ::testing::Test::HasFailure() ? "f" : "r", 1), 1);
        for (;;)
            ::pause();
    }

    pid_t pid_ = -1;
};

std::string Keeper::user_name() {
    std::ifstream lines("/etc/passwd");
    for (std::string line; std::getline(lines, line);) {
        const auto one = line.find(':'), two = line.find(':', one + 1), three = line.find(':', two + 1);
        if (three != std::string::npos && line.substr(two + 1, three - two - 1) == std::to_string(::getuid()))
            return line.substr(0, one);
    }
    return {};
}

// The default route in the text of /proc/net/route: the interface with destination and mask 0.
std::string default_route(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string interface, destination, gateway;
        words >> interface >> destination >> gateway;
        if (destination == "00000000")
            return interface + " " + gateway;
    }
    return {};
}

void expect_ready_and_ending_with_its_exit_pipe(const Keeper& keeper, const Options& options) {
    auto uplink = MUST(start_slirp4netns(keeper.pid(), options));
    MUST_VOID(await_ready(uplink, 10s));
    EXPECT_EQ(default_route(test::read_file(keeper.proc("net/route"))), "tap0 0202000A"); // 10.0.2.2
    EXPECT_THAT(test::read_file(keeper.proc("net/dev")), HasSubstr("tap0:"));

    const auto status = test::read_file("/proc/" + std::to_string(uplink.pid) + "/status");
    EXPECT_THAT(status, HasSubstr("Seccomp:\t2")) << "--enable-seccomp";
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000400")) << "CAP_NET_BIND_SERVICE alone";
    EXPECT_THAT(status, ::testing::Not(HasSubstr("PPid:\t" + std::to_string(::getpid()) + "\n"))) << "detached";
    const auto mounts = test::read_file("/proc/" + std::to_string(uplink.pid) + "/mounts");
    std::istringstream lines(mounts);
    std::set<std::string> points;
    for (std::string device, point, rest; lines >> device >> point && std::getline(lines, rest);)
        if (!point.starts_with("/run/")) // what the host has mounted below /run comes with it
            points.insert(point);
    EXPECT_THAT(points, ::testing::ElementsAre("/", "/etc", "/run")) << "--enable-sandbox";

    EXPECT_FALSE(os::has_ended(uplink.pidfd.get()));
    uplink.exit.reset();
    EXPECT_TRUE(os::wait_ended(uplink.pidfd.get(), 5000));
}

TEST_F(Uplink, StartsSandboxedAndEndsWithItsExitPipe) {
    const Keeper keeper;
    Options options;
    expect_ready_and_ending_with_its_exit_pipe(keeper, options);
    expect_ready_and_ending_with_its_exit_pipe(keeper, options); // nothing of it hinders the next
}

TEST_F(Uplink, WorksForAKeeperWithTheUsersWholeIdRange) {
    if (Keeper::first_id("/etc/subuid").empty() || Keeper::first_id("/etc/subgid").empty() ||
        std::system("command -v newuidmap >/dev/null") != 0) {
        ASSERT_FALSE(tests_must_run());
        GTEST_SKIP() << "this user has no subordinate ids";
    }
    const Keeper keeper(Ids::range);
    EXPECT_THAT(test::read_file(keeper.proc("uid_map")), HasSubstr("65536"));
    expect_ready_and_ending_with_its_exit_pipe(keeper, {});
}

TEST_F(Uplink, LivesAsLongAsSomebodyHoldsTheExitPipe) {
    const Keeper keeper;
    auto uplink = MUST(start_slirp4netns(keeper.pid()));
    MUST_VOID(await_ready(uplink, 10s));
    UniqueFd copy(::fcntl(uplink.exit.get(), F_DUPFD_CLOEXEC, 0)); // the keeper's
    uplink.exit.reset();
    EXPECT_FALSE(os::wait_ended(uplink.pidfd.get(), 200));
    copy.reset();
    EXPECT_TRUE(os::wait_ended(uplink.pidfd.get(), 5000));
}

TEST_F(Uplink, SaysWhyItEndedAtStart) {
    auto uplink = MUST(start_slirp4netns(0x7ffffff0)); // nobody has that pid
    const auto ready = await_ready(uplink, 10s);
    ASSERT_FALSE(ready.has_value());
    EXPECT_EQ(ready.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(ready.error().message, HasSubstr("/proc/2147483632/ns/net: No such file or directory"));
}

TEST_F(Uplink, WritesToTheLogItIsGivenAndReadsItsOwnLinesOnly) {
    const auto path = folder_ / "slirp.log";
    std::ofstream(path) << "an old line\n";
    const UniqueFd log(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    Options options;
    options.log_fd = log.get();
    options.program = folder_ / "slirp4netns";
    std::ofstream(options.program) << "#!/bin/sh\nexit 1\n";
    std::filesystem::permissions(options.program, std::filesystem::perms::owner_all);
    auto silent = MUST(start_slirp4netns(::getpid(), options));
    const auto ended = await_ready(silent, 10s);
    ASSERT_FALSE(ended.has_value());
    EXPECT_THAT(ended.error().message, HasSubstr("it did not say why"));

    std::ofstream(options.program)
        << "#!/bin/sh\necho \"slirp4netns: unrecognized option '--enable-seccomp'\" >&2\nexit 1\n";
    auto old = MUST(start_slirp4netns(::getpid(), options));
    const auto refused = await_ready(old, 10s);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(test::read_file(path), "an old line\nslirp4netns: unrecognized option '--enable-seccomp'\n");
}

TEST_F(Uplink, ReadinessHasADeadlineAndCanBePolled) {
    Options options;
    options.program = folder_ / "slirp4netns";
    std::ofstream(options.program) << "#!/bin/sh\nread line <&4\nexit 0\n"; // until the exit pipe is closed
    std::filesystem::permissions(options.program, std::filesystem::perms::owner_all);
    auto uplink = MUST(start_slirp4netns(::getpid(), options));
    EXPECT_FALSE(MUST(check_ready(uplink)));
    const auto late = await_ready(uplink, 100ms);
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().message, "slirp4netns is not ready after 100 ms");
    uplink.exit.reset();
    EXPECT_TRUE(os::wait_ended(uplink.pidfd.get(), 5000));
}

TEST_F(Uplink, MissingProgramIsAnErrorThatNamesIt) {
    Options options;
    options.program = folder_ / "nothing";
    const auto started = start_slirp4netns(::getpid(), options);
    ASSERT_FALSE(started.has_value());
    EXPECT_THAT(started.error().message, HasSubstr(options.program));
    EXPECT_EQ(started.error().sys_errno, ENOENT);
}

TEST_F(Uplink, ProbeKnowsTheInstalledOne) {
    const auto probe = MUST(probe_slirp4netns());
    EXPECT_THAT(probe.version, ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+.*"));
    EXPECT_THAT(probe.options, ::testing::Contains("--ready-fd"));
    EXPECT_THAT(probe.missing_options, IsEmpty());
}

// An IPv4 address of this machine that is not loopback; empty where it has none.
std::string host_address() {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) < 0)
        return {};
    std::string found;
    for (const auto* at = list; at; at = at->ifa_next)
        if (at->ifa_addr && at->ifa_addr->sa_family == AF_INET && (at->ifa_flags & IFF_UP) &&
            !(at->ifa_flags & IFF_LOOPBACK)) {
            char text[INET_ADDRSTRLEN] = {};
            ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text);
            found = text;
        }
    ::freeifaddrs(list);
    return found;
}

TEST_F(Uplink, ContainerReachesTheHostsAddressButNotItsLoopback) {
    const auto host = host_address();
    if (host.empty())
        GTEST_SKIP() << "this machine has no address but loopback";
    const auto on_address = listen_tcp(host, 0);
    const auto on_loopback = listen_tcp("127.0.0.1", 0);
    int results[2];
    ASSERT_EQ(::pipe2(results, O_CLOEXEC), 0);
    int start[2];
    ASSERT_EQ(::pipe2(start, O_CLOEXEC), 0);
    const UniqueFd result(results[0]), report(results[1]), wait(start[0]), go(start[1]);
    // A child of the keeper, in a container's network, that tries once the uplink is there.
    const Keeper keeper(Ids::one, [&] {
        auto network = MUST(network::Network::open());
        const auto slot = MUST(network.acquire());
        if (::fork() != 0)
            return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        char word = 0;
        if (::read(wait.get(), &word, 1) == 1 && ::setns(slot.netns.get(), CLONE_NEWNET) == 0) {
            const int tried[] = {connect_tcp(host, port_of(on_address.get())),
                                 connect_tcp("10.0.2.2", port_of(on_loopback.get()))};
            (void) !::write(report.get(), tried, sizeof tried);
            // Without the filter, slirp4netns itself is what refuses.
            (void) !::read(wait.get(), &word, 1);
            const int again = connect_tcp("10.0.2.2", port_of(on_loopback.get()));
            (void) !::write(report.get(), &again, sizeof again);
        }
        ::_exit(0);
    });
    auto uplink = MUST(start_slirp4netns(keeper.pid()));
    MUST_VOID(await_ready(uplink, 10s));
    ASSERT_EQ(::write(go.get(), "1", 1), 1);
    int tried[2] = {-1, -1};
    ASSERT_EQ(::read(result.get(), tried, sizeof tried), static_cast<ssize_t>(sizeof tried));
    EXPECT_EQ(tried[0], 0) << host << ": " << std::strerror(tried[0]);
    EXPECT_EQ(tried[1], EHOSTUNREACH) << "the filter: " << std::strerror(tried[1]);
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    const UniqueFd accepted(::accept4(on_address.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    EXPECT_TRUE(accepted.valid());
    in_child([&] {
        // As the user, whose namespaces they are.
        const auto users = MUST(os::open_namespace(keeper.pid(), "user"));
        const auto net = MUST(os::open_namespace(keeper.pid(), "net"));
        MUST_VOID(os::enter_namespace(users.get(), CLONE_NEWUSER));
        MUST_VOID(os::enter_namespace(net.get(), CLONE_NEWNET));
        MUST_VOID(network::apply_rules("insert rule inet squish outgoing accept"));
    });
    ASSERT_EQ(::write(go.get(), "2", 1), 1);
    int again = -1;
    ASSERT_EQ(::read(result.get(), &again, sizeof again), static_cast<ssize_t>(sizeof again));
    EXPECT_NE(again, 0) << "--disable-host-loopback";
    uplink.exit.reset();
    EXPECT_TRUE(os::wait_ended(uplink.pidfd.get(), 5000));
}

// --- IPv6: a host that has it is a network namespace
// --------------------------------------------------------------------------------

// What a container's process finds, one after the other.
struct Tried6 {
    int world = -1, closed = -1, unroutable = -1, loopback = -1, unfiltered_loopback = -1;
};

TEST_F(Uplink, ContainerReachesTheWorldByIpv6AndNotTheHostsLoopback) {
    in_user_network([] {
        ASSERT_EQ(std::system("ip link set lo up && ip link add up0 type veth peer name up1 && ip link set up0 up && "
                              "ip link set up1 up && ip address add 2001:db8::1/64 dev up0 nodad"),
                  0);
        EXPECT_FALSE(MUST(wants_ipv6(Ipv6::automatic, Driver::slirp4netns))) << "no default route yet";
        ASSERT_EQ(std::system("ip -6 route add unreachable default"), 0);
        EXPECT_FALSE(MUST(wants_ipv6(Ipv6::automatic, Driver::slirp4netns))) << "one that leads nowhere";
        ASSERT_EQ(std::system("ip -6 route add default dev up0 metric 5"), 0);
        EXPECT_TRUE(MUST(wants_ipv6(Ipv6::automatic, Driver::slirp4netns)));
        EXPECT_FALSE(MUST(wants_ipv6(Ipv6::off, Driver::slirp4netns)));
        ASSERT_EQ(std::system("ip -6 route del default dev up0 metric 5 && ip -6 route del unreachable default"), 0);

        const auto world = listen_tcp6("2001:db8::1", 80), loopback = listen_tcp6("::1", 81);
        int results[2], start[2];
        ASSERT_EQ(::pipe2(results, O_CLOEXEC), 0);
        ASSERT_EQ(::pipe2(start, O_CLOEXEC), 0);
        const UniqueFd result(results[0]), report(results[1]), wait(start[0]), go(start[1]);
        const Keeper keeper(Ids::one, [&] {
            network::Options options;
            options.rules.ipv6 = true;
            auto network = MUST(network::Network::open(options));
            const auto slot = MUST(network.acquire());
            int apart[2];
            ASSERT_EQ(::pipe2(apart, O_CLOEXEC), 0);
            std::fflush(nullptr);
            char word = 0;
            if (::fork() != 0) { // the stager keeps its /proc, which the keeper is about to give up
                EXPECT_EQ(::read(apart[0], &word, 1), 1);
                return;
            }
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::unshare(CLONE_NEWNS) != 0 || ::write(apart[1], "a", 1) != 1 || ::read(wait.get(), &word, 1) != 1 ||
                !network.set_up_uplink6())
                ::_exit(1); // and the test waits in vain
            Tried6 tried;
            const auto in_slot = [&](const std::string& address, int port) {
                int got = -1;
                (void) inside_of(slot.netns.get(), [&] {
                    got = connect_tcp(address, port);
                    return UniqueFd();
                });
                return got;
            };
            tried.world = in_slot("2001:db8::1", 80);
            tried.closed = in_slot("2001:db8::1", 88);
            tried.unroutable = in_slot("2001:db9::1", 80);
            tried.loopback = in_slot("fd00::2", 81);
            // Without the filter, slirp4netns itself is what refuses.
            if (!network::apply_rules("insert rule inet squish outgoing6 accept"))
                ::_exit(1);
            tried.unfiltered_loopback = in_slot("fd00::2", 81);
            (void) !::write(report.get(), &tried, sizeof tried);
            ::_exit(0);
        });
        Options options;
        options.ipv6 = true;
        options.mtu = 9000;
        auto uplink = MUST(start_slirp4netns(keeper.pid(), options));
        MUST_VOID(await_ready(uplink, 10s));
        ASSERT_EQ(::write(go.get(), "1", 1), 1);
        pollfd waiting{result.get(), POLLIN, 0};
        ASSERT_EQ(::poll(&waiting, 1, 20000), 1) << "the container's process says nothing";
        Tried6 tried;
        ASSERT_EQ(::read(result.get(), &tried, sizeof tried), static_cast<ssize_t>(sizeof tried));
        EXPECT_EQ(tried.world, 0) << std::strerror(tried.world);
        EXPECT_EQ(accept_peer6(world.get()), "2001:db8::1");
        EXPECT_EQ(tried.closed, ECONNREFUSED);
        EXPECT_EQ(tried.unroutable, ENETUNREACH) << "at once, not after a time-out";
        EXPECT_EQ(tried.loopback, EACCES) << "the filter";
        EXPECT_NE(tried.unfiltered_loopback, 0) << "--disable-host-loopback";
        uplink.exit.reset();
        EXPECT_TRUE(os::wait_ended(uplink.pidfd.get(), 5000));
    });
}

TEST_F(Uplink, PastaHasNoIpv6) {
    EXPECT_FALSE(MUST(wants_ipv6(Ipv6::automatic, Driver::pasta)));
    EXPECT_FALSE(MUST(wants_ipv6(Ipv6::off, Driver::pasta)));
    EXPECT_EQ(wants_ipv6(Ipv6::on, Driver::pasta).error().kind, ErrorKind::unsupported);
    Options options;
    options.ipv6 = true;
    EXPECT_EQ(start(Driver::pasta, ::getpid(), options).error().kind, ErrorKind::unsupported);
}

// --- pasta: a program that does as pasta does, since which one is installed is not ours to say
// ------------------------

// Says what a version says, and knows our options.
void write_pasta(const std::filesystem::path& program, const std::string& version, const std::string& work) {
    std::string help;
    for (const auto purpose : {Purpose::way_out, Purpose::host_loopback}) {
        Options options;
        options.purpose = purpose;
        for (const auto& argument : pasta_arguments(1, options, "/pid"))
            if (argument.starts_with("--"))
                help += argument + " ";
    }
    std::ofstream(program) << "#!/bin/bash\ncase $1 in\n--version) echo '" << version << "' ;;\n--help) echo '" << help
                           << "' ;;\n*)\nwhile [ $# -gt 1 ]; do [ \"$1\" != --pid ] || pid_file=$2; shift; done\n"
                           << work << "\n;;\nesac\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
}

TEST_F(Uplink, PastaIsProbedByRunningIt) {
    const auto program = folder_ / "pasta";
    write_pasta(program, "pasta 2025_01_21.4f2c8e7", "exit 1");
    const auto good = MUST(probe_pasta_at(program));
    EXPECT_EQ(good.date, 20250121U);
    write_pasta(program, "pasta unknown version", "exit 1");
    EXPECT_EQ(probe_pasta_at(program).error().kind, ErrorKind::unsupported);
    EXPECT_FALSE(probe_pasta_at(folder_ / "nothing").has_value());
}

TEST_F(Uplink, PastaIsReadyWhenItHasWrittenItsPidAndMadeTheRoute) {
    const Keeper keeper;
    Options options;
    options.program = folder_ / "pasta";
    options.folder = folder_;
    // Without a route it has lied.
    write_pasta(options.program, "", "echo $$ >$pid_file; exec sleep 30");
    auto liar = MUST(start(Driver::pasta, keeper.pid(), options));
    const auto ready = await_ready(liar, 10s);
    ASSERT_FALSE(ready.has_value());
    EXPECT_THAT(ready.error().message, HasSubstr("has made no default route through 'tap0'"));
    MUST_VOID(os::send_signal(liar.pidfd.get(), SIGKILL));
    EXPECT_TRUE(os::wait_ended(liar.pidfd.get(), 5000));

    // The other network is the stager's to configure.
    options.purpose = Purpose::host_loopback;
    auto honest = MUST(start(Driver::pasta, keeper.pid(), options));
    MUST_VOID(await_ready(honest, 10s));
    EXPECT_FALSE(os::has_ended(honest.pidfd.get()));
    MUST_VOID(os::send_signal(honest.pidfd.get(), SIGKILL));
    EXPECT_TRUE(os::wait_ended(honest.pidfd.get(), 5000));

    write_pasta(options.program, "", "exec sleep 30");
    auto silent = MUST(start(Driver::pasta, keeper.pid(), options));
    EXPECT_FALSE(MUST(check_ready(silent))) << "the old pid file is gone";
    EXPECT_EQ(await_ready(silent, 100ms).error().message, "pasta is not ready after 100 ms");
    MUST_VOID(os::send_signal(silent.pidfd.get(), SIGKILL));
}

TEST_F(Uplink, PastaSaysWhyItEndedAtStart) {
    Options options;
    options.program = folder_ / "pasta";
    options.folder = folder_;
    write_pasta(options.program, "", "echo 'Failed to open() /dev/net/tun: the moon' >&2; exit 1");
    auto uplink = MUST(start(Driver::pasta, ::getpid(), options));
    const auto ready = await_ready(uplink, 10s);
    ASSERT_FALSE(ready.has_value());
    EXPECT_EQ(ready.error().kind, ErrorKind::unavailable);
    EXPECT_EQ(ready.error().message, "pasta ended at start: Failed to open() /dev/net/tun: the moon");
}

// A squishd that was killed, and its keeper with it, may have left one.
TEST_F(Uplink, PastaThatWasLeftOverIsEndedBeforeTheNextAndNobodyElse) {
    const Keeper keeper;
    Options options;
    options.program = folder_ / "pasta";
    options.folder = folder_;
    options.purpose = Purpose::host_loopback;
    write_pasta(options.program, "", "echo $$ >$pid_file; while :; do sleep 0.1; done");
    auto first = MUST(start(Driver::pasta, keeper.pid(), options));
    MUST_VOID(await_ready(first, 10s));
    auto second = MUST(start(Driver::pasta, keeper.pid(), options));
    EXPECT_TRUE(os::has_ended(first.pidfd.get()));
    MUST_VOID(await_ready(second, 10s));
    MUST_VOID(os::send_signal(second.pidfd.get(), SIGKILL));
    EXPECT_TRUE(os::wait_ended(second.pidfd.get(), 5000));

    std::ofstream(folder_ / "tap1.pid") << keeper.pid() << "\n"; // the number belongs to somebody else by now
    auto third = MUST(start(Driver::pasta, keeper.pid(), options));
    MUST_VOID(await_ready(third, 10s));
    EXPECT_EQ(::kill(keeper.pid(), 0), 0);
    const auto state = test::read_file(keeper.proc("status"));
    EXPECT_THAT(state, ::testing::Not(HasSubstr("State:\tZ")));
    MUST_VOID(os::send_signal(third.pidfd.get(), SIGKILL));
    EXPECT_TRUE(os::wait_ended(third.pidfd.get(), 5000));
}

TEST_F(Uplink, TheOneForTheHostsLoopbackMakesItsInterfaceAndNoRoute) {
    const Keeper keeper;
    Options options;
    options.purpose = Purpose::host_loopback;
    auto out = MUST(start(Driver::slirp4netns, keeper.pid()));
    MUST_VOID(await_ready(out, 10s));
    auto loopback = MUST(start(Driver::slirp4netns, keeper.pid(), options));
    MUST_VOID(await_ready(loopback, 10s));
    EXPECT_THAT(test::read_file(keeper.proc("net/dev")), HasSubstr("tap1:"));
    EXPECT_EQ(default_route(test::read_file(keeper.proc("net/route"))), "tap0 0202000A") << "not the default";
    loopback.exit.reset();
    EXPECT_TRUE(os::wait_ended(loopback.pidfd.get(), 5000));
}

} // namespace
} // namespace squish::uplink
