// The parts of the engine that need no event loop and no privileges.
#include "engine/base_rootfs.h"
#include "engine/explain.h"
#include "engine/handshakes.h"
#include "engine/id_ranges.h"
#include "engine/port_holder.h"
#include "engine/ports.h"
#include "engine/record.h"
#include "launch/format.h"

#include "../os/scratch.h"

#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

namespace squish {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// --- subordinate ids
// ------------------------------------------------------------------------------------------------------

TEST(IdRanges, AreTheLinesOfTheUserByNameOrNumber) {
    const auto text = "# comment\nalice:100000:65536\nbob:165536:65536\n1000:300000:10\n  alice:400000:1  \n";
    EXPECT_THAT(parse_id_ranges(text, "alice", 1000),
                ElementsAre(IdRange{100000, 65536}, IdRange{300000, 10}, IdRange{400000, 1}));
    EXPECT_THAT(parse_id_ranges(text, "bob", 1001), ElementsAre(IdRange{165536, 65536}));
    EXPECT_THAT(parse_id_ranges(text, "carol", 1002), IsEmpty());
    EXPECT_THAT(parse_id_ranges("", "alice", 1000), IsEmpty());
}

TEST(IdRanges, MalformedLinesAreNobodys) {
    for (const auto* line : {"alice", "alice:1", "alice:1:2:3", "alice:x:2", "alice:1:-2", "alice:1:0", "alice: 1:2",
                             "alice:99999999999999999999:1", ":1:2", "alice:1:2:"})
        EXPECT_THAT(parse_id_ranges(line, "alice", 1000), IsEmpty()) << line;
}

TEST(IdRanges, TheUserIsRootAndTheRangesFollow) {
    EXPECT_EQ(map_arguments(1000, {}), "");
    EXPECT_EQ(map_arguments(1000, {{100000, 65536}}), "0,1000,1,1,100000,65536");
    EXPECT_EQ(map_arguments(1000, {{100000, 100}, {300000, 50}}), "0,1000,1,1,100000,100,101,300000,50");
}

TEST(IdRanges, NoMapReachesBeyondTheIdsThereAre) {
    for (const auto count : {0xFFFFFFFFULL, 0xFFFFFFFFFFULL, ~0ULL, ~0ULL - 1}) {
        const auto map = map_arguments(1000, {{100000, count}});
        EXPECT_EQ(map, "0,1000,1") << count;
    }
    EXPECT_EQ(map_arguments(1000, {{100000, 65536}, {200000, ~0ULL}}), "0,1000,1,1,100000,65536");
}

TEST(IdRanges, TheSameRangeByNameAndByNumberIsMappedOnce) {
    // newuidmap(1) and the kernel refuse overlapping extents: one line too many would lock the user out.
    const auto ranges = parse_id_ranges("alice:100000:65536\n1000:100000:65536\n", "alice", 1000);
    EXPECT_EQ(map_arguments(1000, ranges), "0,1000,1,1,100000,65536");
}

TEST(IdRanges, ARangeThatHoldsTheUsersOwnIdDoesNotMapItTwice) {
    const auto map = map_arguments(1000, parse_id_ranges("alice:999:10\nalice:100000:65536\n", "alice", 1000));
    EXPECT_THAT(map, Not(HasSubstr(",999,10")));
    EXPECT_THAT(map, HasSubstr(",100000,65536"));
}

// --- what a failed start means
// --------------------------------------------------------------------------------------------

TEST(Explain, AStepNamesWhatItWasAboutAndTheCause) {
    const auto error = explain_step("mount '/data' (layer 'data')", ENOENT);
    EXPECT_EQ(error.kind, ErrorKind::start_failed);
    EXPECT_EQ(error.message, "cannot mount '/data' (layer 'data'): No such file or directory");
    EXPECT_THAT(error.remedy, HasSubstr("must exist"));
    EXPECT_THAT(explain_step("mount proc", EPERM).remedy, HasSubstr("squish doctor"));
    EXPECT_THAT(explain_step("mount /dev", ENOSPC).remedy, HasSubstr("user.max"));
    EXPECT_EQ(explain_step("mount /dev", EIO).remedy, "");
}

TEST(Explain, TheCommandDecidesTheExitCode) {
    const auto kind = [](int value) { return explain_run("app", "/srv", value).kind; };
    EXPECT_EQ(kind(ENOENT), ErrorKind::no_command);
    EXPECT_EQ(kind(ENOTDIR), ErrorKind::no_command);
    EXPECT_EQ(kind(EACCES), ErrorKind::not_executable);
    EXPECT_EQ(kind(ENOEXEC), ErrorKind::not_executable);
    EXPECT_EQ(kind(E2BIG), ErrorKind::not_executable);
    EXPECT_THAT(explain_run("a\npp", "/", ENOENT).message, HasSubstr("'a\\x0app'"));
}

TEST(Explain, WhatComesBeforeTheCommandIsAFailedStart) {
    const auto error = explain_run("app", "/srv", launch::kWorkFolder * launch::kPart + ENOENT);
    EXPECT_EQ(error.kind, ErrorKind::start_failed);
    EXPECT_EQ(error.sys_errno, ENOENT);
    EXPECT_THAT(error.message, HasSubstr("working folder '/srv': No such file"));
    for (const auto part : {launch::kTerminal, launch::kStdio, launch::kLimits, launch::kPrivileges}) {
        const auto failed = explain_run("app", "/", part * launch::kPart + EPERM);
        EXPECT_EQ(failed.kind, ErrorKind::start_failed);
        EXPECT_THAT(failed.message, HasSubstr("Operation not permitted"));
    }
}

// --- host ports
// -----------------------------------------------------------------------------------------------------------

PortSpec port(std::uint16_t host, const std::string& address = "127.0.0.1") {
    PortSpec spec;
    spec.container = 80;
    spec.host = host;
    spec.address = address;
    return spec;
}

std::uint16_t port_of(int socket) {
    sockaddr_in where{};
    socklen_t length = sizeof where;
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&where), &length), 0);
    return ntohs(where.sin_port);
}

