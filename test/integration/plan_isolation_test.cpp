// The plans that containers get, executed by the real init in real namespaces, without the filter of system calls: what
// is refused here is refused by mounts, limits and capabilities alone. Each wall is also taken down, by a plan that
// lacks its steps, and what it stood against must then get through: else the test would prove nothing.
#include "keeper_harness.h"

#include "plan/launch_plan.h"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <set>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/un.h>

namespace squish::plan {
namespace {

using namespace squish::test;
using launch::PlanBuilder;
using launch::StepKind;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// The same plan, each step with the flags that `flags_of` gives it; without those that get none.
PlanBuilder changed(const PlanBuilder& plan,
                    const std::function<std::optional<std::uint16_t>(const launch::StepView&)>& flags_of) {
    PlanBuilder out;
    const auto bytes = plan.bytes();
    EXPECT_TRUE(bytes);
    launch::PlanReader reader(bytes->data(), bytes->size());
    launch::StepView view;
    std::size_t changes = 0;
    for (std::size_t i = 0; reader.next(view); ++i) {
        const auto& step = *view.step;
        const auto flags = flags_of(view);
        changes += flags != step.flags;
        if (flags)
            out.add(static_cast<StepKind>(step.kind), {*flags, step.a, step.b, step.c, view.text1, view.text2},
                    plan.descriptions()[i]);
    }
    EXPECT_GT(changes, 0U) << "there is no such step";
    return out;
}

// The same plan without the steps that `leave_out` names.
PlanBuilder without(const PlanBuilder& plan, const std::function<bool(const launch::StepView&)>& leave_out) {
    return changed(plan, [&](const launch::StepView& view) {
        return leave_out(view) ? std::nullopt : std::optional(view.step->flags);
    });
}

auto is(StepKind kind) {
    return [kind](const launch::StepView& view) { return static_cast<StepKind>(view.step->kind) == kind; };
}

class Isolation : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        kept_.make_shell_rootfs({"cat", "chmod", "cp", "dd", "grep", "head", "id", "ls", "mkdir", "sleep", "stat",
                                 "test", "touch", "ulimit", "umask", "wc"});
        client_ = kept_.greet();
    }
    [[nodiscard]] Machine machine() const {
        Machine machine;
        machine.single_id = kept_.single_id();
        return machine;
    }
    [[nodiscard]] PlanBuilder whole_prelude() const { return make_prelude(machine(), {.sysfs = true}); }
    [[nodiscard]] ContainerPlan shell(const std::string& script) const {
        ContainerPlan plan;
        plan.id = plan.hostname = "box";
        plan.rootfs_layer = "test";
        plan.machine = machine();
        plan.command = "/sh";
        plan.arguments = {"sh", "-c", script};
        plan.environment = {{"PATH", "/"}};
        return plan;
    }
    // In the host's network there is no sysfs of the container's own.
    std::string prepare(const std::string& cell, const ContainerPlan& plan, const PlanBuilder& prelude) {
        if (plan.network != NetworkMode::host)
            return kept_.prepare(client_, cell, prelude);
        const auto memfd = sealed(make_prelude(machine(), {.sysfs = false}));
        const auto outcome =
            client_.outcome(KeeperKind::prepare, [&](wire::Writer& out) { out.text(cell).u32(1); }, {memfd.get()});
        return outcome == "1 fds" ? "done" : outcome;
    }
    // Runs it to its end; its output, and "[code]" where it did not end with 0.
    std::string output_of(const ContainerPlan& plan, const PlanBuilder& prelude) {
        const auto id = "run" + std::to_string(++count_);
        if (const auto prepared = prepare("cell-of-" + id, plan, prelude); prepared != "done")
            return "prepare: " + prepared;
        Pipe out;
        const auto root = kept_.root_mount();
        auto launch = make_launch(plan, {}, {});
        const auto memfd = sealed(change_ ? change_(launch) : launch);
        const Payload streams{.out = out.writer(), .err = out.writer()};
        const auto outcome = client_.outcome(KeeperKind::launch, text(id, "cell-of-" + id),
                                             kept_.with_streams(memfd.get(), root.get(), streams));
        if (outcome != "launched")
            return "launch: " + outcome;
        auto said = out.rest();
        const auto status = client_.event(KeeperKind::exited, id);
        return status == exited(0) ? said : said + "[" + std::to_string(status.value_or(-1) >> 8) + "]";
    }
    std::string output_of(const std::string& script) { return output_of(shell(script), whole_prelude()); }

    Kept kept_;
    Client client_;
    std::function<PlanBuilder(const PlanBuilder&)> change_; // of what launches the payload
    int count_ = 0;
};

