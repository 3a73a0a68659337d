// The keeper as squishd meets it: the real program, its protocol, and everything that may go wrong around it.
#include "keeper_harness.h"

#include <gmock/gmock.h>
#include <map>
#include <random>
#include <set>

namespace squish::keeper {
namespace {

using namespace squish::test;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using wire::ContainerPhase;

constexpr std::uint32_t kSlices = 61; // of a range of 65,536 ids

class Keeper : public ::testing::Test {
protected:
    void SetUp() override { SKIP_AS_ROOT(); }
};

// Every process below `ancestor`, itself left out.
std::set<pid_t> descendants(pid_t ancestor) {
    std::map<pid_t, pid_t> parents;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const auto pid = parse_number(entry.path().filename().string());
        if (!pid)
            continue;
        const auto stat = read_file(entry.path().string() + "/stat");
        const auto name_end = stat.rfind(')');
        if (name_end == std::string::npos || stat.size() < name_end + 5)
            continue;
        parents[static_cast<pid_t>(*pid)] = std::atoi(stat.c_str() + name_end + 4);
    }
    std::set<pid_t> found;
    for (const auto& [pid, parent] : parents)
        for (auto at = parent; at > 1 && parents.contains(at); at = parents[at])
            if (at == ancestor) {
                found.insert(pid);
                break;
            }
    return found;
}

// Whether a process can still run a single instruction: one that has ended has no memory any more, although it may
// have to wait for its parent, or for that of a process in its pid namespace, to take notice (pid_namespaces(7)).
bool executes(pid_t pid) {
    return read_file("/proc/" + std::to_string(pid) + "/status").contains("VmSize:");
}

TEST_F(Keeper, TellsWhoItIs) {
    Kept kept;
    auto client = kept.connect();
    const auto told = client.ask(KeeperKind::hello, [](wire::Writer& out) { out.u32(wire::kKeeperVersion); });
    ASSERT_TRUE(told);
    EXPECT_EQ(told->kind, KeeperKind::hello_done);
    auto in = told->in();
    EXPECT_EQ(in.i32(), kept.pid());
    EXPECT_EQ(in.u32() != 0, kept.single_id());
    EXPECT_EQ(in.u32(), kept.single_id() ? 0U : kSlices);
    EXPECT_THAT(in.text(), StartsWith("0 0 1\n"));
    EXPECT_THAT(in.text(), StartsWith("0 0 1\n"));
    EXPECT_TRUE(in.finished());
    EXPECT_THAT(client.outcome(KeeperKind::hello, [](wire::Writer& out) { out.u32(99); }),
                HasSubstr("another version"));
    EXPECT_EQ(kept.greet().outcome(KeeperKind::drop, text("x")), "done");
}

TEST_F(Keeper, RunsAPayloadAsPidTwoAndTellsItsExit) {
    Kept kept;
    auto client = kept.greet();
    Pipe out;
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"pid"}, .out = out.writer()}), "launched");
    EXPECT_EQ(out.rest(), "2\n");
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(0));
    for (const int code : {1, 42, 255}) {
        const auto id = "code" + std::to_string(code);
        ASSERT_EQ(kept.launch(client, id, {.arguments = {"exit", std::to_string(code)}}), "launched");
        EXPECT_EQ(client.event(KeeperKind::exited, id), exited(code));
    }
    ASSERT_EQ(kept.launch(client, "raised", {.arguments = {"raise", "11"}}), "launched");
    const auto status = client.event(KeeperKind::exited, "raised");
    ASSERT_TRUE(status);
    EXPECT_EQ(*status & 0x7F, SIGSEGV);
}

TEST_F(Keeper, GivesThePidfdAndTheMomentsOfALaunch) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.prepare(client, "cell"), "done");
    const Payload payload{.arguments = {"sleep", "60"}};
    const auto root = kept.root_mount();
    const auto plan = sealed(kept.launch_plan(payload));
    const auto told =
        client.ask(KeeperKind::launch, text("one", "cell"), kept.with_streams(plan.get(), root.get(), payload));
    ASSERT_TRUE(told);
    ASSERT_EQ(Client::text_of(*told), "launched");
    auto in = told->in();
    const auto pid = in.i32();
    const auto received = in.u64(), rooted = in.u64(), executed = in.u64(), cloned = in.u64();
    EXPECT_TRUE(in.finished());
    EXPECT_LE(cloned, received);
    EXPECT_LT(received, rooted);
    EXPECT_LT(rooted, executed);
    ASSERT_EQ(told->fds.size(), 1U);
    EXPECT_EQ(MUST(os::pid_of(told->fds[0].get())), pid);
    EXPECT_TRUE(descendants(kept.pid()).contains(pid));
    EXPECT_EQ(client.outcome(KeeperKind::signal, [](wire::Writer& out) { out.text("one").i32(SIGKILL); }), "done");
    EXPECT_TRUE(os::wait_ended(told->fds[0].get(), kPatienceMs));
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), SIGKILL);
}