TEST(Ports, AListenerIsThereAtOnceAndDoesNotBlock) {
    const auto listener = MUST(listen_on(port(0)));
    EXPECT_EQ(::accept(listener.get(), nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_NE(port_of(listener.get()), 0);
}

TEST(Ports, ATakenPortIsAConflictWithItsNumber) {
    const auto first = MUST(listen_on(port(0)));
    const auto taken = port_of(first.get());
    const auto second = listen_on(port(taken));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::conflict);
    EXPECT_THAT(second.error().message, HasSubstr("127.0.0.1:" + std::to_string(taken) + ":80/tcp"));
    EXPECT_THAT(second.error().message, HasSubstr("taken"));
    EXPECT_FALSE(second.error().remedy.empty());
    EXPECT_FALSE(listen_on(port(taken, "0.0.0.0"))) << "any address holds that one too";
}

TEST(Ports, AllOrNone) {
    const auto first = MUST(listen_on(port(0)));
    const auto free = [] {
        const auto probe = listen_on(port(0));
        return port_of(probe->get());
    }();
    EXPECT_FALSE(listen_on_all({port(free), port(port_of(first.get()))}));
    EXPECT_TRUE(listen_on(port(free))) << "the first of them was given back";
}

TEST(Ports, BelowTheUnprivilegedOnesTheSysctlIsNamed) {
    std::ifstream setting("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    int start = 0;
    setting >> start;
    if (::geteuid() == 0 || start <= 80)
        return; // here anybody may
    const auto low = listen_on(port(80));
    ASSERT_FALSE(low);
    EXPECT_EQ(low.error().kind, ErrorKind::denied);
    EXPECT_THAT(low.error().message, HasSubstr("net.ipv4.ip_unprivileged_port_start=80"));
    EXPECT_THAT(low.error().remedy, HasSubstr("1023"));
}

TEST(Ports, AnAddressOfAnotherMachineIsTheUsersMistake) {
    const auto other = listen_on(port(0, "192.0.2.1")); // RFC 5737: nobody's
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().kind, ErrorKind::invalid);
    EXPECT_THAT(other.error().message, HasSubstr("'192.0.2.1' is not an address of this machine"));
}

TEST(Ports, TheKernelsChoiceIsTold) {
    const auto listener = MUST(listen_on(port(0)));
    EXPECT_EQ(MUST(bound_port(listener.get())), port_of(listener.get()));
}

TEST(Ports, OneOfOursMayTakeTheOthersPlace) {
    const auto old = MUST(listen_on(port(0)));
    const auto all = port(port_of(old.get()), "0.0.0.0");
    const auto beside = MUST(listen_beside(all, old.get()));
    EXPECT_FALSE(listen_on(all)) << "it is not shared any more";
}

TEST(Ports, OneThatEndsIsFreeAtOnceForUsWhoeverHoldsACopy) {
    for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
        auto spec = port(0);
        spec.protocol = protocol;
        const auto first = MUST(listen_on(spec));
        const UniqueFd copy(::fcntl(first.get(), F_DUPFD_CLOEXEC, 0));
        spec.host = port_of(first.get());
        EXPECT_EQ(listen_on(spec).error().kind, ErrorKind::conflict);
        stop_listening(first.get());
        const auto second = MUST(listen_on(spec));
        EXPECT_EQ(listen_on(spec).error().kind, ErrorKind::conflict) << "the new one is not shared";
    }
}

