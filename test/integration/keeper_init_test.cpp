// squish-init, the real one in a real container: signals, orphans, ends, streams, terminals, and what a payload cannot
// do.
#include "keeper_harness.h"

#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <termios.h>

namespace squish::init {
namespace {

using namespace squish::test;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class Init : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        kept_.make_shell_rootfs({"kill", "sleep", "cat", "readlink", "stty", "tty", "ps", "id", "grep", "seq", "setsid",
                                 "mount", "mknod", "chmod", "ls", "dd", "ulimit", "head", "true"});
        client_ = kept_.greet();
    }
    static Payload shell(const std::string& script, int out = -1) {
        return {.arguments = {"-c", script}, .command = "/sh", .out = out, .err = out};
    }
    // Runs a script to its end and gives its output; `code` is what it must exit with.
    std::string output_of(const std::string& script, int code = 0, std::uint32_t uid = 0) {
        Pipe out;
        auto payload = shell(script, out.writer());
        payload.uid = payload.gid = uid;
        const auto id = "run" + std::to_string(++count_);
        EXPECT_EQ(kept_.launch(client_, id, payload), "launched");
        auto text = out.rest();
        EXPECT_EQ(client_.event(KeeperKind::exited, id), exited(code)) << script << "\n" << text;
        return text;
    }
    void send(const std::string& id, int number) {
        EXPECT_EQ(client_.outcome(KeeperKind::signal, [&](wire::Writer& out) { out.text(id).i32(number); }), "done");
    }
    // Another id than root, where there is one.
    [[nodiscard]] std::uint32_t other() const { return kept_.single_id() ? 0 : 1000; }

    Kept kept_;
    Client client_;
    int count_ = 0;
};

TEST_F(Init, ForwardsSignalsToThePayload) {
    for (const int number : {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGRTMIN + 3}) {
        Pipe out;
        const auto id = "one" + std::to_string(number);
        ASSERT_EQ(kept_.launch(client_, id,
                               shell("trap 'echo got; exit 9' " + std::to_string(number) +
                                         "; echo ready; while :; do sleep 0.02; done",
                                     out.writer())),
                  "launched");
        out.close_writer();
        EXPECT_EQ(out.line(), "ready");
        send(id, number);
        EXPECT_EQ(out.line(), "got") << number;
        EXPECT_EQ(client_.event(KeeperKind::exited, id), exited(9)) << number;
    }
}

TEST_F(Init, ATermReachesThePayloadAndNotItsGroup) {
    Pipe out;
    ASSERT_EQ(kept_.launch(client_, "one",
                           shell("(trap 'echo child' TERM; while :; do sleep 0.02; done) & trap 'sleep 0.3; echo "
                                 "payload; exit 0' TERM; sleep 0.2; echo ready; while :; do sleep 0.02; done",
                                 out.writer())),
              "launched");
    EXPECT_EQ(out.line(), "ready");
    send("one", SIGTERM);
    EXPECT_EQ(out.rest(), "payload\n");
}

TEST_F(Init, AnInterruptReachesTheWholeGroupAsATerminalWouldSendIt) {
    for (const int number : {SIGINT, SIGQUIT}) {
        Pipe out;
        const auto id = "one" + std::to_string(number);
        // A shell ignores SIGINT in background jobs, so the child is in the foreground of another shell.
        ASSERT_EQ(kept_.launch(client_, id,
                               shell("trap 'echo payload' INT QUIT; echo ready; sh -c \"trap 'echo child; exit 0' INT "
                                     "QUIT; while :; do sleep 0.02; done\"; exit 4",
                                     out.writer())),
                  "launched");
        out.close_writer();
        EXPECT_EQ(out.line(), "ready");
        ::usleep(200'000); // the child's trap: nothing tells when a shell has set it
        send(id, number);
        const auto text = out.rest();
        EXPECT_THAT(text, HasSubstr("child\n"));
        EXPECT_THAT(text, HasSubstr("payload\n"));
        EXPECT_EQ(client_.event(KeeperKind::exited, id), exited(4));
    }
}

TEST_F(Init, APayloadOfAnotherUserGetsItsSignalsToo) {
    auto payload = shell("sleep 600");
    payload.uid = payload.gid = other();
    ASSERT_EQ(kept_.launch(client_, "one", payload), "launched");
    send("one", SIGTERM);
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), SIGTERM);
}

