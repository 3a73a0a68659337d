// Profiles as other runtimes read them, and what is wrong with some.
#include "seccomp/oci_profile.h"

#include "calls.h"

#include <gmock/gmock.h>

using namespace squish::seccomp;
using squish::ErrorKind;
using squish::test::call_of;
using squish::test::number_of;
using ::testing::HasSubstr;

namespace {

const Surroundings kPlain{{}, {6, 1}};

// What the program of this profile says.
class Asked {
public:
    explicit Asked(const std::string& json, const Surroundings& surroundings = kPlain) {
        auto parsed = parse_oci_profile(json, surroundings);
        EXPECT_TRUE(parsed) << parsed.error().text();
        if (!parsed)
            return;
        profile_ = parsed->profile;
        warnings = parsed->warnings;
        auto program = compile(profile_);
        EXPECT_TRUE(program) << program.error().text();
        if (program)
            program_ = *program;
    }
    std::string operator()(const std::string& name, std::initializer_list<std::uint64_t> arguments = {}) const {
        return squish::test::ask(profile_, program_, call_of(number_of(name), arguments));
    }
    [[nodiscard]] const Profile& profile() const { return profile_; }
    std::vector<std::string> warnings;

private:
    Profile profile_;
    Program program_;
};

std::string refusal(const std::string& json, ErrorKind kind = ErrorKind::invalid) {
    const auto parsed = parse_oci_profile(json, kPlain);
    EXPECT_FALSE(parsed) << json;
    if (parsed)
        return "";
    EXPECT_EQ(parsed.error().kind, kind) << parsed.error().text();
    return parsed.error().text();
}

std::string denying(const std::string& rules) {
    return R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)" + rules + "]}";
}
std::string allowing(const std::string& rules) {
    return R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["execve", "write", "exit_group"], "action": "SCMP_ACT_ALLOW"}, )" +
           rules + "]}";
}

// The shape that Docker's own profile has.
constexpr const char* kDocker = R"({
  "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
  "archMap": [
    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
  "syscalls": [
    {"names": ["execve", "exit_group", "read", "write", "futex_time64", "a_call_of_tomorrow"], "action": "SCMP_ACT_ALLOW",
     "args": [], "comment": "", "includes": {}, "excludes": {}},
    {"names": ["process_vm_readv", "ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
    {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
    {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4294967295, "op": "SCMP_CMP_EQ"}]},
    {"names": ["arm_fadvise64_64"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm", "arm64"]}},
    {"names": ["mount", "unshare"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}],
     "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390", "s390x"]}},
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}}]
})";

TEST(OciProfile, ReadsDockersShape) {
    const Asked says(kDocker);
    EXPECT_EQ(says("read"), "allow");
    EXPECT_EQ(says("open"), "EPERM");
    EXPECT_EQ(says("ptrace"), "allow");
    EXPECT_EQ(says("socket", {40}), "EPERM");
    EXPECT_EQ(says("socket", {2}), "allow");
    EXPECT_EQ(says("personality", {0}), "allow");
    EXPECT_EQ(says("personality", {0xffffffff}), "allow");
    EXPECT_EQ(says("personality", {8}), "EPERM");
    EXPECT_EQ(says("mount"), "EPERM");
    EXPECT_EQ(says("clone", {17}), "allow");
    EXPECT_EQ(says("clone", {0x10000011}), "EPERM");
    EXPECT_EQ(says("clone3"), "ENOSYS");
    EXPECT_EQ(says("chroot"), "EPERM");
    EXPECT_THAT(says.warnings, ::testing::ElementsAre(HasSubstr("'a_call_of_tomorrow'")));
}

TEST(OciProfile, LooksAtCapabilitiesAndKernel) {
    const Asked chroot(kDocker, {{"CAP_SYS_CHROOT"}, {6, 1}});
    EXPECT_EQ(chroot("chroot"), "allow");
    EXPECT_EQ(chroot("mount"), "EPERM");
    const Asked admin(kDocker, {{"CAP_SYS_ADMIN"}, {4, 7}});
    EXPECT_EQ(admin("mount"), "allow");
    EXPECT_EQ(admin("clone", {17}), "EPERM") << "excluded";
    EXPECT_EQ(admin("ptrace"), "EPERM") << "the kernel is too old";
    EXPECT_EQ(Asked(kDocker, {{}, {4, 8}})("ptrace"), "allow");
    EXPECT_EQ(Asked(kDocker, {{}, {10, 0}})("ptrace"), "allow") << "10 is not less than 4.8";
    const Asked old(denying(R"({"names": ["ptrace"], "action": "SCMP_ACT_ERRNO", "excludes": {"minKernel": "6.2"}})"));
    EXPECT_EQ(old("ptrace"), "EPERM");
}