TEST(Ports, ForActivationTheyBlock) {
    auto spec = port(0);
    spec.activation = true;
    const auto listener = MUST(listen_on(spec));
    EXPECT_EQ(::fcntl(listener.get(), F_GETFL) & O_NONBLOCK, 0);
}

// A filter on the listener loses the client's last ACK.
TEST(Handshakes, AreOpenUntilTheLastAck) {
    const auto listener = MUST(listen_on(port(0)));
    auto spec = port(port_of(listener.get()));
    EXPECT_FALSE(has_open_handshakes(spec));
    const int seconds = 5; // tcp(7): until data comes, the last ACK does not count
    ASSERT_EQ(::setsockopt(listener.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds), 0);
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(spec.host);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where), 0) << "it believes so";
    EXPECT_TRUE(has_open_handshakes(spec));
    spec.host = static_cast<std::uint16_t>(spec.host + 1);
    EXPECT_FALSE(has_open_handshakes(spec));
    spec.protocol = Protocol::udp;
    EXPECT_FALSE(has_open_handshakes(spec));
}

// --- who holds a port
// --------------------------------------------------------------------------------------------------------

constexpr std::string_view kTcp =
    R"(  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11111 1 0000000000000000 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22222 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 33333 1 0000000000000000 20 4 30 10 -1
)";
constexpr std::string_view kTcp6 =
    R"(  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 44444 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 55555 1 0000000000000000 100 0 0 10 0
)";

TEST(PortHolder, IsFoundByPortAndAddress) {
    EXPECT_EQ(find_holding_socket(kTcp, false, port(8080)), (HoldingSocket{11111, 1000}));
    EXPECT_EQ(find_holding_socket(kTcp, false, port(8080, "0.0.0.0")), (HoldingSocket{11111, 1000}));
    EXPECT_EQ(find_holding_socket(kTcp, false, port(8080, "127.0.0.2")), std::nullopt);
    EXPECT_EQ(find_holding_socket(kTcp, false, port(80, "192.0.2.1")), (HoldingSocket{22222, 0}));
    EXPECT_EQ(find_holding_socket(kTcp, false, port(8081)), std::nullopt) << "a connection, no listener";
    EXPECT_EQ(find_holding_socket(kTcp6, true, port(8082)), (HoldingSocket{44444, 107})) << "it serves IPv4, too";
    EXPECT_EQ(find_holding_socket(kTcp6, true, port(8083, "::1")), (HoldingSocket{55555, 0}));
    EXPECT_EQ(find_holding_socket(kTcp6, true, port(8083, "::")), (HoldingSocket{55555, 0}));
    EXPECT_EQ(find_holding_socket(kTcp6, true, port(8083)), std::nullopt);
}