TEST_F(Keeper, NamesTheStepThatFailed) {
    Kept kept;
    auto client = kept.greet();
    // Steps are counted over the prelude and the plan.
    const auto first = std::to_string(Kept::kPreludeSteps);
    EXPECT_EQ(kept.launch(client, "missing", {.command = "/missing"}),
              "step " + std::to_string(Kept::kPreludeSteps + 14) + " failed: " + std::to_string(ENOENT));
    EXPECT_EQ(kept.launch(client, "folder", {.command = "/tmp"}),
              "step " + std::to_string(Kept::kPreludeSteps + 14) + " failed: " + std::to_string(EACCES));
    EXPECT_EQ(kept.launch(client, "workdir", {.folder = "/nowhere"}),
              "step " + std::to_string(Kept::kPreludeSteps + 14) +
                  " failed: " + std::to_string(launch::kWorkFolder * launch::kPart + ENOENT));
    ASSERT_EQ(kept.prepare(client, "cell"), "done");
    launch::PlanBuilder broken;
    broken.add(launch::StepKind::root, {.a = 7}, "a slot that is empty");
    const auto plan = sealed(broken);
    EXPECT_EQ(client.outcome(KeeperKind::launch, text("broken", "cell"), {plan.get()}),
              "step " + first + " failed: " + std::to_string(EBADF));
    // Nothing of them is known any more.
    std::vector<Listed> listed;
    (void) kept.greet(&listed);
    EXPECT_THAT(listed, IsEmpty());
    for (const auto* id : {"missing", "folder", "workdir", "broken"})
        EXPECT_TRUE(eventually([&] {
            return client.outcome(KeeperKind::signal, [&](wire::Writer& out) { out.text(id).i32(0); }) != "done";
        })) << id;
    EXPECT_TRUE(eventually([&] { return descendants(kept.pid()).size() <= 2; })) << "the twin and the stager";
}

TEST_F(Keeper, APlanThatIsNoneEndsTheStartNotTheKeeper) {
    Kept kept;
    auto client = kept.greet();
    const auto junk = MUST(os::sealed_memfd("junk", std::string(1000, 'x'), false));
    const auto empty = MUST(os::sealed_memfd("empty", "", false));
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const auto endless = sealed([] { // a plan without an end: no run, no become
        launch::PlanBuilder plan;
        plan.add(launch::StepKind::hostname, {.text1 = "x"}, "");
        return plan;
    }());
    int count = 0;
    for (const int plan : {junk.get(), empty.get(), null.get(), endless.get()}) {
        const auto name = std::to_string(count++);
        ASSERT_EQ(kept.prepare(client, "cell" + name), "done");
        EXPECT_THAT(client.outcome(KeeperKind::launch, text(name, "cell" + name), {plan}),
                    HasSubstr("failed: " + std::to_string(EBADMSG)))
            << name;
    }
    EXPECT_EQ(kept.launch(client, "after"), "launched");
}

TEST_F(Keeper, ARefusedLaunchSaysWhy) {
    Kept kept;
    auto client = kept.greet();
    EXPECT_THAT(client.outcome(KeeperKind::launch, text("one", "no-such-cell")),
                StartsWith("error " + std::to_string(ENOENT)));
    ASSERT_EQ(kept.prepare(client, "cell"), "done");
    EXPECT_THAT(kept.prepare(client, "cell"), StartsWith("error " + std::to_string(EEXIST)));
    EXPECT_THAT(client.outcome(KeeperKind::launch, text("", "cell")), StartsWith("error " + std::to_string(EEXIST)))
        << "an id must not be empty";
    EXPECT_THAT(client.outcome(KeeperKind::launch, text("one", "cell")), StartsWith("error " + std::to_string(EINVAL)))
        << "no plan";
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"sleep", "60"}}), "launched");
    EXPECT_THAT(kept.launch(client, "one"), StartsWith("error " + std::to_string(EEXIST)))
        << "an id is known until it is forgotten";
    EXPECT_THAT(kept.exec(client, "nobody", "e", {}), StartsWith("error " + std::to_string(ESRCH)));
    EXPECT_THAT(kept.exec(client, "one", "one", {}), StartsWith("error " + std::to_string(EEXIST)));
}

TEST_F(Keeper, AFailedPreludeIsExplainedByItsStep) {
    Kept kept;
    auto client = kept.greet();
    launch::PlanBuilder broken;
    broken.add(launch::StepKind::no_dump, {}, "");
    broken.add(launch::StepKind::attach_beneath, {.a = 1, .b = 2, .text1 = "x"}, "slots that are empty");
    const auto prelude = sealed(broken);
    ASSERT_EQ(client.outcome(KeeperKind::prepare, [](wire::Writer& out) { out.text("cell").u32(0); },
                             {prelude.get(), kept.isolated_network()}),
              "1 fds");
    EXPECT_TRUE(client.event(KeeperKind::cell_lost, "cell"));
    const auto plan = sealed(kept.launch_plan({}));
    EXPECT_EQ(client.outcome(KeeperKind::launch, text("one", "cell"), {plan.get()}),
              "step 1 failed: " + std::to_string(EBADF))
        << "whoever asked for the launch must be told what was wrong, not that there is no such cell";
}