// --- /proc and /sys
// -----------------------------------------------------------------------------------------------------------

// What can be read of it, in bytes or entries; "none" where the kernel does not have it.
std::string amount(const std::string& path) {
    return "p=" + path +
           "; if test -d $p; then echo $p $(ls -A $p | wc -w); elif test -e $p; then echo $p $(head -c "
           "100 $p 2>&1 | wc -c); else echo $p none; fi; ";
}

TEST_F(Isolation, WhatIsCoveredIsEmptyAndOtherwiseIsNot) {
    const std::vector<std::string> paths = {"/proc/acpi",        "/proc/asound",  "/proc/interrupts",
                                            "/proc/keys",        "/proc/scsi",    "/proc/key-users",
                                            "/proc/sched_debug", "/sys/firmware", "/sys/devices/virtual/powercap"};
    std::string script;
    for (const auto& path : paths)
        script += amount(path);
    const auto covered = output_of(script);
    const auto bare = output_of(shell(script), without(whole_prelude(), is(StepKind::mask)));
    std::size_t found = 0; // what the kernel has, and would let the payload read
    for (const auto& path : paths) {
        if (bare.contains(path + " none\n"))
            continue;
        EXPECT_THAT(covered, HasSubstr(path + " 0\n"));
        found += !bare.contains(path + " 0\n");
    }
    EXPECT_GE(found, 1U) << "without covers: " << bare;
}

// CVE-2019-19921: a rootfs decides where the kernel's files are.
TEST_F(Isolation, ALinkInTheRootfsDoesNotMoveProc) {
    const auto script = "cat /tmp/1/comm";
    const auto rootfs = kept_.at("rootfs");
    fs::remove(rootfs + "/proc");
    fs::create_directory_symlink("/tmp", rootfs + "/proc");
    EXPECT_THAT(output_of(shell(script), whole_prelude()), StartsWith("launch: "));
    change_ = [](const PlanBuilder& plan) {
        return changed(plan, [](const launch::StepView& view) {
            return std::optional(is(StepKind::attach)(view) ? std::uint16_t{0} : view.step->flags);
        });
    };
    EXPECT_EQ(output_of(shell(script), whole_prelude()), "squish-init\n");
}

TEST_F(Isolation, TheCoversCannotBeWrittenTo) {
    const auto tried =
        output_of("for p in /proc/kcore /proc/keys /proc/sysrq-trigger /proc/timer_list; do test -e $p || "
                  "continue; (echo b > $p) 2>&1; (chmod 777 $p) 2>&1; done; "
                  "for p in /proc/scsi /proc/acpi /sys/firmware; do test -e $p || continue; (touch $p/x) "
                  "2>&1; done; true");
    EXPECT_THAT(tried, HasSubstr("Read-only file system"));
    for (const auto* other : {"Permission denied", "Operation not permitted", "[", "No space"})
        EXPECT_THAT(tried, Not(HasSubstr(other))) << "the cover itself refuses, whatever the file's mode";
}

TEST_F(Isolation, SettingsOfTheKernelAreReadOnly) {
    // With the capability that the kernel asks for: no squishfile can give it, but a bug of the kernel might.
    auto plan = shell("(echo 7 > /proc/sys/user/max_user_namespaces) 2>&1; cat /proc/sys/user/max_user_namespaces");
    plan.capabilities = 1ULL << CAP_SYS_RESOURCE;
    const auto frozen = output_of(plan, whole_prelude());
    EXPECT_THAT(frozen, HasSubstr("Read-only file system"));
    EXPECT_THAT(frozen, ::testing::EndsWith("\n0\n"));
    EXPECT_EQ(output_of(plan, without(whole_prelude(), is(StepKind::freeze))), "7\n");
    for (const auto* path : {"sys", "irq", "bus", "fs"})
        EXPECT_THAT(output_of("grep ' /proc/" + std::string(path) + " ' /proc/self/mountinfo; true"), HasSubstr(" ro,"))
            << path;
}

TEST_F(Isolation, NoUserNamespaceIsMadeInAContainer) {
    auto plan = shell("cat /proc/sys/user/max_user_namespaces; /testbin call unshare clone");
    EXPECT_EQ(output_of(plan, whole_prelude()), "0\nunshare ENOSPC\nclone ENOSPC\n");
    const auto open = output_of(plan, without(whole_prelude(), is(StepKind::write)));
    EXPECT_THAT(open, HasSubstr("unshare ok\nclone ok\n"));
}