TEST(PortHolder, MalformedTextFindsNobody) {
    for (const std::string_view text : {"", "\n\n", "0: :1F90 a 0A b c d e f g", "0: 0100007F1F90 x 0A 0 0 0 1 0 5",
                                        "0: 01:1F90 x 0A 0 0 0 1 0 5", "0: GG00007F:1F90 x 0A 0 0 0 1 0 5",
                                        "0: 0100007F:1F90 x 0A 0 0 0 z 0 5", "0: 0100007F:1F90 x 0A 0 0 0 1 0 -5"})
        EXPECT_EQ(find_holding_socket(text, false, port(8080)), std::nullopt) << text;
}

TEST(PortHolder, IsThisProcessForASocketOfOurs) {
    const auto listener = MUST(listen_on(port(0)));
    const auto holder = describe_holder(port(port_of(listener.get())));
    ASSERT_TRUE(holder);
    EXPECT_THAT(*holder, HasSubstr("(pid " + std::to_string(::getpid()) + ")"));
}

// --- records on disk
// --------------------------------------------------------------------------------------------------------

class RecordFile : public test::Scratch {
protected:
    Record sample() {
        Record record(loop_.get_executor());
        record.folder = folder_;
        record.environment = {{"PATH", "/bin"}, {"EMPTY", ""}, {"TEXT", "with \"quotes\" and\nlines"}};
        record.network.number = 7;
        auto& info = record.info;
        info.id = kId;
        info.name = "web";
        info.state = ContainerState::running;
        info.pid = 4711;
        info.created_at = 1'700'000'000'000'001;
        info.started_at = 1'700'000'000'000'002;
        info.command = "/app/server -x";
        info.address = "10.89.0.7";
        info.network_mode = "bridge";
        info.ports = {port(8080), port(8081, "::1")};
        info.ports[1].activation = true;
        info.ports[1].name = "web";
        record.leaving = {port(8082)};
        record.networks = {{"default", 0, 0}, {"backend", 3, 5}};
        info.networks = {{"default", "eth0", "10.89.0.7", "fd73:7175:6973::7", {"web", "0123456789ab"}},
                         {"backend", "eth1", "10.89.18.2", "", {"web", "0123456789ab"}}};
        info.mounts = {{"/data/base", "/", "base", true}, {"/srv", "/data", "data", false}};
        info.stdout_log = folder_ + "/stdout.log";
        info.terminal = false;
        info.timings = {{"cell", "12"}, {"total", "345"}};
        auto file =
            parse_toml("[layers]\ndata = { path = \"/srv\", target = \"/data\", rw = true }\n"
                       "[run]\ncommand = \"/app/server\"\nargs = [\"-x\"]\n[[ports]]\ncontainer = 80\nhost = 8080\n");
        EXPECT_TRUE(file);
        info.file = without_positions(*file);
        return record;
    }
    Result<RecordPtr> load_it() { return load(loop_.get_executor(), folder_, kId); }
    std::string json() { return text_of(at("state.json")); }

    static constexpr const char* kId = "0123456789abcdef0123456789abcdef";
    boost::asio::io_context loop_;
};