TEST_F(Keeper, AnExecJoinsEveryNamespaceOfItsContainer) {
    Kept kept;
    auto client = kept.greet();
    kept.make_shell_rootfs();
    const std::string script = "cd /proc/self/ns; for n in cgroup ipc mnt net pid time user uts; do readlink $n; done; "
                               "hostname; cat /proc/uptime | cut -d. -f1; exit 7";
    Pipe first, second;
    ASSERT_EQ(kept.launch(client, "one",
                          {.arguments = {"-c", script + "; sleep 60"}, .command = "/sh", .out = first.writer()}),
              "launched");
    first.close_writer();
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(7));
    // A shell that stays, for the other to join.
    Pipe again;
    ASSERT_EQ(kept.launch(client, "two",
                          {.arguments = {"-c", "cd /proc/self/ns; for n in cgroup ipc mnt net pid time user uts; do "
                                               "readlink $n; done; hostname; echo; exec sleep 60"},
                           .command = "/sh",
                           .out = again.writer()}),
              "launched");
    std::string inside;
    for (std::string line = again.line(); !line.empty(); line = again.line())
        inside += line + "\n";
    ASSERT_EQ(kept.exec(client, "two", "exec", {.arguments = {"-c", script}, .command = "/sh", .out = second.writer()}),
              "launched");
    EXPECT_EQ(client.event(KeeperKind::exited, "exec"), exited(7));
    const auto joined = second.rest();
    EXPECT_THAT(joined, StartsWith(inside)) << "the same namespaces and host name";
    EXPECT_THAT(joined.substr(std::min(joined.size(), inside.size())), AnyOf("0\n", "1\n", "2\n", "3\n"))
        << "and the container's own clock";
    // None of them is ours.
    for (const auto* name : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"})
        EXPECT_EQ(inside.find(fs::read_symlink(std::string("/proc/self/ns/") + name).string() + "\n"),
                  std::string::npos)
            << name;
}

TEST_F(Keeper, AnExecJoinsAContainerThatHasNoClockOfItsOwn) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"sleep", "60"}, .clock = false}), "launched");
    EXPECT_EQ(kept.exec(client, "one", "exec", {.arguments = {"exit", "5"}}), "launched")
        << "its time namespace is the host's: there is nothing to join";
    EXPECT_EQ(client.event(KeeperKind::exited, "exec"), exited(5));
}

TEST_F(Keeper, AnExecEndsByItselfAndWithItsContainer) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"sleep", "60"}}), "launched");
    ASSERT_EQ(kept.exec(client, "one", "short", {.arguments = {"exit", "5"}}), "launched");
    EXPECT_EQ(client.event(KeeperKind::exited, "short"), exited(5));
    EXPECT_THAT(kept.exec(client, "one", "bad", {.command = "/missing"}),
                HasSubstr("failed: " + std::to_string(ENOENT)));
    ASSERT_EQ(kept.exec(client, "one", "long", {.arguments = {"sleep", "60"}}), "launched");
    EXPECT_EQ(client.outcome(KeeperKind::signal, [](wire::Writer& out) { out.text("long").i32(SIGUSR1); }), "done");
    EXPECT_EQ(client.event(KeeperKind::exited, "long"), SIGUSR1) << "a signal reaches the exec itself";
    ASSERT_EQ(kept.exec(client, "one", "last", {.arguments = {"sleep", "60"}}), "launched");
    EXPECT_EQ(client.outcome(KeeperKind::signal, [](wire::Writer& out) { out.text("one").i32(SIGKILL); }), "done");
    EXPECT_EQ(client.event(KeeperKind::exited, "last"), SIGKILL);
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), SIGKILL);
    EXPECT_THAT(kept.exec(client, "one", "late", {}), StartsWith("error " + std::to_string(ESRCH)));
}

TEST_F(Keeper, ForgetsWhatHasEndedAndNothingElse) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.launch(client, "runs", {.arguments = {"sleep", "60"}}), "launched");
    ASSERT_EQ(kept.launch(client, "ended", {.arguments = {"exit", "3"}}), "launched");
    EXPECT_EQ(client.event(KeeperKind::exited, "ended"), exited(3));
    EXPECT_THAT(client.outcome(KeeperKind::forget, text("runs")), StartsWith("error " + std::to_string(EBUSY)));
    EXPECT_EQ(client.outcome(KeeperKind::signal, [](wire::Writer& out) { out.text("ended").i32(SIGTERM); }), "done")
        << "no error, as it has ended";
    std::vector<Listed> before, after;
    (void) kept.greet(&before);
    EXPECT_EQ(before.size(), 2U);
    EXPECT_EQ(client.outcome(KeeperKind::forget, text("ended")), "done");
    EXPECT_EQ(client.outcome(KeeperKind::forget, text("ended")), "done");
    (void) kept.greet(&after);
    ASSERT_EQ(after.size(), 1U);
    EXPECT_EQ(after[0].id, "runs");
    EXPECT_EQ(kept.launch(client, "ended"), "launched") << "the id is free";
}