TEST(OciProfile, ReadsPodmansShape) {
    const Asked says(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
      "archMap": [{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
                  {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
      "syscalls": [
        {"names": ["execve", "exit_group", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
        {"names": ["bdflush", "kexec_load", "vmsplice"], "action": "SCMP_ACT_ERRNO", "args": [], "errnoRet": 1, "errno": "EPERM"},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "errno": "EINVAL", "args": [
            {"index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
         "excludes": {"caps": ["CAP_AUDIT_WRITE"]}},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 2, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_NE"}],
         "excludes": {"caps": ["CAP_AUDIT_WRITE"]}},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {"caps": ["CAP_AUDIT_WRITE"]}}]})");
    EXPECT_EQ(says("read"), "ENOSYS");
    EXPECT_EQ(says("vmsplice"), "EPERM");
    EXPECT_EQ(says("socket", {16, 3, 9}), "EINVAL");
    EXPECT_EQ(says("socket", {16, 3, 0}), "allow");
    EXPECT_TRUE(says.warnings.empty()) << "calls of other architectures are known";
}

TEST(OciProfile, ReadsTheSpecificationsShape) {
    const Asked says(
        R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"], "listenerPath": "",
        "syscalls": [{"names": ["getcwd", "chmod"], "action": "SCMP_ACT_ERRNO"}, {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
          {"names": ["uname"], "action": "SCMP_ACT_KILL"}, {"names": ["getpid"], "action": "SCMP_ACT_KILL_PROCESS"},
          {"names": ["getuid"], "action": "SCMP_ACT_TRAP"}, {"names": ["getgid"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
          {"names": ["sync"], "action": "SCMP_ACT_LOG"}, {"names": ["pause"], "action": "SCMP_ACT_KILL_THREAD", "errnoRet": 1}]})");
    EXPECT_EQ(says("getcwd"), "EPERM");
    EXPECT_EQ(says("mkdir"), "EACCES");
    EXPECT_EQ(says("uname"), "kill thread");
    EXPECT_EQ(says("pause"), "kill thread");
    EXPECT_EQ(says("getpid"), "kill process");
    EXPECT_EQ(says("getuid"), "trap");
    EXPECT_EQ(says("getgid"), "trace 7");
    EXPECT_EQ(says("sync"), "log");
    EXPECT_EQ(says("read"), "allow");
    EXPECT_EQ(says.profile().flags, static_cast<std::uint32_t>(SECCOMP_FILTER_FLAG_LOG));
    EXPECT_EQ(says.profile().foreign, kKillProcess) << "other architectures stay closed whatever is listed";
}

TEST(OciProfile, ComparesAsTheSpecificationSays) {
    const auto rule = [](const std::string& op, const std::string& value, const std::string& two = "0") {
        return Asked(allowing(R"({"names": ["lseek"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": )" +
                              value + R"(, "valueTwo": )" + two + R"(, "op": "SCMP_CMP_)" + op + "\"}]}"));
    };
    const std::string big = "18446744073709551615";
    EXPECT_EQ(rule("EQ", big)("lseek", {0, ~0ULL}), "allow");
    EXPECT_EQ(rule("EQ", big)("lseek", {0, ~0ULL - 1}), "EPERM") << "no double stands in for it";
    EXPECT_EQ(rule("EQ", "5")("lseek", {0, 5}), "allow");
    EXPECT_EQ(rule("EQ", "5")("lseek", {0, 0x100000005}), "EPERM") << "all 64 bits, as libseccomp does";
    EXPECT_EQ(rule("NE", "5")("lseek", {0, 5}), "EPERM");
    EXPECT_EQ(rule("LT", "5")("lseek", {0, 5}), "EPERM");
    EXPECT_EQ(rule("LE", "5")("lseek", {0, 5}), "allow");
    EXPECT_EQ(rule("GE", "5")("lseek", {0, 5}), "allow");
    EXPECT_EQ(rule("GT", "5")("lseek", {0, 5}), "EPERM");
    EXPECT_EQ(rule("GT", "5")("lseek", {0, 1ULL << 40}), "allow");
    EXPECT_EQ(rule("MASKED_EQ", "240", "16")("lseek", {0, 0x1f}), "allow");
    EXPECT_EQ(rule("MASKED_EQ", "240", "16")("lseek", {0, 0x2f}), "EPERM");
}

TEST(OciProfile, TakesAnArgumentNamedTwiceAsAlternatives) {
    const Asked says(allowing(R"({"names": ["lseek"], "action": "SCMP_ACT_ALLOW", "args": [
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]})"));
    EXPECT_EQ(says("lseek", {1}), "allow");
    EXPECT_EQ(says("lseek", {2}), "allow");
    EXPECT_EQ(says("lseek", {3}), "EPERM");
}

TEST(OciProfile, LetsARuleWithoutArgumentsOutweighTheOthers) {
    const std::string some =
        R"({"names": ["lseek"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]})";
    const std::string all = R"({"names": ["lseek"], "action": "SCMP_ACT_ERRNO", "errnoRet": 2})";
    for (const auto& rules : {some + "," + all, all + "," + some}) {
        const Asked says(denying(rules));
        EXPECT_EQ(says("lseek", {1}), "ENOENT");
        EXPECT_EQ(says("lseek", {0}), "ENOENT");
    }
}

TEST(OciProfile, NamesTheKeyThatIsWrong) {
    EXPECT_THAT(refusal("{"), HasSubstr("not valid JSON"));
    EXPECT_THAT(refusal("{\"defaultAction\": \"SCMP_ACT_ALLOW\",\n\"syscalls\": [}"), HasSubstr("line 2"));
    EXPECT_THAT(refusal("[]"), HasSubstr("must be an object"));
    EXPECT_THAT(refusal("{}"), HasSubstr("defaultAction"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ALOW"})"), HasSubstr("did you mean 'SCMP_ACT_ALLOW'"));
    EXPECT_THAT(refusal(R"({"defaultAction": 1})"), HasSubstr("'defaultAction' must be a string"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscals": []})"), HasSubstr("did you mean 'syscalls'"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000})"),
                HasSubstr("'defaultErrnoRet'"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPREM"})"), HasSubstr("'EPREM'"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPERM", "defaultErrnoRet": 2})"),
                HasSubstr("another one"));
    EXPECT_THAT(refusal(denying(R"({"action": "SCMP_ACT_ERRNO"})")), HasSubstr("'syscalls[0]' needs 'names'"));
    EXPECT_THAT(refusal(denying(R"({"names": ["mkdir"]})")), HasSubstr("action"));
    EXPECT_THAT(refusal(denying(R"({"names": [7], "action": "SCMP_ACT_ERRNO"})")), HasSubstr("syscalls[0].names[0]"));
    EXPECT_THAT(refusal(denying(R"({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "exclude": {}})")),
                HasSubstr("did you mean 'excludes'"));
    const auto arguments = [](const std::string& one) {
        return denying(R"({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [)" + one + "]}");
    };
    EXPECT_THAT(refusal(arguments(R"({"index": 6, "value": 0, "op": "SCMP_CMP_EQ"})")),
                HasSubstr("args[0].index' must be"));
    EXPECT_THAT(refusal(arguments(R"({"index": 0, "value": -1, "op": "SCMP_CMP_EQ"})")), HasSubstr("args[0].value"));
    EXPECT_THAT(refusal(arguments(R"({"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"})")), HasSubstr("args[0].value"));
    EXPECT_THAT(refusal(arguments(R"({"index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ"})")),
                HasSubstr("args[0].value"));
    EXPECT_THAT(refusal(arguments(R"({"index": 0, "value": 1, "op": "SCMP_CMP_EQUAL"})")),
                HasSubstr("did you mean 'SCMP_CMP_EQ'"));
    EXPECT_THAT(refusal(arguments(R"({"value": 1, "op": "SCMP_CMP_EQ"})")), HasSubstr("index"));
    EXPECT_THAT(refusal(denying(R"({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "4"}})")),
                HasSubstr("minKernel"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]})"),
                HasSubstr("flags[0]"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "SCMP_ACT_LOG"})"),
                HasSubstr("given twice"));
    EXPECT_THAT(refusal(std::string(kMaxProfileBytes + 1, ' ')), HasSubstr("too large"));
}