TEST_F(RecordFile, ComesBackAsItWasWritten) {
    const auto record = sample();
    EXPECT_OK(save(record));
    const auto back = MUST(load_it());
    const auto &was = record.info, &is = back->info;
    EXPECT_EQ(is.id, was.id);
    ASSERT_EQ(is.networks.size(), 2U);
    EXPECT_EQ(is.networks[1].network, "backend");
    EXPECT_EQ(is.networks[1].address, "10.89.18.2");
    EXPECT_EQ(is.networks[0].names, was.networks[0].names);
    ASSERT_EQ(back->network.attachments.size(), 2U);
    EXPECT_EQ(back->network.attachments[1].network, 3U);
    EXPECT_EQ(back->networks[1].number, 3U);
    EXPECT_EQ(is.name, was.name);
    EXPECT_EQ(is.state, was.state);
    EXPECT_EQ(is.pid, was.pid);
    EXPECT_EQ(is.created_at, was.created_at);
    EXPECT_EQ(is.started_at, was.started_at);
    EXPECT_EQ(is.exited_at, 0);
    EXPECT_FALSE(is.exit);
    EXPECT_EQ(is.command, was.command);
    EXPECT_EQ(is.address, was.address);
    EXPECT_EQ(is.network_mode, was.network_mode);
    EXPECT_EQ(is.stdout_log, was.stdout_log);
    EXPECT_EQ(is.timings, was.timings);
    EXPECT_EQ(is.ports, was.ports);
    EXPECT_EQ(back->leaving, record.leaving);
    EXPECT_EQ(to_json(is.file), to_json(was.file));
    EXPECT_TRUE(without_positions(is.file) == was.file);
    ASSERT_EQ(is.mounts.size(), 2U);
    EXPECT_EQ(is.mounts[1].target, "/data");
    EXPECT_FALSE(is.mounts[1].read_only);
    EXPECT_EQ(back->environment, record.environment);
    EXPECT_EQ(back->network.number, 7U);
    EXPECT_EQ(back->folder, folder_);
    EXPECT_FALSE(back->ended.is_open());
}

TEST_F(RecordFile, AnEndIsKept) {
    auto record = sample();
    record.info.state = ContainerState::exited;
    record.info.exit = ExitInfo{137, 9, "killed"};
    record.info.exited_at = 5;
    record.info.remove_on_exit = true;
    EXPECT_OK(save(record));
    const auto back = MUST(load_it());
    ASSERT_TRUE(back->info.exit);
    EXPECT_EQ(back->info.exit->code, 137);
    EXPECT_EQ(back->info.exit->signal, 9);
    EXPECT_EQ(back->info.exit->reason, "killed");
    EXPECT_TRUE(back->info.remove_on_exit);
    EXPECT_TRUE(back->ended.is_open()) << "nobody waits for what has been";
}