TEST_F(Keeper, KeepsDescriptorsUnderNames) {
    Kept kept;
    auto client = kept.greet();
    Pipe pipe;
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_EQ(client.outcome(KeeperKind::put, text("net/one"), {pipe.writer(), null.get()}), "done");
    pipe.close_writer();
    client.disconnect(); // they outlive whoever put them
    auto other = kept.greet();
    for (int round = 0; round < 2; ++round) {
        auto taken = other.ask(KeeperKind::take, text("net/one"));
        ASSERT_TRUE(taken);
        EXPECT_EQ(taken->kind, KeeperKind::fds);
        ASSERT_EQ(taken->fds.size(), 2U);
        EXPECT_EQ(::write(taken->fds[0].get(), "x\n", 2), 2);
        EXPECT_EQ(pipe.line(), "x");
    }
    EXPECT_EQ(other.outcome(KeeperKind::put, text("net/one"), {null.get()}), "done");
    EXPECT_EQ(pipe.rest(), "") << "what was replaced is closed";
    EXPECT_EQ(other.ask(KeeperKind::take, text("net/one"))->fds.size(), 1U);
    EXPECT_EQ(other.outcome(KeeperKind::drop, text("net/one")), "done");
    EXPECT_EQ(other.outcome(KeeperKind::drop, text("net/one")), "done");
    EXPECT_THAT(other.outcome(KeeperKind::take, text("net/one")), StartsWith("error " + std::to_string(ENOENT)));
    EXPECT_THAT(other.outcome(KeeperKind::put, text("empty")), StartsWith("error")) << "nothing to keep";
}

TEST_F(Keeper, ADiscardedCellEndsAndIsReaped) {
    Kept kept;
    auto client = kept.greet();
    (void) kept.isolated_network();
    const auto before = descendants(kept.pid()).size();
    ASSERT_EQ(kept.prepare(client, "cell"), "done");
    ASSERT_EQ(kept.prepare(client, "host", true), "done");
    EXPECT_EQ(descendants(kept.pid()).size(), before + 2);
    EXPECT_EQ(client.outcome(KeeperKind::discard, text("cell")), "done");
    EXPECT_EQ(client.outcome(KeeperKind::discard, text("host")), "done");
    EXPECT_TRUE(client.event(KeeperKind::cell_lost, "cell"));
    EXPECT_TRUE(client.event(KeeperKind::cell_lost, "host"));
    EXPECT_EQ(descendants(kept.pid()).size(), before);
    EXPECT_EQ(client.outcome(KeeperKind::discard, text("cell")), "done") << "nothing is no error";
}

TEST_F(Keeper, TheHostsNetworkIsTheHosts) {
    Kept kept;
    auto client = kept.greet();
    kept.make_shell_rootfs();
    ASSERT_EQ(kept.prepare(client, "cell", true), "done");
    Pipe out;
    ASSERT_EQ(
        kept.launch_in(client, "cell", "one",
                       {.arguments = {"-c", "readlink /proc/self/ns/net"}, .command = "/sh", .out = out.writer()}),
        "launched");
    EXPECT_EQ(out.rest(), fs::read_symlink("/proc/self/ns/net").string() + "\n");
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(0));
}

// The real uid of a process, as the host counts.
std::string ids_of(pid_t pid) {
    const auto status = read_file("/proc/" + std::to_string(pid) + "/status");
    const auto line = status.find("\nUid:\t") + 6;
    return status.substr(line, status.find('\t', line) - line);
}

TEST_F(Keeper, ContainersWithIdsOfTheirOwnAreStrangersToAll) {
    Kept kept;
    if (kept.single_id())
        GTEST_SKIP() << "the account has no subordinate ids";
    auto client = kept.greet();
    std::set<std::string> users{std::to_string(::getuid())};
    for (const auto* id : {"one", "two", "host"}) {
        const auto cell = "cell-of-" + std::string(id);
        ASSERT_EQ(kept.prepare(client, cell, id == std::string("host"), true), "done");
        Pipe out;
        ASSERT_EQ(kept.launch_in(client, cell, id, {.arguments = {"ids"}, .out = out.writer()}), "launched");
        const auto told = out.rest();
        EXPECT_THAT(told, HasSubstr("0:0\n")) << "root of its own";
        EXPECT_EQ(client.event(KeeperKind::exited, id), exited(0));
        ASSERT_EQ(kept.prepare(client, cell + "-2", id == std::string("host"), true), "done");
        ASSERT_EQ(kept.launch_in(client, cell + "-2", std::string(id) + "-2", {.arguments = {"sleep", "60"}}),
                  "launched");
    }
    std::vector<Listed> listed;
    (void) kept.greet(&listed);
    for (const auto& one : listed)
        if (one.phase == wire::ContainerPhase::running)
            EXPECT_TRUE(users.insert(ids_of(one.pid)).second) << one.id << " has the ids of another";
    EXPECT_EQ(users.size(), 4U);
    // An exec joins as root of the container, too.
    Pipe out;
    ASSERT_EQ(kept.exec(client, "one-2", "exec", {.arguments = {"ids"}, .out = out.writer()}), "launched");
    EXPECT_THAT(out.rest(), HasSubstr("0:0\n"));
}

