// From a squishfile to the steps of init: what is decided, in which order, as text.
#include "plan/container_plan.h"
#include "plan/launch_plan.h"

#include "../os/scratch.h"
#include "plan_text.h"

#include "squishfile/capabilities.h"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <map>
#include <sys/stat.h>

namespace squish::plan {
namespace {

using test::plan_text;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Machine machine() {
    return {.base_rootfs = "/data/rootfs/base-1", .base_version = "1-abc", .resolv_conf = "nameserver 10.0.2.3\n"};
}

Squishfile parse(std::string_view toml) {
    auto file = parse_toml(toml);
    EXPECT_TRUE(file) << render("squishfile.toml", file ? std::vector<Diagnostic>() : file.error());
    if (!file)
        return {};
    resolve_paths(*file, "/here", "/here");
    return std::move(*file);
}

ContainerPlan plan_of(std::string_view toml, const Machine& on = machine()) {
    auto plan = plan_container(parse(toml), layers_of(parse(toml)), "0123", "web", on, "/state/0123");
    EXPECT_TRUE(plan) << plan.error().text();
    return plan ? std::move(*plan) : ContainerPlan{};
}

std::string mounts_text(const ContainerPlan& plan) {
    std::string text;
    for (const auto& mount : plan.mounts)
        text += mount.source + " -> " + mount.target + (mount.read_only ? " ro" : " rw") +
                (mount.nested ? " nested" : "") + (mount.layer.empty() ? "" : " [" + mount.layer + "]") + "\n";
    return text;
}

std::string launch_text(const ContainerPlan& plan, const IoSlots& io = {}) {
    return plan_text(make_launch(plan, std::vector<bool>(plan.mounts.size(), true), io));
}

std::string_view cap_text(unsigned number) {
    static const std::map<unsigned, std::string_view> kNames = {{CAP_CHOWN, "CHOWN"},
                                                                {CAP_DAC_OVERRIDE, "DAC_OVERRIDE"},
                                                                {CAP_FOWNER, "FOWNER"},
                                                                {CAP_FSETID, "FSETID"},
                                                                {CAP_KILL, "KILL"},
                                                                {CAP_SETGID, "SETGID"},
                                                                {CAP_SETUID, "SETUID"},
                                                                {CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE"},
                                                                {CAP_SYS_CHROOT, "SYS_CHROOT"}};
    const auto found = kNames.find(number);
    return found == kNames.end() ? "unknown" : found->second;
}

constexpr const char* kRun = "[run]\ncommand = \"/bin/app\"\n";

TEST(ContainerPlan, ASmallSquishfile) {
    const auto plan = plan_of(R"(
[layers]
app = "./app"
data = { path = "/srv/data", target = "/var/data", rw = true }
[run]
command = "/app/app"
args = ["-x", ""]
)");
    EXPECT_EQ(plan.id, "0123");
    EXPECT_EQ(plan.hostname, "web");
    EXPECT_EQ(plan.rootfs, "/data/rootfs/base-1");
    EXPECT_EQ(plan.rootfs_layer, "base");
    EXPECT_EQ(mounts_text(plan), "/here/app -> /app/app ro [app]\n"
                                 "/state/0123/hostname -> /etc/hostname ro\n"
                                 "/state/0123/hosts -> /etc/hosts ro\n"
                                 "/srv/data -> /var/data rw [data]\n");
    EXPECT_THAT(plan.folders, ElementsAre("/dev", "/proc", "/sdk", "/sys", "/tmp"));
    ASSERT_EQ(plan.files.size(), 1U);
    EXPECT_EQ(plan.files[0].first, "/etc/resolv.conf");
    EXPECT_EQ(plan.files[0].second, "nameserver 10.0.2.3\n");
    EXPECT_THAT(plan.arguments, ElementsAre("/app/app", "-x", ""));
    EXPECT_EQ(plan.work_folder, "/");
    EXPECT_EQ(plan.user, (UserSpec{0, 0}));
    EXPECT_TRUE(plan.own_tmp);
}

TEST(LaunchPlan, APreludeMakesWhatEveryContainerHas) {
    EXPECT_EQ(plan_text(make_prelude(machine(), {.sysfs = true})), R"(no dump
keep @0 as @sys
new proc @proc
new tmpfs @empty mode=0755,size=4k,nr_inodes=4 nosuid nodev noexec
file @empty/file 0444
directory @empty/folder 0555
set @empty ro
stage @empty at 1
stage @proc at 2
write '0' to @proc/sys/user/max_user_namespaces
mask @proc/acpi with @empty
mask @proc/asound with @empty
mask @proc/interrupts with @empty
mask @proc/kcore with @empty
mask @proc/key-users with @empty
mask @proc/keys with @empty
mask @proc/kmsg with @empty
mask @proc/latency_stats with @empty
mask @proc/sched_debug with @empty
mask @proc/scsi with @empty
mask @proc/sysrq-trigger with @empty
mask @proc/timer_list with @empty
mask @proc/timer_stats with @empty
freeze @proc/bus
freeze @proc/fs
freeze @proc/irq
freeze @proc/sys
stage @sys at 3
mask @sys/devices/virtual/powercap with @empty
mask @sys/firmware with @empty
new tmpfs @dev mode=0755,size=64k nosuid nodev noexec
stage @dev at 0
device @dev/null 1:3
device @dev/zero 1:5
device @dev/full 1:7
device @dev/random 1:8
device @dev/urandom 1:9
device @dev/tty 5:0
symlink @dev/fd -> /proc/self/fd
symlink @dev/stdin -> /proc/self/fd/0
symlink @dev/stdout -> /proc/self/fd/1
symlink @dev/stderr -> /proc/self/fd/2
symlink @dev/ptmx -> pts/ptmx
directory @dev/pts 0755
directory @dev/shm 0755
directory @dev/mqueue 0755
new devpts @pts newinstance,ptmxmode=0666,mode=0620,gid=5
attach @pts beneath @dev/pts
new tmpfs @shm mode=1777,size=64m nosuid nodev noexec
attach @shm beneath @dev/shm
new mqueue @queue
attach @queue beneath @dev/mqueue
set @dev ro
)");
}

TEST(LaunchPlan, APreludeOfTheHostsNetworkHasNoSysfsAndOneOfASingleIdNoGroups) {
    auto single = machine();
    single.single_id = true;
    const auto text = plan_text(make_prelude(single, {.sysfs = false}));
    EXPECT_THAT(text, Not(HasSubstr("@sys")));
    EXPECT_THAT(text, Not(HasSubstr("gid=5")));
}

TEST(LaunchPlan, WhoHasLimitsSeesTheCgroupTheyAreIn) {
    const auto prelude = plan_text(make_prelude(machine(), {.cgroup = true}));
    EXPECT_THAT(prelude, HasSubstr("\nnew cgroup @cgroup\n"));
    const auto launch = launch_text(plan_of("[run]\ncommand = \"/bin/true\"\n[resources]\npids = 5\n"));
    EXPECT_THAT(launch, HasSubstr("attach @cgroup /sys/fs/cgroup without links\npivot\n"));
    EXPECT_THAT(launch_text(plan_of("[run]\ncommand = \"/bin/true\"\n")), Not(HasSubstr("cgroup")));
}

TEST(LaunchPlan, ALaunchIsRootThenMountsThenPivotThenThePayload) {
    const auto plan = plan_of(R"(
[layers]
app = "./app"
[run]
command = "/app/app"
args = ["-v"]
[env]
MODE = "test"
)");
    EXPECT_EQ(launch_text(plan), R"(root @0
new tmpfs @tmp mode=1777 nosuid nodev
attach @tmp /tmp
attach @dev /dev without links
attach @proc /proc without links
attach @sys /sys without links
attach @1 /app/app
attach @2 /etc/hostname
attach @3 /etc/hosts
pivot
hostname web
clock from zero, by @proc
argument '/app/app'
argument '-v'
environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
environment HOME=/root
environment HOSTNAME=web
environment container=squish
environment MODE=test
work folder /
ids 0:0
stdio @4 @5 @6
capabilities 0
limit 7 1024/524288
limit 4 0
limit 3 8388608/18446744073709551615
limit 8 8388608
limit 12 819200
limit 13 0
limit 14 0
limit 15 18446744073709551615
limit 9 18446744073709551615
limit 0 18446744073709551615
limit 2 18446744073709551615
limit 1 18446744073709551615
limit 10 18446744073709551615
limit 6 4096
limit 5 18446744073709551615
limit 11 18446744073709551615
run /app/app
)");
}

TEST(LaunchPlan, EveryStepSaysWhatItIsAbout) {
    const auto plan = plan_of(std::string("[layers]\ndata = { path = \"/srv\", target = \"/data\" }\n") + kRun);
    const auto steps = make_launch(plan, std::vector<bool>(plan.mounts.size(), true), {});
    for (const auto& what : steps.descriptions())
        EXPECT_FALSE(what.empty());
    EXPECT_THAT(steps.descriptions(), ::testing::Contains("mount '/data' (layer 'data')"));
    EXPECT_EQ(steps.descriptions().back(), "run '/bin/app'");
    for (const bool sysfs : {true, false}) {
        const auto prelude = make_prelude(machine(), {.sysfs = sysfs});
        for (const auto& what : prelude.descriptions())
            EXPECT_FALSE(what.empty());
    }
}

TEST(LaunchPlan, AKeyringOfItsOwnWhereTheFilterLetsItBeUsed) {
    EXPECT_THAT(launch_text(plan_of(kRun)), Not(HasSubstr("keyring")));
    for (const auto* profile : {"unconfined", "/srv/profile.json"}) {
        const auto plan = plan_of(std::string(kRun) + "[security]\nseccomp = \"" + profile + "\"\n");
        EXPECT_THAT(launch_text(plan), HasSubstr("\nkeyring\nrun /bin/app\n"));
    }
    ExecPlan exec;
    exec.command = {"/bin/x"};
    EXPECT_THAT(plan_text(make_exec(exec, {})), Not(HasSubstr("keyring")));
    exec.own_keyring = true;
    EXPECT_THAT(plan_text(make_exec(exec, {})), HasSubstr("\nkeyring\nbecome /bin/x\n"));
}

TEST(LaunchPlan, AbstractSocketsOfTheHostsNetworkAreOutOfScopeWhereTheKernelCanSaySo) {
    auto modern = machine();
    modern.landlock = kLandlockScopes;
    const auto host = std::string(kRun) + "[network]\nmode = \"host\"\n";
    EXPECT_THAT(launch_text(plan_of(host, modern)), HasSubstr("\nscope 1\nrun /bin/app\n"));
    EXPECT_THAT(launch_text(plan_of(host)), Not(HasSubstr("scope")));
    EXPECT_THAT(launch_text(plan_of(kRun, modern)), Not(HasSubstr("scope"))) << "a network of its own has its own";
    ExecPlan exec;
    exec.command = {"/bin/x"};
    exec.machine = modern;
    exec.network = NetworkMode::host;
    EXPECT_THAT(plan_text(make_exec(exec, {})), HasSubstr("\nscope 1\nbecome /bin/x\n"));
}

TEST(LaunchPlan, CapabilitiesAreGivenByNumber) {
    const auto plan = plan_of(std::string(kRun) + "[security]\ncapabilities = [\"CHOWN\", \"cap_sys_chroot\"]\n");
    EXPECT_EQ(plan.capabilities, 1U << CAP_CHOWN | 1U << CAP_SYS_CHROOT);
    EXPECT_THAT(launch_text(plan), HasSubstr("capabilities 262145\n"));
    for (const auto& one : kGrantable) { // the kernel's own numbers
        const auto given =
            plan_of(std::string(kRun) + "[security]\ncapabilities = [\"" + std::string(one.name) + "\"]\n");
        const auto text = cap_text(one.number);
        EXPECT_EQ(given.capabilities, 1ULL << one.number);
        EXPECT_EQ(text, one.name);
    }
    EXPECT_EQ(plan_of(kRun).capabilities, 0U);
}

TEST(LaunchPlan, ATerminalReplacesTheThreeStreams) {
    const auto text = launch_text(plan_of(kRun), {.console = true, .rows = 50, .columns = 132});
    EXPECT_THAT(text, HasSubstr("terminal @3 50x132\n"));
    EXPECT_THAT(text, Not(HasSubstr("stdio")));
}

TEST(LaunchPlan, TheFilterIsTheLastDescriptorAndTheLastThingBeforeTheCommand) {
    auto plan = plan_of(std::string(kRun) + "[[ports]]\ncontainer = 80\nhost = 8080\nactivation = true\n");
    EXPECT_THAT(launch_text(plan), Not(HasSubstr("seccomp")));
    plan.filter = 2;
    EXPECT_THAT(launch_text(plan), HasSubstr("pass @6\n"));
    EXPECT_THAT(launch_text(plan), HasSubstr("\nseccomp @7 flags 2\nrun /bin/app\n"));
    EXPECT_THAT(launch_text(plan, {.console = true}), HasSubstr("\nseccomp @5 flags 2\nrun /bin/app\n"));
}

TEST(LaunchPlan, AKernelWithoutTimeNamespacesGetsNoClockAndASmallMachineItsOwnLimit) {
    auto old = machine();
    old.time_namespaces = false;
    old.descriptor_limit = 512;
    const auto text = launch_text(plan_of(kRun, old));
    EXPECT_THAT(text, Not(HasSubstr("clock")));
    EXPECT_THAT(text, HasSubstr("limit 7 512\n"));
}

TEST(LaunchPlan, HalfOfWhatTheUserHasOfInotifyIsForOneContainer) {
    auto counted = machine();
    EXPECT_THAT(plan_text(make_prelude(counted, {.sysfs = true})), Not(HasSubstr("inotify")))
        << "a kernel that does not say";
    counted.inotify_instances = 128;
    counted.inotify_watches = 8193;
    const auto text = plan_text(make_prelude(counted, {.sysfs = true}));
    EXPECT_THAT(text, HasSubstr("write '64' to @proc/sys/user/max_inotify_instances\n"
                                "write '4096' to @proc/sys/user/max_inotify_watches\nmask "));
}

TEST(ContainerPlan, TheHostsNetworkBringsTheHostsResolverAndSysfs) {
    const auto plan = plan_of(std::string(kRun) + "[network]\nmode = \"host\"\n");
    EXPECT_EQ(mounts_text(plan), "/state/0123/hostname -> /etc/hostname ro\n"
                                 "/state/0123/hosts -> /etc/hosts ro\n"
                                 "/etc/resolv.conf -> /etc/resolv.conf ro\n"
                                 "/sys -> /sys ro\n");
    EXPECT_TRUE(plan.files.empty());
    EXPECT_THAT(launch_text(plan), Not(HasSubstr("attach @sys /sys")));
    // That sysfs is attached as the user's mounts are, and covered there.
    EXPECT_THAT(launch_text(plan), HasSubstr("attach @4 /sys\nmask @4/devices/virtual/powercap with @empty\n"
                                             "mask @4/firmware with @empty\nmask @4/fs/bpf with @empty\n"));
}

TEST(ContainerPlan, NoNetworkBringsNoResolver) {
    const auto plan = plan_of(std::string(kRun) + "[network]\nmode = \"none\"\n");
    EXPECT_TRUE(plan.files.empty());
    EXPECT_THAT(mounts_text(plan), Not(HasSubstr("resolv.conf")));
    EXPECT_THAT(launch_text(plan), HasSubstr("attach @sys /sys without links\n"));
}

TEST(ContainerPlan, WhatTheSquishfileMountsIsNotCovered) {
    const auto own = plan_of(std::string("[layers]\nhosts = { path = \"/h\", target = \"/etc/hosts\" }\n"
                                         "resolv = { path = \"/r\", target = \"/etc/resolv.conf\" }\n") +
                             kRun);
    EXPECT_EQ(
        mounts_text(own),
        "/state/0123/hostname -> /etc/hostname ro\n/h -> /etc/hosts ro [hosts]\n/r -> /etc/resolv.conf ro [resolv]\n");
    EXPECT_TRUE(own.files.empty());
    const auto etc = plan_of(std::string("[layers]\netc = { path = \"/e\", target = \"/etc\" }\n") + kRun);
    EXPECT_EQ(mounts_text(etc), "/e -> /etc ro [etc]\n") << "a whole /etc of the user's stays as it is";
    EXPECT_TRUE(etc.files.empty());
    const auto host = plan_of(std::string("[layers]\netc = { path = \"/e\", target = \"/etc\" }\n") + kRun +
                              "[network]\nmode = \"host\"\n");
    EXPECT_EQ(mounts_text(host), "/e -> /etc ro [etc]\n/sys -> /sys ro\n");
}

TEST(ContainerPlan, OuterMountsComeFirstAndInnerOnesAreMarked) {
    auto file = parse(std::string("[layers]\nb = { path = \"/b\", target = \"/srv/b\" }\n") + kRun);
    // Nested targets do not parse today; the plan is ready for them.
    for (const auto& [name, path, target] :
         {std::tuple("inner", "/i", "/srv/b/inner"), std::tuple("outer", "/o", "/srv"),
          std::tuple("sibling", "/s", "/srv-other")}) {
        LayerSpec layer;
        layer.name = name;
        layer.path = path;
        layer.target = target;
        file.layers.push_back(layer);
    }
    const auto plan = plan_container(file, layers_of(file), "0123", "web", machine(), "/state/0123");
    ASSERT_TRUE(plan);
    EXPECT_THAT(mounts_text(*plan), HasSubstr("/o -> /srv ro [outer]\n"));
    std::vector<std::string> order;
    for (const auto& mount : plan->mounts) {
        order.push_back(mount.target);
        EXPECT_EQ(mount.nested, mount.target.starts_with("/srv/")) << mount.target;
    }
    EXPECT_LT(std::ranges::find(order, "/srv"), std::ranges::find(order, "/srv/b"));
    EXPECT_LT(std::ranges::find(order, "/srv/b"), std::ranges::find(order, "/srv/b/inner"));
}

TEST(LaunchPlan, WhatIsMountedBelowOurTmpGetsItsPointThere) {
    const auto plan =
        plan_of(std::string("[layers]\nsocket = { path = \"/run/x.sock\", target = \"/tmp/a/b/x.sock\" }\n"
                            "folder = { path = \"/f\", target = \"/tmp/f\" }\n") +
                kRun);
    EXPECT_TRUE(plan.own_tmp);
    std::vector<bool> folders;
    for (const auto& mount : plan.mounts)
        folders.push_back(mount.layer == "folder");
    const auto text = plan_text(make_launch(plan, folders, {}));
    EXPECT_THAT(text, HasSubstr("attach @tmp /tmp\n"));
    EXPECT_THAT(text, HasSubstr("directory @tmp/a 0755 unless there\n"
                                "directory @tmp/a/b 0755 unless there\n"
                                "file @tmp/a/b/x.sock 0644 unless there\n"
                                "attach @3 /tmp/a/b/x.sock\n"
                                "directory @tmp/f 0755 unless there\n"
                                "attach @4 /tmp/f\n"));
    for (const auto& mount : plan.mounts)
        EXPECT_EQ(mount.nested, !mount.layer.empty());
}

TEST(LaunchPlan, ATmpOfTheSquishfileReplacesOurs) {
    const auto plan = plan_of(std::string("[layers]\ntmp = { path = \"/t\", target = \"/tmp\", rw = true }\n") + kRun);
    EXPECT_FALSE(plan.own_tmp);
    const auto text = launch_text(plan);
    EXPECT_THAT(text, Not(HasSubstr("@tmp")));
    EXPECT_THAT(text, HasSubstr("attach @3 /tmp\n"));
    EXPECT_THAT(mounts_text(plan), HasSubstr("/t -> /tmp rw [tmp]\n"));
}

TEST(LaunchPlan, NothingIsExecutedInATmpThatSaysSo) {
    const auto toml = std::string(kRun) + "[security]\ntmp_noexec = true\n";
    EXPECT_THAT(launch_text(plan_of(toml)), HasSubstr("new tmpfs @tmp mode=1777 nosuid nodev noexec\n"));
    EXPECT_THAT(launch_text(plan_of(kRun)), HasSubstr("new tmpfs @tmp mode=1777 nosuid nodev\n"));
    const auto file = parse(toml + "[layers]\nt = { path = \"/t\", target = \"/tmp\" }\n");
    const auto refused = plan_container(file, layers_of(file), "0123", "web", machine(), "/state/0123");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("tmp_noexec"));
    EXPECT_THAT(refused.error().message, HasSubstr("layer 't'"));
}

TEST(ContainerPlan, ARootfsLayerReplacesTheBuiltInOne) {
    const auto plan = plan_of(std::string("[layers]\ndebian = { path = \"./debian\", rootfs = true }\n") + kRun);
    EXPECT_EQ(plan.rootfs, "/here/debian");
    EXPECT_EQ(plan.rootfs_layer, "debian");
    EXPECT_THAT(mounts_text(plan), Not(HasSubstr("debian")));
    const auto base = plan_of(std::string("[layers]\nbase = \"latest\"\n") + kRun);
    EXPECT_EQ(base.rootfs, "/data/rootfs/base-1");
    EXPECT_THAT(mounts_text(base), Not(HasSubstr("base")));
}

TEST(ContainerPlan, TheEnvironmentIsBuiltFromNothingAndTheSquishfileHasTheLastWord) {
    ::setenv("SQUISH_TEST_SECRET", "x", 1);
    const auto plan =
        plan_of(std::string(kRun) + "[env]\nZ = \"1\"\nHOME = \"/home/app\"\nA = \"\"\nPATH = \"/only\"\n");
    using Pair = std::pair<std::string, std::string>;
    EXPECT_THAT(plan.environment, ElementsAre(Pair("PATH", "/only"), Pair("HOME", "/home/app"), Pair("HOSTNAME", "web"),
                                              Pair("container", "squish"), Pair("Z", "1"), Pair("A", "")));
}

TEST(ContainerPlan, UsersAndFoldersOfTheRun) {
    const auto plan = plan_of("[run]\ncommand = \"app\"\nuser = \"1000:100\"\nworkdir = \"/srv\"\n");
    EXPECT_EQ(plan.user, (UserSpec{1000, 100}));
    EXPECT_EQ(plan.work_folder, "/srv");
    EXPECT_EQ(plan.environment[1].second, "/") << "HOME of a user who has none";
    const auto text = launch_text(plan);
    EXPECT_THAT(text, HasSubstr("work folder /srv\nids 1000:100\n"));
    auto single = machine();
    single.single_id = true;
    EXPECT_THAT(launch_text(plan_of(kRun, single)), HasSubstr("ids 0:0 keep groups\n"));
}

TEST(ContainerPlan, ALongNameMakesAHostNameThatTheKernelTakes) {
    const auto plan = plan_container(parse(kRun), {}, "0123", std::string(80, 'n'), machine(), "/state/0123");
    ASSERT_TRUE(plan);
    EXPECT_LE(plan->hostname.size(), 64U);
}

TEST(ContainerPlan, TheHostsFileNamesTheContainer) {
    ContainerPlan plan;
    plan.hostname = "web";
    EXPECT_THAT(hosts_file(plan, "10.89.0.2"), AllOf(HasSubstr("127.0.0.1\tlocalhost"), HasSubstr("10.89.0.2\tweb\n"),
                                                     Not(HasSubstr("host.squish.internal"))));
    EXPECT_THAT(hosts_file(plan, ""), HasSubstr("127.0.1.1\tweb\n"));
}

TEST(ContainerPlan, TheHostsFileNamesTheHostForThoseWhoMayReachItsLoopback) {
    const auto hosts = [](const std::string& network) {
        const auto plan = plan_container(parse(std::string(kRun) + "[network]\n" + network), {}, "0123", "web",
                                         machine(), "/state/0123");
        EXPECT_TRUE(plan) << network;
        return plan ? hosts_file(*plan, "10.89.0.2") : std::string();
    };
    EXPECT_THAT(hosts("host_loopback = true"), HasSubstr("\n10.0.3.2\thost.squish.internal\n"));
    EXPECT_THAT(hosts("host_loopback = false"), Not(HasSubstr("host.squish.internal")));
    EXPECT_THAT(hosts("mode = \"host\"\nhost_loopback = true"), HasSubstr("\n127.0.0.1\thost.squish.internal\n"));
}

TEST(ExecPlan, BecomesTheCommandWithoutTouchingTheSurroundings) {
    const ExecPlan plan{.command = {"sh", "-c", "true"},
                        .environment = {{"A", "1"}},
                        .work_folder = "/srv",
                        .user = {5, 6},
                        .filter = {},
                        .affinity = {},
                        .machine = machine()};
    const auto text = plan_text(make_exec(plan, {}));
    EXPECT_THAT(text, HasSubstr("argument 'sh'\nargument '-c'\nargument 'true'\nenvironment A=1\nwork folder /srv\nids "
                                "5:6\nstdio @0 @1 @2\n"
                                "capabilities 0\nlimit 7 1024/524288\nlimit 4 0\n"));
    EXPECT_THAT(text, ::testing::EndsWith("limit 11 18446744073709551615\nbecome sh\n"));
    EXPECT_THAT(plan_text(make_exec(plan, {.console = true})), HasSubstr("terminal @0 24x80\n"));
    EXPECT_EQ(make_exec(plan, {}).descriptions().back(), "run 'sh'");
}

TEST(ExecPlan, HasTheContainersFilterBehindItsStreams) {
    ExecPlan plan;
    plan.command = {"sh"};
    EXPECT_THAT(plan_text(make_exec(plan, {})), Not(HasSubstr("seccomp")));
    plan.filter = 4;
    EXPECT_THAT(plan_text(make_exec(plan, {})), HasSubstr("\nseccomp @3 flags 4\nbecome sh\n"));
    EXPECT_THAT(plan_text(make_exec(plan, {.console = true})), HasSubstr("\nseccomp @1 flags 4\nbecome sh\n"));
}

TEST(ExecPlan, ClosesItselfToInspectionFirst) {
    // Between the loss of its capabilities and exec, the joining process has the payload's own rights: without this,
    // the payload could trace it, and open the init program that all containers share.
    ExecPlan plan;
    plan.command = {"sh"};
    EXPECT_THAT(plan_text(make_exec(plan, {})), StartsWith("no dump\n"));
}

// --- what is not there yet
// ----------------------------------------------------------------------------------------------

TEST(Supported, PassesWhatThisVersionDoes) {
    const char* const files[] = {
        "",
        "[layers]\nbase = \"latest\"\n",
        "[layers]\npython = \"~3.11\"\nalpine = \"3.20\"\n",
        "[layers]\nx = { url = \"https://example.org/x.tar\", target = \"/x\" }\n",
        "[layers]\nbase = \"*\"\n",
        "[layers]\nbase = \"1\"\n",
        "[layers]\ndata = { path = \"/srv\", target = \"/data\", rw = true }\n",
        "[layers]\nroot = { path = \"/srv/root\", rootfs = true }\n",
        "[[ports]]\ncontainer = 80\nhost = 8080\n",
        "[[ports]]\ncontainer = 53\nhost = 5353\nprotocol = \"udp\"\n",
        "[[ports]]\ncontainer = 80\nhost = 0\naddress = \"::1\"\n",
        "[[ports]]\ncontainer = \"80-89\"\nhost = \"8080-8089\"\n",
        "[[ports]]\ncontainer = 80\nhost = 8080\nactivation = true\n",
        "[network]\nmode = \"host\"\n",
        "[restart]\npolicy = \"no\"\n",
        "[restart]\npolicy = \"always\"\n",
        "[health]\ncommand = [\"true\"]\n",
        "[resources]\nmemory = \"64M\"\ncpus = 1.5\npids = 10\n",
        "[security]\nseccomp = \"default\"\n",
        "[security]\nseccomp = \"unconfined\"\n",
        "[security]\nseccomp = \"/srv/profile.json\"\n",
        "[security]\nio_uring = true\n",
        "[security]\ntmp_noexec = true\n",
        "[security]\ncapabilities = [\"KILL\"]\n",
        "[procfs]\nmemory = \"1G\"\ncpus = 2\n",
    };
    for (const auto* toml : files) {
        const auto result = refuse_unsupported(parse(std::string(kRun) + toml), machine());
        EXPECT_TRUE(result) << toml << ": " << result.error().text();
    }
}

TEST(Supported, OtherUsersNeedMoreThanOneId) {
    auto single = machine();
    single.single_id = true;
    for (const auto* user : {"1000", "0:5"}) {
        const auto refused =
            refuse_unsupported(parse("[run]\ncommand = \"x\"\nuser = \"" + std::string(user) + "\"\n"), single);
        ASSERT_FALSE(refused) << user;
        EXPECT_THAT(refused.error().remedy, HasSubstr("/etc/subuid"));
    }
    EXPECT_TRUE(refuse_unsupported(parse("[run]\ncommand = \"x\"\nuser = \"0\"\n"), single));
    EXPECT_TRUE(refuse_unsupported(parse("[run]\ncommand = \"x\"\nuser = \"1000\"\n"), machine()));
}

// --- the command of a squishfile that names none
// -------------------------------------------------------------------------

class DefaultCommand : public test::Scratch {
protected:
    void program(const std::string& name) {
        put(name, "#!/bin/sh\n");
        ::chmod(at(name).c_str(), 0755);
    }
    Result<RunSpec> command(const std::string& app) {
        auto file = parse_toml("[layers]\napp = { path = \"" + app + "\", target = \"/app\" }\n");
        EXPECT_TRUE(file);
        resolve_paths(*file, folder_, folder_);
        return default_command(layers_of(*file));
    }
};

TEST_F(DefaultCommand, IsTheAppWhereThatIsAProgram) {
    program("server");
    auto file = parse_toml("[layers]\napp = \"./server\"\n");
    ASSERT_TRUE(file);
    resolve_paths(*file, folder_, folder_);
    const auto run = MUST(default_command(layers_of(*file)));
    EXPECT_EQ(run.command, "/app/server");
    EXPECT_TRUE(run.args.empty());
    const auto plan = MUST(plan_container(*file, layers_of(*file), "0123", "web", machine(), "/state"));
    EXPECT_THAT(plan.arguments, ElementsAre("/app/server"));
}

TEST_F(DefaultCommand, IsTheOnlyProgramInTheAppsFolder) {
    std::filesystem::create_directories(at("app/folder"));
    program("app/server");
    put("app/readme", "text");
    program("app/folder/other");
    EXPECT_EQ(MUST(command("./app")).command, "/app/server");
}

TEST_F(DefaultCommand, LinksToProgramsCount) {
    std::filesystem::create_directories(at("app"));
    std::filesystem::create_directories(at("app/bin"));
    program("app/bin/server");
    program("elsewhere");
    std::filesystem::create_symlink("bin/server", at("app/link"));
    std::filesystem::create_symlink(at("elsewhere"), at("app/outside")); // nothing is there in the container
    std::filesystem::create_symlink("/no/such/file", at("app/dangling"));
    EXPECT_EQ(MUST(command("./app")).command, "/app/link");
}

TEST_F(DefaultCommand, NoneOrSeveralProgramsAreAnErrorThatNamesThem) {
    std::filesystem::create_directories(at("app"));
    const auto none = command("./app");
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message, HasSubstr("no executable file"));
    EXPECT_THAT(none.error().remedy, HasSubstr("[run]"));
    program("app/one");
    program("app/two");
    const auto two = command("./app");
    ASSERT_FALSE(two);
    EXPECT_EQ(two.error().kind, ErrorKind::invalid);
    EXPECT_THAT(two.error().message, HasSubstr("'one', 'two'"));
}

TEST_F(DefaultCommand, AFileThatIsNoProgramOrNothingAtAllIsAnError) {
    put("text", "x");
    for (const auto* app : {"./text", "./missing"}) {
        const auto run = command(app);
        ASSERT_FALSE(run) << app;
        EXPECT_EQ(run.error().kind, ErrorKind::invalid);
        EXPECT_THAT(run.error().message, HasSubstr(std::string(app).substr(2)));
    }
    const auto no_app = default_command({});
    ASSERT_FALSE(no_app);
    EXPECT_THAT(no_app.error().message, HasSubstr("'app'"));
    EXPECT_FALSE(plan_container(parse("[layers]\nbase = \"latest\"\n"), {}, "0123", "web", machine(), "/state"));
}

// --- layers
// --------------------------------------------------------------------------------------------------------

// An SDK whose command takes an entry file of the app.
Layer sdk(const std::string& name, std::vector<std::string> entry) {
    Layer layer;
    layer.name = name;
    layer.path = "/store/" + name;
    layer.target = "/sdk/" + name;
    layer.in_path = true;
    layer.env = {{"HOME_OF", layer.target}};
    layer.command = Layer::Command{layer.target + "/bin/" + name, {"-u"}, std::move(entry)};
    return layer;
}

TEST_F(DefaultCommand, AnSdkRunsTheEntryFileOfTheApp) {
    std::filesystem::create_directories(at("app"));
    put("app/app.py", "");
    Layer app;
    app.name = "app";
    app.path = at("app");
    app.target = "/app";
    const auto run = MUST(default_command({app, sdk("python", {"main.py", "app.py"}), sdk("node", {"index.js"})}));
    EXPECT_EQ(run.command, "/sdk/python/bin/python");
    EXPECT_THAT(run.args, ElementsAre("-u", "/app/app.py"));
}

TEST_F(DefaultCommand, ASingleFileIsAnEntryByItsKind) {
    put("server.js", "");
    Layer app;
    app.name = "app";
    app.path = at("server.js");
    app.target = "/app/server.js";
    const auto run = MUST(default_command({app, sdk("python", {"main.py"}), sdk("node", {"index.js"})}));
    EXPECT_THAT(run.args, ElementsAre("-u", "/app/server.js"));
    const auto none = default_command({app, sdk("python", {"main.py"})});
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message,
                HasSubstr("layer 'python' runs 'main.py' of the layer 'app', which is not there"));
}