TEST_F(Isolation, AStepThatWritesOrCoversDoesNotLeaveItsTree) {
    for (const auto* path : {"../sys/user/max_user_namespaces", "self/oom_score_adj", "/proc/version"}) {
        PlanBuilder prelude;
        prelude.add(StepKind::new_proc, {.a = launch::kOwnSlots}, "proc");
        prelude.add(StepKind::write, {.a = launch::kOwnSlots, .text1 = path, .text2 = "0"}, "write");
        EXPECT_THAT(output_of(shell("true"), prelude), HasSubstr("step 1 failed")) << path;
    }
}

// --- mounts
// -------------------------------------------------------------------------------------------------------------------

struct Mounted {
    std::string point, type;
    std::set<std::string> flags;
    std::string propagation;
};

// proc_pid_mountinfo(5): id parent dev root point flags [propagation…] - type source superblock-flags
std::vector<Mounted> parse_mountinfo(const std::string& text) {
    std::vector<Mounted> mounts;
    for (const auto line : split(text, '\n')) {
        const auto words = split(line, ' ');
        const auto dash = std::ranges::find(words, "-");
        if (words.size() < 9 || dash == words.end())
            continue;
        Mounted mount{std::string(words[4]), std::string(*(dash + 1)), {}, {}};
        for (const auto flag : split(words[5], ','))
            mount.flags.emplace(flag);
        for (auto word = words.begin() + 6; word != dash; ++word)
            mount.propagation += std::string(*word) + " ";
        mounts.push_back(std::move(mount));
    }
    return mounts;
}

TEST_F(Isolation, EveryMountIsPrivateAndWithoutSetuidAndDevices) {
    const auto mounts = parse_mountinfo(output_of("cat /proc/self/mountinfo"));
    ASSERT_GT(mounts.size(), 10U);
    const std::set<std::string> nodes = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
                                         "/dev/urandom", "/dev/tty",  "/dev/pts"};
    std::set<std::string> seen;
    for (const auto& mount : mounts) {
        seen.insert(mount.point);
        EXPECT_EQ(mount.propagation, "") << mount.point;
        EXPECT_TRUE(mount.flags.contains("nosuid")) << mount.point;
        EXPECT_EQ(mount.flags.contains("nodev"), !nodes.contains(mount.point)) << mount.point;
        const bool writable = mount.point == "/proc" || mount.point == "/tmp" || mount.point == "/dev/shm" ||
                              mount.point == "/dev/mqueue" || nodes.contains(mount.point);
        EXPECT_EQ(mount.flags.contains("ro"), !writable) << mount.point;
        if (mount.point != "/" && mount.point != "/tmp") {
            EXPECT_TRUE(mount.flags.contains("noexec")) << mount.point;
        }
    }
    for (const auto& node : nodes)
        EXPECT_TRUE(seen.contains(node)) << node;
}

TEST_F(Isolation, ATmpWithoutExecution) {
    auto plan = shell("cp /testbin /tmp/x && /tmp/x true && echo executed; /sh /tmp/x 2>/dev/null; true");
    EXPECT_THAT(output_of(plan, whole_prelude()), HasSubstr("executed"));
    plan.tmp_noexec = true;
    EXPECT_THAT(output_of(plan, whole_prelude()), HasSubstr("Permission denied"));
}

TEST_F(Isolation, ADeviceThatIsAnotherIsNotBound) {
    for (const auto& [name, number] :
         {std::pair{"zero", launch::device_number(1, 3)}, std::pair{"null", launch::device_number(5, 0)}}) {
        PlanBuilder prelude;
        constexpr auto kDev = launch::kOwnSlots;
        prelude.add(StepKind::new_tmpfs, {.a = kDev, .text1 = "mode=0755"}, "dev");
        prelude.add(StepKind::stage, {.a = kDev, .b = 0}, "dev");
        prelude.add(StepKind::device, {.a = kDev, .c = number, .text1 = name}, "device");
        EXPECT_THAT(output_of(shell("true"), prelude), HasSubstr("step 2 failed: " + std::to_string(ENODEV))) << name;
    }
}

// --- capabilities and ids
// -----------------------------------------------------------------------------------------------------

constexpr const char* kSets = "grep -E '^(Cap|Groups|NoNewPrivs)' /proc/self/status; ";

TEST_F(Isolation, NoCapabilityInAnySetAndNoGroup) {
    for (const auto uid : {0U, kept_.single_id() ? 0U : 1000U}) {
        auto plan = shell(kSets);
        plan.user = {uid, uid};
        const auto status = output_of(plan, whole_prelude());
        for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
            EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t0000000000000000\n")) << set;
        if (!kept_.single_id()) {
            EXPECT_THAT(status, HasSubstr("Groups:\t \n"));
        }
    }
}