TEST_F(RecordFile, IsForItsOwnerOnly) {
    EXPECT_OK(save(sample()));
    struct stat info{};
    ASSERT_EQ(::stat(at("state.json").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << "environments hold secrets";
}

TEST_F(RecordFile, AnotherVersionIsRefusedSayingSo) {
    EXPECT_OK(save(sample()));
    auto other = nlohmann::json::parse(json());
    for (const auto version : {0, 2, 4, -1}) {
        other["version"] = version;
        put("state.json", other.dump());
        const auto back = load_it();
        ASSERT_FALSE(back) << version;
        EXPECT_EQ(back.error().kind, ErrorKind::invalid);
        EXPECT_THAT(back.error().message, HasSubstr("another version"));
        EXPECT_THAT(back.error().message, HasSubstr("state.json"));
    }
}

TEST_F(RecordFile, LimitsHealthAndRestartsComeBack) {
    auto record = sample();
    auto& info = record.info;
    info.state = ContainerState::restarting;
    info.resources.memory = 64 << 20;
    info.resources.cpus = 0.5;
    info.limits_driver = "systemd";
    info.cgroup = "/sys/fs/cgroup/squish.slice/squish-1-2.scope";
    info.oom_kills = 3;
    info.restarts = 4;
    info.health = HealthInfo{HealthInfo::Status::unhealthy, 5, 1234, 124, "it is ill\n\x01"};
    record.attempts = 2;
    record.stop_requested = true;
    EXPECT_OK(save(record));
    const auto back = load_it();
    ASSERT_TRUE(back) << back.error().text();
    const auto& got = (*back)->info;
    EXPECT_EQ(got.state, ContainerState::restarting);
    EXPECT_FALSE((*back)->ended.is_open()) << "whoever waits, waits for the last end";
    EXPECT_EQ(got.resources, info.resources);
    EXPECT_EQ(got.limits_driver, "systemd");
    EXPECT_EQ(got.cgroup, info.cgroup);
    EXPECT_EQ(got.oom_kills, 3U);
    EXPECT_EQ(got.restarts, 4U);
    EXPECT_EQ((*back)->attempts, 2U);
    EXPECT_TRUE((*back)->stop_requested);
    ASSERT_TRUE(got.health);
    EXPECT_EQ(got.health->status, HealthInfo::Status::unhealthy);
    EXPECT_EQ(got.health->failing_streak, 5U);
    EXPECT_EQ(got.health->checked_at, 1234);
    EXPECT_EQ(got.health->last_code, 124);
    EXPECT_EQ(got.health->last_output, "it is ill\n\x01");
}

TEST_F(RecordFile, TheRecordOfAnotherContainerIsRefused) {
    auto record = sample();
    record.info.id = "other";
    EXPECT_OK(save(record));
    const auto back = load_it();
    ASSERT_FALSE(back);
    EXPECT_THAT(back.error().message, HasSubstr("another container"));
}

TEST_F(RecordFile, EveryMissingMemberAndEveryWrongTypeIsDamage) {
    EXPECT_OK(save(sample()));
    const auto whole = nlohmann::json::parse(json());
    for (const auto& [key, value] : whole.items()) {
        auto less = whole;
        less.erase(key);
        put("state.json", less.dump());
        EXPECT_FALSE(load_it()) << "without " << key;
        for (const auto& wrong : {nlohmann::json(1.5), nlohmann::json("x"), nlohmann::json::array({1}),
                                  nlohmann::json({{"a", 1}}), nlohmann::json(true), nlohmann::json()}) {
            auto other = whole;
            other[key] = wrong;
            put("state.json", other.dump());
            (void) load_it(); // an error or not, never a crash
        }
    }
}

TEST_F(RecordFile, EveryTruncationIsDamage) {
    EXPECT_OK(save(sample()));
    const auto whole = json();
    for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 200) {
        put("state.json", whole.substr(0, size));
        const auto back = load_it();
        ASSERT_FALSE(back) << size;
        EXPECT_EQ(back.error().kind, ErrorKind::invalid);
    }
    std::filesystem::remove(at("state.json"));
    EXPECT_FALSE(load_it());
}

TEST_F(RecordFile, StatesHaveNames) {
    EXPECT_STREQ(to_string(ContainerState::created), "created");
    EXPECT_STREQ(to_string(ContainerState::running), "running");
    EXPECT_STREQ(to_string(ContainerState::exited), "exited");
}

// --- the user's copy of the built-in rootfs
// ------------------------------------------------------------------------------------

class BaseRootfsCopy : public test::Scratch {
protected:
    void SetUp() override {
        Scratch::SetUp();
        std::filesystem::create_directories(at("share/base/bin"));
        std::filesystem::create_directories(at("share/base/tmp"));
        ::chmod(at("share/base/tmp").c_str(), 01777);
        put("share/base/bin/busybox", "program");
        ::chmod(at("share/base/bin/busybox").c_str(), 0755);
        std::filesystem::create_symlink("/bin/busybox", at("share/base/bin/sh"));
        std::filesystem::create_symlink("/no/such/file", at("share/base/dangling"));
        put("share/base.version", "1-abc\n");
        paths_.share = at("share");
        paths_.data = at("data");
    }
    std::vector<std::string> store() {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(at("data/rootfs")))
            if (const std::string name = entry.path().filename(); name != ".lock")
                names.push_back(name);
        std::ranges::sort(names);
        return names;
    }
    Paths paths_;
};