TEST_F(Init, ASignalThatComesWithManyOthersIsNotLost) {
    Pipe out;
    ASSERT_EQ(kept_.launch(client_, "one",
                           shell("trap 'exit 5' TERM; trap : USR1 USR2 HUP; echo ready; while :; do sleep 0.01; done",
                                 out.writer())),
              "launched");
    EXPECT_EQ(out.line(), "ready");
    for (int i = 0; i < 200; ++i)
        send("one", i % 3 == 0 ? SIGUSR1 : i % 3 == 1 ? SIGUSR2 : SIGHUP);
    send("one", SIGTERM);
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), exited(5));
}

TEST_F(Init, EndsWithThePayloadAndTakesTheRestAlong) {
    Pipe out;
    // The child holds the pipe: its end shows that everything has ended.
    ASSERT_EQ(kept_.launch(client_, "one", shell("setsid sleep 600 & sleep 600 & exit 6", out.writer())), "launched");
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), exited(6));
    EXPECT_EQ(out.rest(), "");
}

TEST_F(Init, TellsThePayloadsOwnStatus) {
    EXPECT_EQ(output_of("exit 200", 200), "");
    for (const int number : {SIGTERM, SIGKILL, SIGABRT, SIGSEGV}) {
        const auto id = "raised" + std::to_string(number);
        ASSERT_EQ(kept_.launch(client_, id, {.arguments = {"raise", std::to_string(number)}}), "launched");
        const auto status = client_.event(KeeperKind::exited, id);
        ASSERT_TRUE(status);
        EXPECT_EQ(*status & 0x7F, number);
        EXPECT_EQ(os::exit_code(*status), 128 + number);
        EXPECT_EQ(*status & 0x80, 0) << "no core: its limit is 0 or it was not written";
    }
    // Killed from outside, init itself has the last word.
    ASSERT_EQ(kept_.launch(client_, "killed", shell("sleep 600")), "launched");
    send("killed", SIGKILL);
    EXPECT_EQ(client_.event(KeeperKind::exited, "killed"), SIGKILL);
}

TEST_F(Init, ReapsFiveHundredOrphans) {
    Pipe out, go;
    auto payload = shell("/testbin orphans 500; sleep 0.5; echo done; read x; exit 0", out.writer());
    payload.in = go.reader();
    ASSERT_EQ(kept_.launch(client_, "one", payload), "launched");
    EXPECT_EQ(out.line(30'000), "done");
    Pipe list;
    // `ps` in the container: init, the shell, and ps itself.
    ASSERT_TRUE(eventually([&] {
        Pipe seen;
        EXPECT_EQ(kept_.exec(client_, "one", "ps", shell("ps -o stat=,comm= | grep -c ''", seen.writer())), "launched");
        const auto count = std::atoi(seen.rest().c_str());
        EXPECT_TRUE(client_.event(KeeperKind::exited, "ps"));
        EXPECT_EQ(client_.outcome(KeeperKind::forget, text("ps")), "done");
        return count > 0 && count <= 6;
    }));
    ASSERT_EQ(::write(go.writer(), "\n", 1), 1);
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), exited(0));
}

TEST_F(Init, APayloadCannotEndOrStopPidOne) {
    for (const auto uid : {0U, other()}) {
        // What init gets, it forwards to us: the traps are for that.
        const auto text =
            output_of("trap : TERM INT ABRT SEGV HUP QUIT; "
                      "for s in KILL STOP TERM INT ABRT SEGV HUP QUIT KILL STOP; do kill -$s 1; sleep 0.05; done; "
                      "grep State /proc/1/status; echo alive",
                      0, uid);
        EXPECT_THAT(text, HasSubstr("alive"));
        EXPECT_THAT(text, HasSubstr("State:\tS")) << "it sleeps; it is not stopped";
    }
}

TEST_F(Init, APayloadCannotLookIntoPidOne) {
    for (const auto uid : {0U, other()}) {
        const auto text =
            output_of("for f in environ mem maps auxv io syscall stack personality; do "
                      "cat /proc/1/$f >/dev/null 2>&1 && echo \"can read $f\"; done; "
                      "for l in exe cwd root fd/3 ns/mnt; do readlink /proc/1/$l && echo \"can follow $l\"; done; "
                      "echo x > /proc/1/mem && echo 'can write mem'; "
                      "head -c 1 /proc/1/exe && echo 'can open exe'; echo done",
                      0, uid);
        EXPECT_EQ(text.find("can "), std::string::npos) << text;
        EXPECT_THAT(text, HasSubstr("done\n"));
    }
}

