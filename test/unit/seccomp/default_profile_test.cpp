// What happens to this call? Asked of the very instructions that a container gets.
#include "seccomp/default_profile.h"

#include "calls.h"

#include <algorithm>
#include <fstream>
#include <gmock/gmock.h>
#include <linux/sched.h>
#include <map>
#include <netinet/in.h>
#include <set>
#include <sstream>
#include <sys/socket.h>

using namespace squish::seccomp;
using squish::test::call_of;
using squish::test::kI386;
using squish::test::kLastAsked;
using squish::test::number_of;

namespace {

using List = std::initializer_list<std::uint64_t>;
constexpr std::uint64_t kHighBits = 0xdeadbeef00000000;

class DefaultProfile : public ::testing::Test {
protected:
    void SetUp() override {
        auto compiled = compile(profile_);
        ASSERT_TRUE(compiled) << compiled.error().text();
        program_ = *compiled;
    }
    std::string says(const std::string& name, std::initializer_list<std::uint64_t> arguments = {}) const {
        return squish::test::ask(profile_, program_, call_of(number_of(name), arguments));
    }
    std::string says_to(const seccomp_data& call) const { return squish::test::ask(profile_, program_, call); }

    Profile profile_ = default_profile(IoUring::refused);
    Program program_;
};

TEST_F(DefaultProfile, IsSmallEnoughToBeInstalledQuickly) {
    EXPECT_LE(program_.size(), 300U); // 130 instructions cost half of what may be spent
}

// The list stands in default-ARCHITECTURE.txt. After a change on purpose: build/PRESET/bin/unit-seccomp writes the new
// one beside itself, as default-profile.txt.
TEST_F(DefaultProfile, AnswersEveryNumberAsListed) {
    std::ostringstream now;
    for (std::uint32_t number = 0; number <= kLastAsked; ++number) {
        const auto name = name_of_call(number);
        const auto found = profile_.calls.find(number);
        const bool depends = found != profile_.calls.end() && !found->second.rules.empty();
        const auto answer = says_to(call_of(number));
        if (name.empty()) {
            EXPECT_EQ(answer, "ENOSYS") << number;
            continue;
        }
        now << number << ' ' << name << ": " << (depends ? "by its arguments" : answer) << '\n';
    }
    std::ifstream file(std::string(SQUISH_SOURCE_DIR) + "/test/unit/seccomp/default-" + std::string(kGoArchitecture) +
                       ".txt");
    std::ostringstream listed;
    listed << file.rdbuf();
    if (now.str() != listed.str())
        std::ofstream("default-profile.txt") << now.str();
    EXPECT_EQ(now.str(), listed.str());
}

TEST_F(DefaultProfile, KillsCallsOfOtherArchitectures) {
    for (std::uint32_t number = 0; number <= kLastAsked; ++number) {
        auto call = call_of(number);
        call.arch = kI386;
        EXPECT_EQ(says_to(call), "kill process") << number;
        call.arch = 0;
        EXPECT_EQ(says_to(call), "kill process") << number;
    }
}

#if defined(__x86_64__)
TEST_F(DefaultProfile, KillsEveryX32Call) {
    for (std::uint32_t number = 0; number <= kLastAsked; ++number)
        EXPECT_EQ(says_to(call_of(number | kX32Bit)), "kill process") << number;
    EXPECT_EQ(says_to(call_of(0x80000000)), "kill process");
    EXPECT_EQ(says_to(call_of(0xfffffffe)), "kill process");
    EXPECT_EQ(says_to(call_of(0xffffffff)), "ENOSYS") << "no call at all";
    EXPECT_EQ(says_to(call_of(0x3fffffff)), "ENOSYS");
}
#endif

TEST_F(DefaultProfile, KnowsEveryNameInItsGroupsAndNoneTwice) {
    std::set<std::string_view> seen;
    for (const auto& group : default_groups())
        for (const auto name : group.names) {
            EXPECT_NE(find_call(name).where, NamedCall::Where::nowhere) << name;
            EXPECT_TRUE(seen.insert(name).second) << name;
        }
}

TEST_F(DefaultProfile, IsExplainedGroupByGroupInTheDocumentation) {
    std::ifstream file(std::string(SQUISH_SOURCE_DIR) + "/docs/security.md");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    for (const auto& group : default_groups()) {
        const auto row = text.find("| " + std::string(group.title) + " |");
        ASSERT_NE(row, std::string::npos) << group.title;
        const auto line = text.substr(row, text.find('\n', row) - row);
        for (const auto name : group.names)
            if (group.action != kAllow) {
                EXPECT_THAT(line, ::testing::HasSubstr(std::string(name))) << group.title;
            }
    }
}

TEST_F(DefaultProfile, LetsProcessesAndThreadsBeMadeButNoNamespaces) {
    EXPECT_EQ(says("clone", {SIGCHLD}), "allow");
    EXPECT_EQ(says("clone", {CLONE_VM | CLONE_VFORK | SIGCHLD}), "allow");
    EXPECT_EQ(says("clone", {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                             CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID}),
              "allow");
    for (const std::uint64_t flag :
         List{CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
        EXPECT_EQ(says("clone", {flag | SIGCHLD}), "EPERM") << flag;
        EXPECT_EQ(says("clone", {kHighBits | flag}), "EPERM") << "the kernel looks at the low half only";
    }
    EXPECT_EQ(says("clone", {kHighBits | SIGCHLD}), "allow");
    EXPECT_EQ(says("clone3"), "ENOSYS");
    EXPECT_EQ(says("unshare", {0}), "EPERM");
    EXPECT_EQ(says("setns"), "EPERM");
}

TEST_F(DefaultProfile, MakesSocketsOfOrdinaryFamiliesOnly) {
    for (std::uint64_t family = 0; family < 64; ++family) {
        for (const std::uint64_t high : List{std::uint64_t{0}, kHighBits}) {
            const auto stream = says("socket", {high | family, SOCK_STREAM | SOCK_CLOEXEC, 0});
            if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
                EXPECT_EQ(stream, "allow") << family;
            else
                EXPECT_EQ(stream, "EAFNOSUPPORT") << family;
        }
    }
    for (const std::uint64_t family :
         List{AF_ALG, AF_VSOCK, AF_PACKET, AF_XDP, AF_BLUETOOTH, AF_KEY, AF_TIPC, AF_RDS, 43 /* SMC */})
        for (const std::uint64_t type : List{SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET})
            EXPECT_EQ(says("socket", {family, type, 0}), "EAFNOSUPPORT") << family;
}

TEST_F(DefaultProfile, MakesInternetSocketsOfOrdinaryProtocolsOnly) {
    const std::set<std::uint64_t> ordinary = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};
    for (const std::uint64_t family : List{AF_INET, AF_INET6})
        for (std::uint64_t protocol = 0; protocol < 300; ++protocol) {
            const std::string want = ordinary.contains(protocol) ? "allow" : "EPROTONOSUPPORT";
            for (const std::uint64_t type : List{SOCK_STREAM, SOCK_DGRAM | SOCK_NONBLOCK})
                EXPECT_EQ(says("socket", {family, type, protocol}), want) << protocol;
            EXPECT_EQ(says("socket", {family, SOCK_STREAM, kHighBits | protocol}), want) << protocol;
            EXPECT_EQ(says("socket", {family, SOCK_RAW, protocol}), "allow") << "a capability decides";
            for (const std::uint64_t type : List{SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET, SOCK_RDM})
                EXPECT_EQ(says("socket", {family, type, protocol}), "EPROTONOSUPPORT") << type;
        }
}

TEST_F(DefaultProfile, MakesNetlinkSocketsForRoutesOnly) {
    for (std::uint64_t protocol = 0; protocol < 64; ++protocol)
        for (const std::uint64_t high : List{std::uint64_t{0}, kHighBits})
            EXPECT_EQ(says("socket", {AF_NETLINK, SOCK_RAW, high | protocol}),
                      protocol == 0 ? "allow" : "EPROTONOSUPPORT")
                << protocol;
}

TEST_F(DefaultProfile, PairsUnixSocketsOnly) {
    EXPECT_EQ(says("socketpair", {AF_UNIX, SOCK_STREAM, 0}), "allow");
    EXPECT_EQ(says("socketpair", {kHighBits | AF_UNIX, SOCK_STREAM, 0}), "allow");
    for (const std::uint64_t family : List{AF_INET, AF_TIPC, AF_ALG})
        EXPECT_EQ(says("socketpair", {family, SOCK_STREAM, 0}), "EAFNOSUPPORT");
}

TEST_F(DefaultProfile, RefusesToTypeIntoTerminals) {
    for (const std::uint64_t request : List{0x5412, 0x541C, 0x5423}) {
        EXPECT_EQ(says("ioctl", {0, request, 0}), "EPERM");
        EXPECT_EQ(says("ioctl", {0, kHighBits | request, 0}), "EPERM") << "the kernel looks at the low half only";
        EXPECT_EQ(says("ioctl", {request, 0, request}), "allow") << "only the request counts";
    }
    for (const std::uint64_t request : List{0x5401, 0x5411, 0x5413, 0x541B, 0x541D, 0x5422, 0x5424, 0x5441})
        EXPECT_EQ(says("ioctl", {0, request, 0}), "allow");
}

TEST_F(DefaultProfile, RefusesToSendFromForeignAddresses) {
    // IP_FREEBIND and IPV6_FREEBIND, linux/in.h and linux/in6.h; a level and an option are an int each.
    const std::pair<std::uint64_t, std::uint64_t> refused[] = {{0, 15}, {41, 78}};
    for (const auto& [level, option] : refused)
        for (const std::uint64_t high : List{0, kHighBits})
            EXPECT_EQ(says("setsockopt", {3, high | level, high | option}), "EPERM");
    const std::pair<std::uint64_t, std::uint64_t> passed[] = {{41, 15}, {0, 78},  {1, 15}, {1, 2},
                                                              {6, 1},   {41, 26}, {0, 19}};
    for (const auto& [level, option] : passed)
        EXPECT_EQ(says("setsockopt", {3, level, option}), "allow") << level << " " << option;
}

TEST_F(DefaultProfile, AllowsPersonalitiesThatWeakenNothing) {
    for (const std::uint64_t persona : List{0x0, 0x8, 0x20000, 0x20008, 0xffffffff})
        EXPECT_EQ(says("personality", {persona}), "allow");
    EXPECT_EQ(says("personality", {0xffffffffffffffff}), "allow");
    for (const std::uint64_t persona : List{0x0040000, 0x0100000, 0x0200000, 0x0400000, 0x0400008, 0x1, 0x7fffffff})
        EXPECT_EQ(says("personality", {persona}), "EPERM") << persona;
}

TEST_F(DefaultProfile, RefusesWhatIsKnownToBeDangerous) {
    for (const auto* name : {"mount",
                             "umount2",
                             "move_mount",
                             "open_tree",
                             "open_tree_attr",
                             "fsopen",
                             "fsconfig",
                             "fsmount",
                             "fspick",
                             "mount_setattr",
                             "pivot_root",
                             "add_key",
                             "keyctl",
                             "request_key",
                             "bpf",
                             "perf_event_open",
                             "userfaultfd",
                             "io_uring_setup",
                             "io_uring_enter",
                             "io_uring_register",
                             "kexec_load",
                             "kexec_file_load",
                             "open_by_handle_at",
                             "init_module",
                             "finit_module",
                             "delete_module",
                             "reboot",
                             "swapon",
                             "syslog",
                             "settimeofday",
                             "iopl"})
        EXPECT_EQ(says(name), "EPERM") << name;
    for (const auto* name : {"statmount", "listmount", "cachestat", "uselib", "modify_ldt", "nfsservctl", "_sysctl"})
        EXPECT_EQ(says(name), "ENOSYS") << name;
}

TEST_F(DefaultProfile, OpensIoUringOnRequestAndNothingElse) {
    const auto opened = default_profile(IoUring::allowed);
    const auto program = compile(opened);
    ASSERT_TRUE(program);
    for (std::uint32_t number = 0; number <= kLastAsked; ++number) {
        const auto call = call_of(number);
        const auto name = name_of_call(number);
        EXPECT_EQ(squish::test::ask(opened, *program, call), name.starts_with("io_uring_") ? "allow" : says_to(call))
            << name;
    }
}

} // namespace