TEST_F(BaseRootfsCopy, IsMadeOnceWithLinksAndModes) {
    const auto base = MUST(provide_base_rootfs(paths_));
    EXPECT_EQ(base.version, "1-abc");
    EXPECT_EQ(base.path, at("data/rootfs/base-1-abc"));
    EXPECT_EQ(text_of(base.path + "/bin/busybox"), "program");
    EXPECT_EQ(std::filesystem::read_symlink(base.path + "/bin/sh"), "/bin/busybox");
    EXPECT_TRUE(std::filesystem::is_symlink(base.path + "/dangling"));
    struct stat info{};
    ASSERT_EQ(::stat((base.path + "/bin/busybox").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0755U);
    ASSERT_EQ(::stat((base.path + "/tmp").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 01777U);
    put("share/base/bin/busybox", "changed");
    (void) MUST(provide_base_rootfs(paths_));
    EXPECT_EQ(text_of(base.path + "/bin/busybox"), "program") << "the same version is not copied again";
    EXPECT_THAT(store(), ElementsAre("base-1-abc"));
}

TEST_F(BaseRootfsCopy, DoesNotDependOnTheUmask) {
    const auto old = ::umask(077);
    const auto base = MUST(provide_base_rootfs(paths_));
    ::umask(old);
    struct stat info{};
    for (const auto* folder : {"", "/bin"}) {
        ASSERT_EQ(::stat((base.path + folder).c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 07777, 0755U) << folder;
    }
}

TEST_F(BaseRootfsCopy, WhatAnInterruptedCopyLeftIsRemoved) {
    std::filesystem::create_directories(at("data/rootfs/.new-1234/bin"));
    put("data/rootfs/.new-1234/bin/half", "x");
    std::filesystem::create_directories(at("data/rootfs/base-older"));
    (void) MUST(provide_base_rootfs(paths_));
    EXPECT_THAT(store(), ElementsAre("base-1-abc", "base-older")) << "an older version may be in use";
}

TEST_F(BaseRootfsCopy, AnotherVersionIsAnotherCopy) {
    (void) MUST(provide_base_rootfs(paths_));
    put("share/base.version", "2-def\n");
    EXPECT_EQ(MUST(provide_base_rootfs(paths_)).path, at("data/rootfs/base-2-def"));
    EXPECT_THAT(store(), ElementsAre("base-1-abc", "base-2-def"));
}

TEST_F(BaseRootfsCopy, MissingOrUnreadableSourcesLeaveNoHalfCopy) {
    if (::geteuid() != 0) { // root reads everything
        put("share/base/secret", "x");
        ::chmod(at("share/base/secret").c_str(), 0);
        EXPECT_FALSE(provide_base_rootfs(paths_));
        EXPECT_FALSE(std::filesystem::exists(at("data/rootfs/base-1-abc")));
        std::filesystem::remove(at("share/base/secret"));
        EXPECT_TRUE(provide_base_rootfs(paths_)) << "and the next try is not in its way";
        EXPECT_THAT(store(), ElementsAre("base-1-abc"));
    }
    std::filesystem::remove(at("share/base.version"));
    const auto missing = provide_base_rootfs(paths_);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(missing.error().remedy, HasSubstr("setup.sh"));
}

TEST_F(BaseRootfsCopy, ManyCallersCopyOnce) {
    for (int i = 0; i < 200; ++i)
        put("share/base/file" + std::to_string(i), std::string(1000, 'x'));
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const auto base = provide_base_rootfs(paths_);
            ::_exit(base && text_of(base->path + "/file199").size() == 1000 ? 0 : 1);
        }
        children.push_back(pid);
    }
    for (const auto pid : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    EXPECT_THAT(store(), ElementsAre("base-1-abc"));
}

} // namespace
} // namespace squish