TEST_F(Keeper, SlicesAreUsedUpAndComeBack) {
    Kept kept;
    if (kept.single_id())
        GTEST_SKIP() << "the account has no subordinate ids";
    auto client = kept.greet();
    for (std::uint32_t i = 0; i < kSlices; ++i)
        ASSERT_EQ(kept.prepare(client, "cell" + std::to_string(i), false, true), "done") << i;
    EXPECT_THAT(kept.prepare(client, "more", false, true), StartsWith("error " + std::to_string(EUSERS)));
    EXPECT_EQ(kept.prepare(client, "shared"), "done") << "the user's ids are never used up";
    EXPECT_EQ(client.outcome(KeeperKind::discard, text("cell7")), "done");
    EXPECT_TRUE(client.event(KeeperKind::cell_lost, "cell7"));
    EXPECT_EQ(kept.prepare(client, "again", false, true), "done");
    ASSERT_EQ(kept.launch_in(client, "again", "one", {.arguments = {"exit", "0"}}), "launched");
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(0));
    EXPECT_EQ(kept.prepare(client, "once-more", false, true), "done");
    EXPECT_THAT(kept.prepare(client, "more", false, true), StartsWith("error " + std::to_string(EUSERS)));
}

TEST_F(Keeper, AClientThatGoesTakesItsCellsButNotItsContainers) {
    Kept kept;
    auto client = kept.greet();
    auto other = kept.greet();
    ASSERT_EQ(kept.launch(client, "runs", {.arguments = {"sleep", "60"}}), "launched");
    ASSERT_EQ(kept.launch(client, "ends", {.arguments = {"sleep", "0.3"}}), "launched");
    ASSERT_EQ(kept.prepare(client, "mine"), "done");
    ASSERT_EQ(kept.prepare(other, "theirs"), "done");
    client.disconnect();
    EXPECT_TRUE(other.event(KeeperKind::cell_lost, "mine"));
    EXPECT_EQ(other.event(KeeperKind::exited, "ends"), exited(0));
    EXPECT_EQ(kept.launch_in(other, "theirs", "late"), "launched");
    EXPECT_EQ(other.event(KeeperKind::exited, "late"), exited(0));
    std::vector<Listed> listed;
    auto again = kept.greet(&listed);
    ASSERT_EQ(listed.size(), 3U);
    for (const auto& one : listed) {
        const bool runs = one.id == "runs";
        EXPECT_EQ(one.phase, runs ? ContainerPhase::running : ContainerPhase::exited) << one.id;
        EXPECT_EQ(one.has_pidfd, runs) << one.id;
        EXPECT_EQ(one.status, 0) << one.id;
        if (runs) {
            EXPECT_TRUE(descendants(kept.pid()).contains(one.pid));
        }
    }
    EXPECT_EQ(again.outcome(KeeperKind::signal, [](wire::Writer& out) { out.text("runs").i32(SIGTERM); }), "done");
    EXPECT_EQ(again.event(KeeperKind::exited, "runs"), SIGTERM);
}

TEST_F(Keeper, AnAnchorSleepsUntilItsContainerIsForgotten) {
    Kept kept;
    auto client = kept.greet();
    const auto anchor = [&](Client& asking, const std::string& id) {
        const auto told = asking.ask(KeeperKind::anchor, text(id));
        if (!told || told->kind != KeeperKind::spawned || told->fds.size() != 1)
            return std::pair<pid_t, UniqueFd>(0, UniqueFd());
        return std::pair<pid_t, UniqueFd>(told->in().i32(), UniqueFd(::fcntl(told->fds[0].get(), F_DUPFD_CLOEXEC, 3)));
    };
    auto [pid, pidfd] = anchor(client, "one");
    ASSERT_GT(pid, 0);
    EXPECT_TRUE(descendants(kept.pid()).contains(pid));
    EXPECT_TRUE(eventually([&] { // it holds nothing of the keeper's
        return fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd") == fs::directory_iterator();
    }));
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"sleep", "0.05"}}), "launched");
    EXPECT_THAT(client.outcome(KeeperKind::anchor, text("one")), StartsWith("error " + std::to_string(EEXIST)));
    ASSERT_TRUE(client.event(KeeperKind::exited, "one"));
    EXPECT_FALSE(os::has_ended(pidfd.get())) << "its container has ended, and the last figures are not read yet";
    // Started again: another one.
    auto [next, next_pidfd] = anchor(client, "one");
    EXPECT_GT(next, 0);
    EXPECT_TRUE(os::wait_ended(pidfd.get(), kPatienceMs));
    ASSERT_EQ(client.outcome(KeeperKind::forget, text("one")), "done");
    EXPECT_TRUE(os::wait_ended(next_pidfd.get(), kPatienceMs));

    // Of a container that never came, it goes with its client; of one that runs, it stays.
    auto other = kept.greet();
    auto [lost, lost_pidfd] = anchor(other, "never");
    auto [kept_anchor, kept_pidfd] = anchor(other, "runs");
    ASSERT_GT(lost, 0);
    ASSERT_EQ(kept.launch(other, "runs", {.arguments = {"sleep", "60"}}), "launched");
    other.disconnect();
    EXPECT_TRUE(os::wait_ended(lost_pidfd.get(), kPatienceMs));
    EXPECT_FALSE(os::has_ended(kept_pidfd.get()));
    EXPECT_TRUE(eventually([&] { return !descendants(kept.pid()).contains(lost); })) << "not reaped";
}