TEST_F(Isolation, TheCapabilitiesAskedForAreInAllSetsAndWork) {
    if (kept_.single_id())
        FAIL() << "these tests need subordinate ids";
    for (const auto uid : {0U, 1000U}) {
        auto plan = shell(std::string(kSets) + "touch /tmp/f && /sh -c 'chown 5:6 /tmp/f' && stat -c %u:%g /tmp/f");
        plan.user = {uid, uid};
        EXPECT_THAT(output_of(plan, whole_prelude()), Not(HasSubstr("5:6")));
        plan.capabilities = capability_bits({"CAP_CHOWN"});
        const auto said = output_of(plan, whole_prelude());
        for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
            EXPECT_THAT(said, HasSubstr(std::string(set) + ":\t0000000000000001\n")) << set << " of uid " << uid;
        EXPECT_THAT(said, HasSubstr("5:6\n"));
        EXPECT_THAT(said, HasSubstr("NoNewPrivs:\t1\n"));
    }
}

TEST_F(Isolation, CapabilitiesAreLostWithUidZeroAndDoNotComeBack) {
    if (kept_.single_id())
        FAIL() << "these tests need subordinate ids";
    auto plan = shell("/testbin become 1000 /grep CapPrm /proc/self/status");
    plan.capabilities = capability_bits({"CAP_SETUID", "CAP_CHOWN"});
    EXPECT_THAT(output_of(plan, whole_prelude()), HasSubstr("CapPrm:\t0000000000000000"));
}

TEST_F(Isolation, InitIsOutOfReachEvenWithMoreThanASquishfileCanGive) {
    // Reading the memory of init takes CAP_SYS_PTRACE over its namespace; then the door is open, and what lies behind
    // it still cannot be overwritten (CVE-2019-5736): it is a sealed memfd.
    auto plan =
        shell("/testbin attack process 1; cat /proc/1/exe > /tmp/copy 2>/dev/null; wc -c < /tmp/copy; (echo x > "
              "/proc/1/exe) 2>&1; true");
    const auto shut = output_of(plan, whole_prelude());
    EXPECT_THAT(shut, Not(HasSubstr(" ok\n")));
    EXPECT_THAT(shut, HasSubstr("\n0\n"));
    plan.capabilities = 1ULL << CAP_SYS_PTRACE | 1ULL << CAP_KILL;
    const auto open = output_of(plan, whole_prelude());
    for (const auto* part : {"program ok", "environment", "root ok", "Text file busy"})
        EXPECT_THAT(open, HasSubstr(part));
    EXPECT_THAT(open, Not(HasSubstr("\n0\n")));
}

TEST_F(Isolation, NothingIsMountedOrUnmountedWithoutTheCapability) {
    auto plan = shell("/testbin call mount umount; (touch /x) 2>&1; true");
    EXPECT_THAT(output_of(plan, whole_prelude()), StartsWith("mount EPERM\numount EPERM\n"));
    plan.capabilities = 1ULL << CAP_SYS_ADMIN;
    EXPECT_THAT(output_of(plan, whole_prelude()), StartsWith("mount ok\numount ok\n"));
}

// --- what is inherited
// ----------------------------------------------------------------------------------------------------------

TEST_F(Isolation, LimitsMaskAndSessionHaveDefinedValues) {
    const auto said = output_of("cat /proc/self/limits; umask; cat /proc/self/stat");
    const auto limit = [&](const std::string& name) { // soft and hard
        for (const auto line : split(said, '\n'))
            if (line.starts_with(name)) {
                std::string words;
                for (const auto word : split(line.substr(26), ' '))
                    if (!word.empty())
                        words += (words.empty() ? "" : " ") + std::string(word);
                return words;
            }
        return std::string("none");
    };
    EXPECT_THAT(limit("Max core file size"), StartsWith("0 0 "));
    EXPECT_THAT(limit("Max open files"), StartsWith("1024 "));
    EXPECT_THAT(limit("Max stack size"), StartsWith("8388608 "));
    EXPECT_THAT(limit("Max nice priority"), StartsWith("0 0"));
    EXPECT_THAT(limit("Max realtime priority"), StartsWith("0 0"));
    EXPECT_THAT(limit("Max file size"), StartsWith("unlimited unlimited"));
    EXPECT_THAT(said, HasSubstr("\n0022\n"));
    // proc_pid_stat(5): pid comm state ppid pgrp session tty_nr …: a session of its own, and no terminal.
    const auto last = said.substr(said.rfind("("));
    EXPECT_THAT(last, ::testing::MatchesRegex("\\(cat\\) R 1 2 2 0 -1 .*\n"));
}

