// Helpers that the keeper starts again whenever they end, and the listeners of sysinfo(2), which it keeps for one of
// them.
#include "keeper_harness.h"

#include <bit>
#include <gmock/gmock.h>
#include <sched.h>
#include <set>

namespace squish::keeper {
namespace {

using namespace squish::test;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t kKey = 77, kOther = 8192 * 5 + 3;

std::string status_of(pid_t pid) {
    return read_file("/proc/" + std::to_string(pid) + "/status");
}

class Guards : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        client_ = kept_.greet();
        program_ = MUST(os::open_file(std::string(SQUISH_BUILD_DIR) + "/test/sysinfo-stand-in", O_RDONLY));
        idle_ = MUST(os::socket_pair());
        log_ = MUST(os::open_file(kept_.at("helper.log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
    }
    // Its pid; it tells what happens through `told`.
    pid_t guard(const std::string& name, const Pipe& told) {
        // By another name than squish-sysinfo it has no socket of the keeper's: what it is given begins at 3.
        std::vector<int> fds{program_.get(), log_.get()};
        if (name != wire::kSysinfoServer)
            fds.push_back(idle_.second.get());
        fds.push_back(told.writer());
        const auto answer = client_.ask(KeeperKind::guard, text(name), fds);
        EXPECT_TRUE(answer);
        if (!answer || answer->kind != KeeperKind::spawned) {
            ADD_FAILURE() << (answer ? Client::text_of(*answer) : "no answer");
            return -1;
        }
        return answer->in().i32();
    }
    // Of the next helper that says it is there.
    static pid_t up(Pipe& told) {
        const auto line = told.line();
        EXPECT_THAT(line, StartsWith("up "));
        return line.starts_with("up ") ? std::stoi(line.substr(3)) : -1;
    }
    pid_t server(Pipe& told) {
        const auto pid = guard(wire::kSysinfoServer, told);
        EXPECT_EQ(up(told), pid);
        return pid;
    }
    // A payload with the filter, installed ahead of everything else.
    std::string prepare(const std::string& cell, std::uint64_t key, std::uint16_t flags = 0) {
        auto prelude = Kept::prelude();
        prelude.add(launch::StepKind::notify, {.flags = flags, .c = key}, "notify");
        return kept_.prepare(client_, cell, prelude);
    }
    std::string launch(const std::string& id, std::uint64_t key, const Payload& payload) {
        const auto prepared = prepare("cell-of-" + id, key);
        return prepared == "done" ? kept_.launch_in(client_, "cell-of-" + id, id, payload) : prepared;
    }
    void kill_container(const std::string& id) {
        EXPECT_EQ(client_.outcome(KeeperKind::signal, [&](wire::Writer& out) { out.text(id).i32(SIGKILL); }), "done");
        EXPECT_EQ(client_.event(KeeperKind::exited, id), SIGKILL);
    }

    Kept kept_;
    Client client_;
    UniqueFd program_, log_;
    std::pair<UniqueFd, UniqueFd> idle_; // a keeper that never says anything
};

TEST_F(Guards, StartOneAgainThatEndsWithTheSameDescriptors) {
    Pipe told;
    auto pid = guard("watched", told);
    EXPECT_EQ(up(told), pid);
    EXPECT_THAT(status_of(pid), HasSubstr("PPid:\t" + std::to_string(kept_.pid()) + "\n"));
    for (int round = 0; round < 20; ++round) {
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
        const auto next = client_.event(KeeperKind::guarded, "watched");
        ASSERT_TRUE(next);
        EXPECT_NE(*next, pid);
        EXPECT_EQ(up(told), *next) << "what it says comes out of the same pipe";
        pid = *next;
    }
    EXPECT_FALSE(client_.event(KeeperKind::helper_exited, "watched", 0)) << "its end is nobody's business";
}

TEST_F(Guards, NeedNobodyWhoAsks) {
    Pipe told;
    const auto first = guard("watched", told);
    EXPECT_EQ(up(told), first);
    ASSERT_EQ(kept_.launch(client_, "stays", {.arguments = {"sleep", "600"}}), "launched");
    client_.disconnect();
    ASSERT_EQ(::kill(first, SIGKILL), 0);
    const auto second = up(told);
    ASSERT_GT(second, 0);
    ASSERT_EQ(::kill(second, SIGSEGV), 0);
    EXPECT_GT(up(told), 0);
}

TEST_F(Guards, ReplaceTheOneOfThatName) {
    Pipe old_told, new_told;
    const auto old_pid = guard("watched", old_told);
    EXPECT_EQ(up(old_told), old_pid);
    const auto new_pid = guard("watched", new_told);
    EXPECT_NE(new_pid, old_pid);
    EXPECT_EQ(up(new_told), new_pid);
    EXPECT_EQ(old_told.rest(), "") << "the old one is not started again, and its descriptors are closed";
    ASSERT_EQ(::kill(new_pid, SIGKILL), 0);
    EXPECT_EQ(up(new_told), client_.event(KeeperKind::guarded, "watched"));
}

TEST_F(Guards, ThatCannotBeReplacedGoOnAsTheyWere) {
    Pipe told;
    const auto first = guard("watched", told);
    EXPECT_EQ(up(told), first);
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_THAT(client_.outcome(KeeperKind::guard, text("watched"), {null.get(), log_.get()}), StartsWith("error "));
    const auto second = client_.event(KeeperKind::guarded, "watched");
    ASSERT_TRUE(second);
    EXPECT_EQ(up(told), *second);
    EXPECT_THAT(client_.outcome(KeeperKind::guard, text("watched"), {program_.get()}),
                StartsWith("error " + std::to_string(EINVAL)));
    EXPECT_THAT(client_.outcome(KeeperKind::guard, text(""), {program_.get(), log_.get()}),
                StartsWith("error " + std::to_string(EINVAL)));
    EXPECT_EQ(::kill(*second, 0), 0) << "what is malformed ends nothing";
    for (std::size_t i = 1; i < wire::kMaxGuards; ++i)
        (void) guard("one-of-many-" + std::to_string(i), told);
    EXPECT_THAT(client_.outcome(KeeperKind::guard, text("one-more"), {program_.get(), log_.get()}),
                StartsWith("error " + std::to_string(ENOSPC)));
}

TEST_F(Guards, DoNotTakeTheMachineWhereOneAlwaysEnds) {
    const auto ends = MUST(os::open_file("/bin/true", O_RDONLY));
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(client_.outcome(KeeperKind::guard, text("useless"), {ends.get(), log_.get()}), "spawned");
    constexpr int kStarts = 132; // four more than at once: those take half a second at least
    for (int i = 0; i < kStarts; ++i)
        ASSERT_TRUE(client_.event(KeeperKind::guarded, "useless")) << i;
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(500));
    EXPECT_EQ(kept_.launch(client_, "one"), "launched") << "the keeper has time for others";
    // Nor does it keep the keeper.
    client_.disconnect();
    kept_.forget_stager();
    auto again = kept_.greet();
    ASSERT_TRUE(again.outcome(KeeperKind::forget, text("one")) == "done" || again.event(KeeperKind::exited, "one"));
    EXPECT_EQ(again.outcome(KeeperKind::forget, text("one")), "done");
    again.disconnect();
    EXPECT_TRUE(os::wait_ended(kept_.pidfd(), kPatienceMs)) << "it ends by itself after five seconds";
}

TEST_F(Guards, EndWithTheKeeper) {
    Pipe told;
    const auto pid = guard("watched", told);
    EXPECT_EQ(up(told), pid);
    EXPECT_EQ(client_.outcome(KeeperKind::shut_down), "done");
    EXPECT_TRUE(os::wait_ended(kept_.pidfd(), kPatienceMs));
    EXPECT_EQ(told.rest(), "") << "the pipe's last writer is gone";
}

// --- listeners
// --------------------------------------------------------------------------------------------------------

TEST_F(Guards, TheServerOfSysinfoAnswersAContainer) {
    Pipe told, out;
    (void) server(told);
    ASSERT_EQ(launch("one", kKey, {.arguments = {"told-sysinfo"}, .out = out.writer()}), "launched");
    EXPECT_EQ(out.rest(), "77\n");
    EXPECT_EQ(told.line(), "got 77");
    EXPECT_EQ(told.line(), "answered 77");
    EXPECT_EQ(told.line(), "gone 77") << "nobody can ask any more: neither the server nor the keeper keeps it";
}

TEST_F(Guards, ACellThatWaitsIsAnnouncedAlready) {
    Pipe told, out;
    (void) server(told);
    ASSERT_EQ(prepare("cell", kOther), "done");
    EXPECT_EQ(told.line(), "got " + std::to_string(kOther)) << "before any launch";
    ASSERT_EQ(kept_.launch_in(client_, "cell", "one", {.arguments = {"told-sysinfo"}, .out = out.writer()}),
              "launched");
    EXPECT_EQ(out.rest(), std::to_string(kOther) + "\n");
    EXPECT_EQ(told.line(), "answered " + std::to_string(kOther));
    EXPECT_EQ(told.line(), "gone " + std::to_string(kOther));
    ASSERT_EQ(prepare("unused", kKey), "done");
    EXPECT_EQ(told.line(), "got 77");
    EXPECT_EQ(client_.outcome(KeeperKind::discard, text("unused")), "done");
    EXPECT_EQ(told.line(), "gone 77");
}

TEST_F(Guards, AContainerWaitsForAServerThatIsNotThereYet) {
    Pipe told, out;
    ASSERT_EQ(launch("one", kKey, {.arguments = {"told-sysinfo"}, .out = out.writer()}), "launched");
    pollfd waiting{out.reader(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 100), 0) << "nobody has answered";
    (void) server(told);
    EXPECT_EQ(out.rest(), "77\n");
}

TEST_F(Guards, AServerThatWasKilledIsFollowedByOneThatKnowsAll) {
    Pipe told, out, in;
    auto pid = server(told);
    ASSERT_EQ(launch("one", kKey, {.arguments = {"told-sysinfo", "lines"}, .in = in.reader(), .out = out.writer()}),
              "launched");
    EXPECT_EQ(told.line(), "got 77");
    ASSERT_EQ(launch("two", kOther, {.arguments = {"sleep", "600"}}), "launched");
    EXPECT_EQ(told.line(), "got " + std::to_string(kOther));
    const auto ask = [&] { return ::write(in.writer(), "\n", 1) == 1; };
    for (int round = 0; round < 10; ++round) {
        ASSERT_TRUE(ask());
        EXPECT_EQ(out.line(), "77");
        EXPECT_EQ(told.line(), "answered 77");
        // While it cannot answer, then killed: the next one does.
        ASSERT_EQ(::kill(pid, SIGSTOP), 0);
        ASSERT_TRUE(ask());
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
        EXPECT_EQ(out.line(), "77") << round;
        const auto next = client_.event(KeeperKind::guarded, wire::kSysinfoServer);
        ASSERT_TRUE(next);
        pid = *next;
        EXPECT_EQ(up(told), pid);
        // The first listener may be asked before the second has been sent.
        std::vector<std::string> lines{told.line(), told.line(), told.line()};
        EXPECT_THAT(lines, UnorderedElementsAre("got 77", "got " + std::to_string(kOther), "answered 77"));
    }
    kill_container("two");
    EXPECT_EQ(told.line(), "gone " + std::to_string(kOther));
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_GT(up(told), 0);
    EXPECT_EQ(told.line(), "got 77");
    ASSERT_TRUE(ask());
    EXPECT_EQ(told.line(), "answered 77") << "and nothing of the one that has ended";
}

TEST_F(Guards, AnExecIsAnsweredToo) {
    Pipe told, out;
    (void) server(told);
    ASSERT_EQ(kept_.launch(client_, "one", {.arguments = {"sleep", "600"}}), "launched");
    launch::PlanBuilder plan;
    plan.add(launch::StepKind::notify, {.c = kKey}, "notify");
    const Payload payload{.arguments = {"told-sysinfo"}, .out = out.writer()};
    describe(plan, payload, 0, kept_.single_id());
    plan.add(launch::StepKind::become, {.text1 = payload.command}, "become");
    const auto memfd = sealed(plan);
    ASSERT_EQ(client_.outcome(KeeperKind::exec, text("one", "exec"), kept_.with_streams(memfd.get(), -1, payload)),
              "launched");
    EXPECT_EQ(out.rest(), "77\n");
    EXPECT_EQ(client_.event(KeeperKind::exited, "exec"), exited(0));
    EXPECT_EQ(told.line(), "got 77");
    EXPECT_EQ(told.line(), "answered 77");
    EXPECT_EQ(told.line(), "gone 77");
}

TEST_F(Guards, ManyContainersAtOnceBlockNobodyWhereTheServerReadsNothing) {
    Pipe told;
    const auto pid = server(told);
    ASSERT_EQ(::kill(pid, SIGSTOP), 0);
    // More than a socket holds: each of these execs installs filters of its own.
    constexpr std::uint64_t kMany = 400;
    ASSERT_EQ(kept_.launch(client_, "one", {.arguments = {"sleep", "600"}}), "launched");
    for (std::uint64_t key = 1; key <= kMany; ++key) {
        launch::PlanBuilder plan;
        plan.add(launch::StepKind::notify, {.c = key}, "notify");
        const Payload payload{.arguments = {"sleep", "600"}};
        describe(plan, payload, 0, kept_.single_id());
        plan.add(launch::StepKind::become, {.text1 = payload.command}, "become");
        const auto memfd = sealed(plan);
        ASSERT_EQ(client_.outcome(KeeperKind::exec, text("one", "exec" + std::to_string(key)),
                                  kept_.with_streams(memfd.get(), -1, payload)),
                  "launched");
    }
    ASSERT_EQ(::kill(pid, SIGCONT), 0);
    std::set<std::string> got;
    while (got.size() < kMany) {
        const auto line = told.line();
        ASSERT_THAT(line, StartsWith("got ")) << "after " << got.size();
        EXPECT_TRUE(got.insert(line).second) << line << " twice";
    }
}

TEST_F(Guards, ASecondListenerIsRefusedAndMayBe) {
    const auto with_two = [&](std::uint16_t flags) {
        auto prelude = Kept::prelude();
        prelude.add(launch::StepKind::notify, {.c = kKey}, "the first");
        prelude.add(launch::StepKind::notify, {.flags = flags, .c = kKey}, "the second");
        return prelude;
    };
    ASSERT_EQ(kept_.prepare(client_, "strict", with_two(0)), "done");
    EXPECT_TRUE(client_.event(KeeperKind::cell_lost, "strict"));
    EXPECT_EQ(kept_.launch_in(client_, "strict", "one"),
              "step " + std::to_string(Kept::kPreludeSteps + 1) + " failed: " + std::to_string(EBUSY));
    ASSERT_EQ(kept_.prepare(client_, "lenient", with_two(launch::kMayFail)), "done");
    EXPECT_EQ(kept_.launch_in(client_, "lenient", "one"), "launched");
    ASSERT_EQ(prepare("keyless", 0), "done");
    EXPECT_TRUE(client_.event(KeeperKind::cell_lost, "keyless"));
}

// --- affinity
// ---------------------------------------------------------------------------------------------------------

// CPUs of ours as a mask (launch::read_mask): the first, or all.
std::string mask_of(bool first_only) {
    cpu_set_t ours;
    CPU_ZERO(&ours);
    EXPECT_EQ(::sched_getaffinity(0, sizeof ours, &ours), 0);
    std::string mask;
    bool taken = false;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu += 8) {
        int byte = 0;
        for (int bit = 0; bit < 8; ++bit)
            if (CPU_ISSET(cpu + bit, &ours) && !(first_only && taken)) {
                byte |= 1 << bit;
                taken = true;
            }
        mask += "0123456789abcdef"[byte >> 4];
        mask += "0123456789abcdef"[byte & 15];
    }
    return mask;
}

int cpus_of(pid_t task) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    return ::sched_getaffinity(task, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : -1;
}

TEST_F(Guards, AffinityReachesWhatRunsInTheCgroup) {
    if (cpus_of(0) < 2)
        GTEST_SKIP() << "there is one CPU only";
    ASSERT_EQ(kept_.launch(client_, "one", {.arguments = {"sleep", "600"}, .uid = kept_.single_id() ? 0U : 1000U}),
              "launched");
    std::vector<Listed> listed;
    (void) kept_.greet(&listed);
    ASSERT_EQ(listed.size(), 1U);
    const auto init = listed[0].pid;
    const auto children = read_file("/proc/" + std::to_string(init) + "/task/" + std::to_string(init) + "/children");
    const pid_t payload = std::atoi(children.c_str());
    ASSERT_GT(payload, 0);
    EXPECT_THAT(client_.outcome(KeeperKind::affinity, text("one", mask_of(true))),
                StartsWith("error " + std::to_string(ENOENT)))
        << "it has no cgroup";
    // Folders as the kernel shows a cgroup with one beneath it.
    fs::create_directories(kept_.at("cgroup/beneath"));
    std::ofstream(kept_.at("cgroup/cgroup.threads")) << init << "\n";
    std::ofstream(kept_.at("cgroup/beneath/cgroup.threads")) << payload << "\n4194304\n";
    const auto folder = MUST(os::open_file(kept_.at("cgroup"), O_RDONLY | O_DIRECTORY));
    ASSERT_EQ(client_.outcome(KeeperKind::put, text("cgroup/one"), {folder.get()}), "done");
    ASSERT_EQ(client_.outcome(KeeperKind::affinity, text("one", mask_of(true))), "done");
    EXPECT_EQ(cpus_of(init), 1);
    EXPECT_EQ(cpus_of(payload), 1);
    ASSERT_EQ(client_.outcome(KeeperKind::affinity, text("one", mask_of(false))), "done");
    EXPECT_EQ(cpus_of(payload), cpus_of(0));
    for (const auto* bad : {"", "0", "00", "0g", "FF"})
        EXPECT_THAT(client_.outcome(KeeperKind::affinity, text("one", bad)),
                    StartsWith("error " + std::to_string(EINVAL)))
            << bad;
    const std::string none_of_ours = std::string(254, '0') + "80";
    EXPECT_THAT(client_.outcome(KeeperKind::affinity, text("one", none_of_ours)),
                StartsWith("error " + std::to_string(EINVAL)));
    EXPECT_EQ(cpus_of(payload), cpus_of(0));
}

TEST_F(Guards, APayloadStartsOnItsCpus) {
    kept_.make_shell_rootfs({"grep"});
    int count = 0;
    const auto run = [&](const std::string& mask, int out) {
        const auto name = std::to_string(++count);
        const Payload payload{
            .arguments = {"-c", "grep Cpus_allowed: /proc/1/status; grep Cpus_allowed: /proc/self/status"},
            .command = "/sh",
            .out = out};
        const auto plan = sealed(kept_.launch_plan(payload, [&](launch::PlanBuilder& steps) {
            steps.add(launch::StepKind::affinity, {.text1 = mask}, "cpus");
        }));
        EXPECT_EQ(kept_.prepare(client_, name), "done");
        const auto root = kept_.root_mount();
        return client_.outcome(KeeperKind::launch, text(name, name),
                               kept_.with_streams(plan.get(), root.get(), payload));
    };
    Pipe out;
    ASSERT_EQ(run(mask_of(true), out.writer()), "launched");
    out.close_writer();
    const auto init = out.line(), payload = out.line();
    EXPECT_EQ(std::popcount(std::stoul(payload.substr(payload.find_last_of(",\t") + 1), nullptr, 16)), 1) << payload;
    if (cpus_of(0) > 1) {
        EXPECT_NE(init, payload) << "init itself may run anywhere";
    }
    EXPECT_THAT(run(std::string(254, '0') + "80", -1),
                HasSubstr("failed: " + std::to_string(launch::kAffinity * launch::kPart + EINVAL)));
    EXPECT_THAT(run("0x", -1), HasSubstr("failed: " + std::to_string(EINVAL)));
}

} // namespace
} // namespace squish::keeper