TEST_F(Keeper, AStartWhoseClientWentIsNotLeftBehindUnknown) {
    Kept kept;
    auto client = kept.greet();
    (void) kept.isolated_network();
    for (int round = 0; round < 10; ++round) {
        auto going = kept.greet();
        const auto id = "one" + std::to_string(round);
        const auto cell = "cell" + std::to_string(round); // the keeper may not have heard yet that the last client went
        ASSERT_EQ(kept.prepare(going, cell), "done");
        const Payload payload{.arguments = {"sleep", "60"}};
        const auto root = kept.root_mount();
        const auto plan = sealed(kept.launch_plan(payload));
        going.send(KeeperKind::launch, text(id, cell), kept.with_streams(plan.get(), root.get(), payload));
        going.disconnect(); // squishd was killed between its request and the answer
        std::vector<Listed> listed;
        auto next = kept.greet(&listed);
        std::set<std::string> known;
        for (const auto& one : listed)
            known.insert(one.id);
        // Either the next squishd is told of it, or it is ended: nobody else could ever name it.
        if (!known.contains(id)) {
            EXPECT_TRUE(eventually([&] {
                return next.outcome(KeeperKind::signal, [&](wire::Writer& out) { out.text(id).i32(0); }) != "done";
            })) << round;
        } else
            (void) next.ask(KeeperKind::signal, [&](wire::Writer& out) { out.text(id).i32(SIGKILL); });
    }
}

TEST_F(Keeper, ListsMoreContainersThanASocketHolds) {
    Kept kept;
    auto client = kept.greet();
    constexpr int kMany = 1200; // 200 alive at once are promised; ended ones that nobody forgot are listed as well
    for (int i = 0; i < kMany; ++i) {
        const auto id = "container-with-an-id-as-long-as-they-are-" + std::to_string(i);
        ASSERT_EQ(kept.launch(client, id), "launched") << i;
        ASSERT_TRUE(client.event(KeeperKind::exited, id)) << i;
    }
    std::vector<Listed> listed;
    (void) kept.greet(&listed);
    EXPECT_EQ(listed.size(), static_cast<std::size_t>(kMany));
}

TEST_F(Keeper, AClientThatNeverReadsBlocksNobody) {
    Kept kept;
    auto client = kept.greet();
    auto deaf = kept.greet();
    for (int i = 0; i < 400; ++i) {
        const auto cell = "cell" + std::to_string(i);
        ASSERT_EQ(kept.prepare(client, cell), "done") << i;
        ASSERT_EQ(client.outcome(KeeperKind::discard, text(cell)), "done");
        ASSERT_TRUE(client.event(KeeperKind::cell_lost, cell)) << i;
    }
    ASSERT_TRUE(kept.lives());
    // It was told all, or it was dropped: never a part without its knowledge.
    int told = 0;
    while (auto message = deaf.receive(200))
        told += message->kind == KeeperKind::cell_lost;
    EXPECT_TRUE(told == 400 || deaf.closed()) << told;
    EXPECT_EQ(kept.launch(client, "after"), "launched");
}