TEST(OciProfile, ChecksRulesThatDoNotApplyToo) {
    EXPECT_THAT(
        refusal(denying(R"({"names": ["mkdir"], "action": "SCMP_ACT_NONE", "includes": {"arches": ["s390x"]}})")),
        HasSubstr("SCMP_ACT_NONE"));
}

TEST(OciProfile, DoesNotIgnoreARefusalThatItCannotUnderstand) {
    EXPECT_THAT(refusal(denying(R"({"names": ["mkdri"], "action": "SCMP_ACT_ERRNO"})")),
                HasSubstr("cannot refuse 'mkdri'"));
    const Asked says(denying(R"({"names": ["breakpoint", "semtimedop_time64"], "action": "SCMP_ACT_ERRNO"})"));
    EXPECT_TRUE(says.warnings.empty()) << "those of other architectures cannot be called";
}

TEST(OciProfile, RefusesOtherArchitectures) {
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]})"),
                HasSubstr(std::string(kOciArchitecture)));
    EXPECT_THAT(
        refusal(
            R"({"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]}]})"),
        HasSubstr("other architectures"));
    EXPECT_THAT(
        refusal(
            R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"], "archMap": []})"),
        HasSubstr("both given"));
    EXPECT_TRUE(parse_oci_profile(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": []})", kPlain));
}

TEST(OciProfile, RefusesNotificationsClearly) {
    const auto* const what = "SCMP_ACT_NOTIFY";
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_NOTIFY"})", ErrorKind::unsupported), HasSubstr(what));
    EXPECT_THAT(refusal(denying(R"({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"})"), ErrorKind::unsupported),
                HasSubstr("'syscalls[0].action'"));
    EXPECT_THAT(
        refusal(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock"})", ErrorKind::unsupported),
        HasSubstr("'listenerPath'"));
    EXPECT_THAT(refusal(R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]})",
                        ErrorKind::unsupported),
                HasSubstr("'flags[0]'"));
}

TEST(RunningKernel, HasAVersion) {
    EXPECT_GE(running_kernel(), std::pair(5U, 0U));
}

} // namespace