TEST_F(Init, APayloadHasNoPrivilegesAndNoWayToGetSome) {
    for (const auto uid : {0U, other()}) {
        Pipe out;
        Payload grep{.arguments = {"-e", "Cap", "-e", "NoNewPrivs", "-e", "Groups", "-e", "Sig", "-e", "Uid",
                                   "/proc/self/status"},
                     .command = "/grep", // no shell, which ignores signals on its own account
                     .out = out.writer(),
                     .uid = uid,
                     .gid = uid};
        ASSERT_EQ(kept_.launch(client_, "grep" + std::to_string(++count_), grep), "launched");
        const auto status = out.rest();
        for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
            EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t0000000000000000")) << set;
        EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
        EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
        EXPECT_THAT(status, HasSubstr("SigIgn:\t0000000000000000"));
        const auto ids = std::to_string(uid);
        EXPECT_THAT(status, HasSubstr("Uid:\t" + ids + "\t" + ids + "\t" + ids + "\t" + ids));
        if (!kept_.single_id()) {
            EXPECT_THAT(status, HasSubstr("Groups:\t \n")) << "none of the user's";
        }
        const auto tried = output_of(
            "mount -t tmpfs x /tmp 2>/dev/null && echo mounted; mount -o remount,rw / 2>/dev/null && echo remounted; "
            "mknod /dev/x c 1 3 2>/dev/null && echo made; echo x > /file 2>/dev/null && echo written; "
            "echo h > /proc/sys/kernel/hostname && echo named; echo b > /proc/sysrq-trigger && echo reset; echo done",
            0, uid);
        for (const auto* done : {"mounted", "remounted", "made", "written", "named", "reset"})
            EXPECT_THAT(tried, Not(HasSubstr(done)));
    }
}

TEST_F(Init, ThePayloadHasItsThreeStreamsAndNothingElse) {
    Pipe out;
    ASSERT_EQ(kept_.launch(client_, "one", {.arguments = {"fds"}, .out = out.writer()}), "launched");
    const auto text = out.rest();
    EXPECT_THAT(text, MatchesRegex("0 /dev/null\n1 pipe:.*\n2 /dev/null\n"));
}