TEST_F(Keeper, AClientThatOnlyAsksBlocksNobody) {
    Kept kept;
    auto client = kept.greet();
    auto greedy = kept.connect();
    ASSERT_EQ(::fcntl(greedy.fd(), F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 20'000; ++i)
        greedy.send(KeeperKind::hello, [](wire::Writer& out) { out.u32(wire::kKeeperVersion); });
    EXPECT_EQ(client.outcome(KeeperKind::drop, text("x")), "done");
    EXPECT_EQ(kept.launch(client, "after"), "launched");
}

TEST_F(Keeper, TakesNoMoreClientsThanItCanServe) {
    Kept kept;
    auto client = kept.greet();
    std::vector<Client> many;
    for (int i = 0; i < 100; ++i)
        many.push_back(kept.connect());
    EXPECT_EQ(client.outcome(KeeperKind::drop, text("x")), "done");
    many.clear();
    EXPECT_TRUE(eventually([&] {
        auto one = kept.connect();
        return one.ask(KeeperKind::hello, [](wire::Writer& out) { out.u32(wire::kKeeperVersion); }).has_value();
    })) << "there is room again";
}

TEST_F(Keeper, NoMalformedMessageEndsIt) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.launch(client, "stays", {.arguments = {"sleep", "600"}}), "launched");
    std::mt19937 random(3); // NOLINT: the same every time, on purpose
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const auto plan = sealed(kept.launch_plan({}));
    const auto network = kept.isolated_network();
    const int descriptors[] = {null.get(), plan.get(), network, kept.pidfd(), client.fd()};
    std::optional<UniqueFd> socket;
    int sent = 0, connections = 0;
    while (sent < 10'000) {
        if (!socket) {
            auto connected = os::connect_unix(kept.at("keeper.sock"), SOCK_SEQPACKET);
            ASSERT_TRUE(connected) << "after " << sent << " messages: " << connected.error().text();
            ++connections;
            socket = std::move(*connected);
            ASSERT_EQ(::fcntl(socket->get(), F_SETFL, O_NONBLOCK), 0);
        }
        // Mostly well-formed, with one field wrong: what the parser lets through is what matters.
        const auto kind = static_cast<KeeperKind>(random() % 20 == 0 ? random() : random() % 16);
        if (kind == KeeperKind::shut_down)
            continue;
        auto message = keeper_message(kind, static_cast<std::uint32_t>(random()));
        const std::string names[] = {
            "stays", "", "cell", std::string(random() % 3000, 'n'), "net/stays", std::string("a\0b", 3)};
        switch (random() % 4) {
        case 0:
            message.text(names[random() % 6]).text(names[random() % 6]);
            break;
        case 1:
            message.text(names[random() % 6]).u32(static_cast<std::uint32_t>(random() % 3));
            break;
        case 2:
            message.text(names[1 + random() % 5]).u64(random());
            break;
        default:
            message.text(names[random() % 6]);
        }
        auto bytes = message.bytes();
        if (kind == KeeperKind::signal) // not the one that shall stay
            bytes = keeper_message(kind, 1).text("nobody").i32(static_cast<std::int32_t>(random())).bytes();
        if (random() % 2)
            bytes.resize(random() % (bytes.size() + 1));
        for (auto changes = random() % 3; changes > 0 && bytes.size() > 4; --changes)
            bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
        std::vector<int> fds;
        for (auto count = random() % 4; count > 0; --count)
            fds.push_back(descriptors[random() % 5]);
        if (!os::send_message(socket->get(), bytes, fds) && errno != EAGAIN)
            socket.reset();
        ++sent;
        for (int i = 0; socket && i < 50; ++i)
            if (auto answer = os::receive_message(socket->get(), wire::kMaxKeeperMessage); !answer)
                break;
            else if (answer->peer_closed)
                socket.reset();
        if (sent % 1000 == 0) {
            ASSERT_TRUE(kept.lives()) << "after " << sent;
        }
    }
    socket.reset();
    ASSERT_TRUE(kept.lives());
    std::vector<Listed> listed;
    auto after = kept.greet(&listed);
    EXPECT_TRUE(std::ranges::any_of(
        listed, [](const auto& one) { return one.id == "stays" && one.phase == ContainerPhase::running; }));
    EXPECT_EQ(kept.launch(after, "after"), "launched");
    EXPECT_LT(connections, 9000) << "most malformed messages get an answer, not a hang-up";
}

TEST_F(Keeper, OversizedMessagesEndTheirConnectionOnly) {
    Kept kept;
    auto client = kept.greet();
    auto loud = kept.connect();
    ASSERT_TRUE(os::send_message(loud.fd(), std::string(wire::kMaxKeeperMessage + 1, 'x')));
    EXPECT_FALSE(loud.receive());
    EXPECT_TRUE(loud.closed());
    EXPECT_EQ(client.outcome(KeeperKind::drop, text("x")), "done");
}

TEST_F(Keeper, ItsDeathEndsEveryInitAndPayloadWithinASecond) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"ignore-term", "600"}}), "launched");
    ASSERT_EQ(kept.launch(client, "two", {.arguments = {"sleep", "600"}, .uid = kept.single_id() ? 0U : 1000U}),
              "launched");
    ASSERT_EQ(kept.exec(client, "one", "exec", {.arguments = {"sleep", "600"}, .uid = kept.single_id() ? 0U : 77U}),
              "launched");
    ASSERT_EQ(kept.prepare(client, "spare"), "done");
    ASSERT_EQ(kept.prepare(client, "spare-of-the-host", true), "done");
    const auto all = descendants(kept.pid());
    EXPECT_GE(all.size(), 9U) << "two inits and payloads, an exec, two cells, the twin, the stager";
    MUST_VOID(os::send_signal(kept.pidfd(), SIGKILL));
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    for (const auto pid : all) {
        while (executes(pid) && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        EXPECT_FALSE(executes(pid)) << pid << ": " << read_file("/proc/" + std::to_string(pid) + "/status");
    }
}

TEST_F(Keeper, ShutDownEndsEverything) {
    Kept kept;
    auto client = kept.greet();
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"ignore-term", "600"}}), "launched");
    ASSERT_EQ(kept.prepare(client, "spare"), "done");
    const auto all = descendants(kept.pid());
    EXPECT_EQ(client.outcome(KeeperKind::shut_down), "done");
    EXPECT_TRUE(os::wait_ended(kept.pidfd(), kPatienceMs));
    EXPECT_TRUE(eventually([&] { return std::ranges::none_of(all, executes); }));
}