TEST_F(Isolation, ACoreIsNotWrittenAndCannotBeAskedFor) {
    const auto said =
        output_of("ulimit -c; ulimit -c unlimited; ulimit -c; cd /tmp; /testbin raise 11; ls -A /tmp | wc -l");
    EXPECT_THAT(said, StartsWith("0\n"));
    EXPECT_THAT(said, HasSubstr("Operation not permitted\n0\n"));
    EXPECT_THAT(said, ::testing::EndsWith("Segmentation fault\n0\n"));
}

TEST_F(Isolation, APayloadThatOnlyForksComesToAnEnd) {
    constexpr long kMost = 4096;
    const auto forked = [&](const std::string& attempt) {
        const auto said = output_of("/testbin attack forks " + attempt);
        EXPECT_THAT(said, StartsWith("forks "));
        return std::pair{std::atol(said.c_str() + 6), said};
    };
    const auto [count, said] = forked("4200");
    EXPECT_THAT(said, HasSubstr("EAGAIN"));
    EXPECT_LT(count, kMost);
    EXPECT_GT(count, kMost - 50) << "init, the shell and testbin count, and nothing of other containers";
    EXPECT_THAT(output_of("(ulimit -u 5000) 2>&1; true"), HasSubstr("Operation not permitted"));
    change_ = [](const PlanBuilder& plan) {
        return without(plan, [](const launch::StepView& view) {
            return is(StepKind::resource_limit)(view) && view.step->a == RLIMIT_NPROC;
        });
    };
    EXPECT_EQ(forked("4200").second, "forks 4200 ok\n");
}

TEST_F(Isolation, InotifyIsNotUsedUpByOneContainer) {
    auto limited = machine();
    limited.inotify_instances = 20;
    limited.inotify_watches = 60;
    auto plan = shell("/testbin attack inotify 40; /testbin attack watches /tmp 50");
    EXPECT_EQ(output_of(plan, make_prelude(limited, {.sysfs = true})), "instances 10 EMFILE\nwatches 30 ENOSPC\n");
    EXPECT_EQ(output_of(plan, whole_prelude()), "instances 40 ok\nwatches 50 ok\n");
}

TEST_F(Isolation, AContainerGoesBeforeTheKeeperWhenMemoryEnds) {
    const auto own = os::read_file("/proc/" + std::to_string(kept_.pid()) + "/oom_score_adj");
    ASSERT_TRUE(own);
    const auto want = std::to_string(std::min(std::stol(*own) + 100, 1000L)) + "\n";
    EXPECT_EQ(output_of("cat /proc/self/oom_score_adj"), want);
    EXPECT_EQ(output_of("(echo 0 > /proc/self/oom_score_adj) 2>/dev/null; cat /proc/self/oom_score_adj"), want)
        << "and it cannot take that back";
}

TEST_F(Isolation, AbstractSocketsOfTheHostAreOutOfReach) {
    const auto abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    const auto name = "squish-isolation-" + std::to_string(::getpid());
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listener.get(), 8), 0);
    auto plan = shell("/testbin abstract " + name);
    EXPECT_THAT(output_of(plan, whole_prelude()), HasSubstr("Connection refused")) << "a network of its own";
    plan.network = NetworkMode::host;
    EXPECT_EQ(output_of(plan, whole_prelude()), "connected\n") << "the host's, without the wall";
    plan.machine.landlock = static_cast<int>(abi);
    // Before Linux 6.12 nothing can forbid it, and no step pretends to.
    EXPECT_THAT(output_of(plan, whole_prelude()),
                HasSubstr(abi >= kLandlockScopes ? "Operation not permitted" : "connected\n"));
}

TEST_F(Isolation, KeyringsAreNotTheUsersAndNotEachOthers) {
    auto plan = shell("/testbin keyring");
    const auto shared = output_of(plan, whole_prelude());
    EXPECT_EQ(shared, output_of(plan, whole_prelude())) << "without the step: the keeper's, for all";
    const auto ours = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    EXPECT_NE(shared, std::to_string(ours) + "\n") << "not even then that of who started the keeper";
    plan.own_keyring = true;
    const auto first = output_of(plan, whole_prelude());
    EXPECT_THAT(first, ::testing::MatchesRegex("[0-9]+\n"));
    EXPECT_NE(first, shared);
    EXPECT_NE(first, output_of(plan, whole_prelude()));
}

} // namespace
} // namespace squish::plan