TEST_F(Init, TheStreamsAreTheCallersOwn) {
    Pipe in, out, err;
    Payload payload{.arguments = {"-c", "cat; echo to-err >&2; for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done"},
                    .command = "/sh",
                    .in = in.reader(),
                    .out = out.writer(),
                    .err = err.writer()};
    ASSERT_EQ(kept_.launch(client_, "one", payload), "launched");
    const std::string sent = "some\ntext\n";
    ASSERT_EQ(::write(in.writer(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
    in.close_writer();
    const auto name = [](int fd) { return fs::read_symlink("/proc/self/fd/" + std::to_string(fd)).string() + "\n"; };
    const auto streams =
        name(in.reader()) + name(out.reader()) + name(err.reader()); // both ends of a pipe have one name
    EXPECT_EQ(out.rest(), sent + streams);
    EXPECT_EQ(err.rest(), "to-err\n");
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), exited(0));
}

TEST_F(Init, NothingIsLostOfALargeStream) {
    Pipe out;
    ASSERT_EQ(kept_.launch(client_, "one", {.arguments = {"flood", "30000000"}, .out = out.writer()}), "launched");
    EXPECT_EQ(out.rest().size(), 30'000'000U);
}

TEST_F(Init, TheEnvironmentAndArgumentsAreExactlyThoseOfThePlan) {
    Pipe out;
    Payload payload{.arguments = {"env"}, .out = out.writer(), .environment = {"B=2", "A=1 x", "EMPTY="}};
    ASSERT_EQ(kept_.launch(client_, "one", payload), "launched");
    EXPECT_EQ(out.rest(), "B=2\nA=1 x\nEMPTY=\n");
    Pipe more;
    payload = {.arguments = {"args", "", "two words", "\xff\n"}, .out = more.writer()};
    ASSERT_EQ(kept_.launch(client_, "two", payload), "launched");
    const auto text = more.rest();
    EXPECT_THAT(text, HasSubstr("two words"));
    EXPECT_THAT(text, HasSubstr("\xff\n"));
}

TEST_F(Init, CommandsAreLookedForAlongThePath) {
    const auto run = [&](const std::string& command, const std::string& path) {
        const auto id = "path" + std::to_string(++count_);
        const auto outcome = kept_.launch(
            client_, id, {.arguments = {"true"}, .command = command, .environment = {"X=1", "PATH=" + path}});
        return outcome == "launched" ? client_.event(KeeperKind::exited, id) == exited(0) ? "ran" : "failed" : outcome;
    };
    fs::create_directories(kept_.at("rootfs/bin"));
    std::ofstream(kept_.at("rootfs/bin/testbin")) << "not executable";
    EXPECT_EQ(run("testbin", "/none:/bin:/"), "ran") << "a file that is no program does not end the search";
    EXPECT_THAT(run("testbin", "/none:/bin"), HasSubstr("failed: " + std::to_string(EACCES)));
    EXPECT_THAT(run("testbin", "/none"), HasSubstr("failed: " + std::to_string(ENOENT)));
    EXPECT_THAT(run("testbin", ""), HasSubstr("failed: " + std::to_string(ENOENT)));
    EXPECT_THAT(run("", "/"), HasSubstr("failed: " + std::to_string(ENOENT)));
    EXPECT_EQ(run("testbin", std::string(2000, 'x') + ":/:" + std::string(3000, 'y')), "ran");
    EXPECT_THAT(run("sh/x", "/"), HasSubstr("failed: " + std::to_string(ENOTDIR)));
}

TEST_F(Init, ManyArgumentsAndAnEnvironmentOfAMegabyte) {
    Payload payload{.arguments = {"-c", "exit $(($# % 256))"}, .command = "/sh"};
    for (int i = 0; i < 4000; ++i)
        payload.arguments.push_back(std::string(100, 'a'));
    for (int i = 0; i < 8; ++i)
        payload.environment.push_back("V" + std::to_string(i) + "=" + std::string(100'000, 'v'));
    ASSERT_EQ(kept_.launch(client_, "one", payload), "launched");
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), exited(3999 % 256)) << "$0 is the first of them";
    payload.arguments.assign(9000, "a");
    EXPECT_THAT(kept_.launch(client_, "too-many", payload), HasSubstr("failed: " + std::to_string(E2BIG)));
}

TEST_F(Init, TheClockOfAContainerStartsAtZero) {
    auto payload = shell("cut -d. -f1 /proc/uptime");
    fs::create_symlink("sh", kept_.at("rootfs/cut"));
    Pipe out;
    payload.out = out.writer();
    ASSERT_EQ(kept_.launch(client_, "one", payload), "launched");
    EXPECT_THAT(out.rest(), AnyOf("0\n", "1\n", "2\n"));
}

// --- covers
// ------------------------------------------------------------------------------------------------------------

class Cover : public Init {
protected:
    // A cell whose proc, before it becomes /proc, is covered from the folder "view": pairs of paths in proc and in
    // view.
    std::string prepare(const std::vector<std::pair<std::string, std::string>>& covers, std::uint16_t flags = 0) {
        using launch::StepKind;
        fs::create_directories(kept_.at("view/9/proc"));
        fs::create_directories(kept_.at("view/9/bus"));
        std::ofstream(kept_.at("view/9/proc/meminfo")) << "of the view\n";
        std::ofstream(kept_.at("view/9/bus/inside")) << "of the folder\n";
        std::error_code exists;
        fs::create_symlink("proc", kept_.at("view/9/link"), exists);
        auto prelude = Kept::prelude();
        prelude.add(StepKind::stage, {.a = 0, .b = 4}, "hold the view");
        prelude.add(StepKind::stage, {.a = Kept::kProc, .b = 2}, "hold proc");
        for (const auto& [path, source] : covers)
            prelude.add(StepKind::cover, {.flags = flags, .a = Kept::kProc, .b = 0, .text1 = path, .text2 = source},
                        "cover");
        prelude.add(StepKind::keep, {.a = 0, .b = Kept::kProc + 10}, "out of the way");
        const auto plan = sealed(prelude);
        const auto view = kept_.folder_mount(kept_.at("view"));
        const auto outcome = client_.outcome(KeeperKind::prepare, [](wire::Writer& out) { out.text("cell").u32(0); },
                                             {plan.get(), view.get(), kept_.isolated_network()});
        return outcome == "1 fds" ? "done" : outcome;
    }
    std::string failure_of(const std::vector<std::pair<std::string, std::string>>& covers, std::uint16_t flags = 0) {
        EXPECT_EQ(prepare(covers, flags), "done");
        EXPECT_TRUE(client_.event(KeeperKind::cell_lost, "cell"));
        return kept_.launch_in(client_, "cell", "one");
    }
    static std::string first_cover_failed(int error) {
        return "step " + std::to_string(Kept::kPreludeSteps + 2) + " failed: " + std::to_string(error);
    }
};

TEST_F(Cover, PutsFilesAndFoldersOfAViewOverThoseOfTheTree) {
    ASSERT_EQ(prepare({{"meminfo", "9/proc/meminfo"}, {"bus", "9/bus"}, {"no-such-file", "9/proc/meminfo"}}), "done");
    Pipe out;
    const auto script =
        "cat /proc/meminfo; ls /proc/bus; cat /proc/bus/inside; echo x > /proc/meminfo; grep -c processor "
        "/proc/cpuinfo > /dev/null && echo uncovered; ls /stage 2> /dev/null";
    ASSERT_EQ(kept_.launch_in(client_, "cell", "one", shell(script, out.writer())), "launched");
    const auto text = out.rest();
    EXPECT_THAT(text, StartsWith("of the view\ninside\nof the folder\n"));
    EXPECT_THAT(text, HasSubstr("Read-only file system"));
    EXPECT_THAT(text, HasSubstr("uncovered\n"));
    EXPECT_EQ(read_file(kept_.at("view/9/proc/meminfo")), "of the view\n");
}

TEST_F(Cover, OneThatIsMissingIsAnErrorUnlessItMayBe) {
    EXPECT_EQ(failure_of({{"meminfo", "9/proc/nothing"}}), first_cover_failed(ENOENT));
    ASSERT_EQ(prepare({{"meminfo", "9/proc/nothing"}}, launch::kMayMiss), "done");
    Pipe out;
    ASSERT_EQ(kept_.launch_in(client_, "cell", "two", shell("cat /proc/meminfo", out.writer())), "launched");
    EXPECT_THAT(out.rest(), HasSubstr("MemTotal:"));
}

TEST_F(Cover, NothingLeadsOutOfTheTreeOrTheView) {
    EXPECT_EQ(failure_of({{"meminfo", "../rootfs/testbin"}}, launch::kMayMiss), first_cover_failed(EXDEV));
    EXPECT_EQ(failure_of({{"meminfo", "9/link/meminfo"}}, launch::kMayMiss), first_cover_failed(ELOOP));
    EXPECT_EQ(failure_of({{"self/status", "9/proc/meminfo"}}, launch::kMayMiss), first_cover_failed(ELOOP));
    EXPECT_EQ(failure_of({{"bus", "9/proc/meminfo"}}), first_cover_failed(EINVAL)) << "a file over a folder";
}

// --- terminals
// ---------------------------------------------------------------------------------------------------------

class Terminal : public Init {
protected:
    // Launches (or, with `container`, execs) with a terminal and takes its master from the console socket.
    UniqueFd start(const std::string& id, Payload payload, const std::string& container = {}) {
        auto pair = os::socket_pair();
        EXPECT_TRUE(pair);
        payload.console = pair->second.get();
        EXPECT_EQ(container.empty() ? kept_.launch(client_, id, payload) : kept_.exec(client_, container, id, payload),
                  "launched");
        pair->second.reset();
        pollfd waiting{pair->first.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&waiting, 1, kPatienceMs), 1);
        auto message = os::receive_message(pair->first.get(), 10);
        EXPECT_TRUE(message && message->bytes.size() == 1 && message->fds.size() == 1);
        EXPECT_TRUE(os::receive_message(pair->first.get(), 10)->peer_closed) << "the payload does not hold the socket";
        return message && message->fds.size() == 1 ? std::move(message->fds[0]) : UniqueFd();
    }
    // What comes from a master until `end` has come or its other side is closed.
    static std::string read_until(int master, const std::string& end) {
        std::string out;
        while (!out.contains(end)) {
            pollfd waiting{master, POLLIN, 0};
            char buffer[4096];
            if (::poll(&waiting, 1, kPatienceMs) != 1)
                return out + " [nothing more]";
            const auto got = ::read(master, buffer, sizeof buffer);
            if (got <= 0)
                return out;
            out.append(buffer, static_cast<std::size_t>(got));
        }
        return out;
    }
    static void type(int master, const std::string& text) {
        EXPECT_EQ(::write(master, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
};

TEST_F(Terminal, TheMasterArrivesWithTheSizeAskedFor) {
    const auto master = start("one", {.arguments = {"-c", "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo "
                                                          "all; ls -l /dev/pts/0; read x; echo \"<$x>\""},
                                      .command = "/sh"});
    ASSERT_TRUE(master.valid());
    EXPECT_THAT(read_until(master.get(), "all\r\n"), HasSubstr("/dev/pts/0\r\n40 100\r\nall\r\n"));
    type(master.get(), "hello\n");
    EXPECT_THAT(read_until(master.get(), "<hello>\r\n"), HasSubstr("<hello>"));
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), exited(0));
}

TEST_F(Terminal, ControlCharactersReachTheForegroundAndTheSizeChanges) {
    const auto master = start(
        "one",
        {.arguments = {"-c",
                       "trap 'echo interrupted' INT; trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"},
         .command = "/sh"});
    EXPECT_THAT(read_until(master.get(), "ready\r\n"), HasSubstr("ready"));
    type(master.get(), "\x03");
    EXPECT_THAT(read_until(master.get(), "interrupted\r\n"), HasSubstr("interrupted"));
    const winsize size{30, 90, 0, 0};
    EXPECT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
    EXPECT_THAT(read_until(master.get(), "30 90\r\n"), HasSubstr("30 90"));
    const auto quit = start("two", {.arguments = {"-"}, .command = "/cat"}); // a shell ignores SIGQUIT
    type(quit.get(), "x\n");
    EXPECT_THAT(read_until(quit.get(), "x\r\nx\r\n"), HasSubstr("x\r\nx"));
    type(quit.get(), "\x1c");
    const auto status = client_.event(KeeperKind::exited, "two");
    ASSERT_TRUE(status);
    EXPECT_EQ(*status & 0x7F, SIGQUIT);
}

TEST_F(Terminal, ALostMasterHangsThePayloadUp) {
    auto master = start("one", {.arguments = {"-c", "exec sleep 600"}, .command = "/sh"});
    master.reset();
    EXPECT_EQ(client_.event(KeeperKind::exited, "one"), SIGHUP);
}

TEST_F(Terminal, JobControlWorksInAnExec) {
    ASSERT_EQ(kept_.launch(client_, "one", {.arguments = {"sleep", "600"}}), "launched");
    const auto master = start("exec", {.arguments = {"-i"}, .command = "/sh"}, "one");
    type(master.get(), "PS1=; set -m; echo be''gin\n");
    const auto begin = read_until(master.get(), "begin\r\n");
    EXPECT_THAT(begin, HasSubstr("begin"));
    EXPECT_THAT(begin, Not(HasSubstr("job control turned off")));
    type(master.get(), "sleep 600\n");
    ::usleep(300'000); // until it is in the foreground: nothing tells
    type(master.get(), "\x1a");
    EXPECT_THAT(read_until(master.get(), "Stopped"), HasSubstr("Stopped"));
    type(master.get(), "kill -KILL %1; wait; echo wai''ted\n");
    EXPECT_THAT(read_until(master.get(), "waited\r\n"), HasSubstr("waited"));
    type(master.get(), "exit 3\nexit 3\n"); // the first may be told of stopped jobs
    EXPECT_EQ(client_.event(KeeperKind::exited, "exec"), exited(3));
}

TEST_F(Terminal, BelongsToThePayloadsUser) {
    Payload payload{.arguments = {"-c", "id -u; : < /dev/tty && echo opened; echo end"}, .command = "/sh"};
    payload.uid = payload.gid = other();
    const auto master = start("one", payload);
    const auto text = read_until(master.get(), "end\r\n");
    EXPECT_THAT(text, HasSubstr(std::to_string(other()) + "\r\n"));
    EXPECT_THAT(text, HasSubstr("opened\r\n"));
}

} // namespace
} // namespace squish::init