TEST_F(DefaultCommand, TwoThatWouldRunTheAppAreAnError) {
    std::filesystem::create_directories(at("app"));
    put("app/main.py", "");
    Layer app;
    app.name = "app";
    app.path = at("app");
    app.target = "/app";
    const auto both = default_command({app, sdk("python", {"main.py"}), sdk("pypy", {"main.py"})});
    ASSERT_FALSE(both);
    EXPECT_THAT(both.error().message, HasSubstr("the layers 'python' and 'pypy' would both run the layer 'app'"));
}

TEST_F(DefaultCommand, EntriesAreNotLookedForOutsideOfTheApp) {
    std::filesystem::create_directories(at("app"));
    put("secret.py", "");
    std::filesystem::create_symlink("../secret.py", at("app/main.py"));
    Layer app;
    app.name = "app";
    app.path = at("app");
    app.target = "/app";
    EXPECT_FALSE(default_command({app, sdk("python", {"main.py"})}));
}

TEST(LayersOfAPlan, BringTheirVariablesAndTheirFoldersOfPrograms) {
    const auto file = parse(std::string(kRun) + "[env]\nB = \"file\"\n");
    auto first = sdk("one", {}), second = sdk("two", {});
    first.env = {{"A", "one"}, {"B", "one"}};
    second.env = {{"A", "two"}};
    const auto plan = MUST(plan_container(file, {first, second}, "0123", "web", machine(), "/state"));
    const std::map<std::string, std::string> env(plan.environment.begin(), plan.environment.end());
    EXPECT_EQ(env.at("PATH"), std::string("/sdk/one/bin:/sdk/two/bin:") + kDefaultPath);
    EXPECT_EQ(env.at("A"), "two") << "the later layer wins";
    EXPECT_EQ(env.at("B"), "file") << "and the squishfile over all";
    EXPECT_TRUE(std::ranges::any_of(plan.mounts, [](const Mount& mount) {
        return mount.source == "/store/one" && mount.target == "/sdk/one" && mount.read_only;
    }));
}

TEST(AttachPlan, CoversThePointInTheContainerThatIsJoined) {
    const auto steps = make_attach(kSdkFolder);
    EXPECT_EQ(steps.size(), 4U);
    EXPECT_TRUE(steps.bytes());
    EXPECT_EQ(steps.descriptions()[2], "mount the layers at '/sdk'");
}

} // namespace
} // namespace squish::plan