TEST_F(Keeper, TellsOfHelpersThatEnd) {
    Kept kept;
    auto client = kept.greet();
    auto stager = MUST(kept.start_helper(client, "squish-stager", "stager.sock"));
    MUST_VOID(wire::send_json(stager.get(), {{"op", "x"}}));
    EXPECT_TRUE(wire::receive_json(stager.get()));
    const auto peer = descendants(kept.pid());
    const auto pid = std::ranges::find_if(
        peer, [](pid_t one) { return read_file("/proc/" + std::to_string(one) + "/comm") == "squish-stager\n"; });
    ASSERT_NE(pid, peer.end());
    EXPECT_EQ(::kill(*pid, SIGKILL), 0);
    EXPECT_EQ(client.event(KeeperKind::helper_exited, "squish-stager"), SIGKILL);
    EXPECT_TRUE(MUST(wire::receive_json(stager.get())).peer_closed);
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_THAT(client.outcome(KeeperKind::spawn, text("no-program"), {null.get(), null.get(), null.get()}),
                StartsWith("error"));
    EXPECT_THAT(client.outcome(KeeperKind::spawn, text("too-few"), {null.get()}),
                StartsWith("error " + std::to_string(EINVAL)));
    MUST(kept.start_helper(client, "squish-stager", "stager.sock"));
}

TEST_F(Keeper, LeavesNoDescriptorsOrZombiesBehind) {
    Kept kept;
    auto client = kept.greet();
    const auto descriptors = [&] {
        std::vector<std::string> links;
        for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(kept.pid()) + "/fd")) {
            std::error_code gone;
            links.push_back(fd.path().filename().string() + " " + fs::read_symlink(fd, gone).string());
        }
        return links;
    };
    const auto churn = [&](int rounds) {
        for (int i = 0; i < rounds; ++i) {
            const auto id = "one" + std::to_string(i);
            ASSERT_EQ(kept.launch(client, id, {.arguments = {"sleep", "0.05"}}), "launched");
            if (kept.exec(client, id, "exec", {}) == "launched") // on a busy machine the container may have ended
                ASSERT_TRUE(client.event(KeeperKind::exited, "exec"));
            ASSERT_TRUE(client.event(KeeperKind::exited, id));
            (void) kept.launch(client, "fails", {.command = "/missing"});
            ASSERT_EQ(client.outcome(KeeperKind::forget, text(id)), "done");
            ASSERT_EQ(client.outcome(KeeperKind::forget, text("exec")), "done");
        }
    };
    churn(3);
    const auto before = descriptors();
    const auto processes = descendants(kept.pid()).size();
    churn(40);
    EXPECT_TRUE(eventually([&] { return descendants(kept.pid()).size() <= processes; }));
    EXPECT_TRUE(eventually([&] { return descriptors().size() <= before.size(); }))
        << ::testing::PrintToString(descriptors()) << " instead of " << ::testing::PrintToString(before);
}

TEST_F(Keeper, CapsTheLogOfAContainer) {
    Kept kept;
    auto client = kept.greet();
    const auto log = MUST(os::open_file(kept.at("log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
    Pipe go;
    kept.make_shell_rootfs();
    ASSERT_EQ(kept.launch(client, "one",
                          {.arguments = {"-c", "read x; yes 0123456789abcdef | head -c 20000000; echo last; read x"},
                           .command = "/sh",
                           .in = go.reader(),
                           .out = log.get()}),
              "launched");
    constexpr std::uint64_t kLimit = 1 << 20;
    EXPECT_EQ(
        client.outcome(KeeperKind::watch_log, [](wire::Writer& out) { out.text("one").u64(kLimit); }, {log.get()}),
        "done");
    ASSERT_EQ(::write(go.writer(), "\n", 1), 1);
    EXPECT_TRUE(eventually([&] {
        struct stat info{};
        ::fstat(log.get(), &info);
        return info.st_size >= 20'000'005;
    }));
    EXPECT_TRUE(eventually([&] {
        struct stat info{};
        ::fstat(log.get(), &info);
        return static_cast<std::uint64_t>(info.st_blocks) * 512 <= kLimit;
    }));
    const auto tail = MUST(os::read_file(kept.at("log"), 64 << 20));
    EXPECT_TRUE(tail.ends_with("last\n"));
    ASSERT_EQ(::write(go.writer(), "\n", 1), 1);
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(0));
    EXPECT_THAT(
        client.outcome(KeeperKind::watch_log, [](wire::Writer& out) { out.text("nobody").u64(kLimit); }, {log.get()}),
        StartsWith("error"));
}

TEST_F(Keeper, WorksWithASingleId) {
    Kept kept(Kept::Ids::one);
    EXPECT_TRUE(kept.single_id());
    auto client = kept.greet();
    Pipe out;
    ASSERT_EQ(kept.launch(client, "one", {.arguments = {"ids"}, .out = out.writer()}), "launched");
    EXPECT_THAT(out.rest(), StartsWith("0"));
    EXPECT_EQ(client.event(KeeperKind::exited, "one"), exited(0));
    EXPECT_THAT(kept.launch(client, "other", {.arguments = {"ids"}, .uid = 1000}),
                HasSubstr(std::to_string(launch::kPrivileges * launch::kPart + EINVAL)));
}

} // namespace
} // namespace squish::keeper
