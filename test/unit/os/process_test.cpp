// Starting programs with exactly the descriptors they shall have, and telling how they ended.
#include "os/process.h"

#include "os/file.h"
#include "os/socket.h"
#include "scratch.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::os {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Process : public test::Scratch {
protected:
    // A shell that runs `script`, with its output in the file "out".
    Spawn shell(const std::string& script) {
        out_ = UniqueFd(::open(at("out").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        return {.program = "/bin/sh",
                .args = {"sh", "-c", script},
                .environment = {"PATH=/usr/bin:/bin"},
                .keep = {},
                .stdout_fd = out_.get()};
    }
    int run(const Spawn& spawn) {
        const auto child = spawn_child(spawn);
        EXPECT_OK(child);
        if (!child)
            return -1;
        int status = 0;
        EXPECT_EQ(::waitpid(child->pid, &status, 0), child->pid);
        return status;
    }
    std::string output() { return text_of(at("out")); }
    UniqueFd out_;
};

// The descriptors of the shell itself: another process looks, so that the looking adds none.
constexpr const char* kListDescriptors = "ls /proc/$$/fd; :";

TEST_F(Process, GivesExactlyTheAskedDescriptors) {
    const UniqueFd a(::open("/dev/zero", O_RDONLY | O_CLOEXEC)), b(::open("/dev/full", O_RDONLY | O_CLOEXEC));
    const UniqueFd leaked(::open("/dev/null", O_RDONLY)); // not close-on-exec: our second lock
    auto spawn = shell(std::string(kListDescriptors) + "; readlink /proc/$$/fd/3 /proc/$$/fd/4");
    spawn.keep = {b.get(), a.get()};
    EXPECT_EQ(run(spawn), 0);
    EXPECT_EQ(output(), "0\n1\n2\n3\n4\n/dev/full\n/dev/zero\n");
}

TEST_F(Process, DescriptorsWhoseNumbersCollideAreNotMixedUp) {
    // 3 and 4 swapped, and standard streams from numbers that others are put onto.
    const UniqueFd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC)), full(::open("/dev/full", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::dup3(zero.get(), 30, O_CLOEXEC), 30);
    ASSERT_EQ(::dup3(full.get(), 31, O_CLOEXEC), 31);
    const UniqueFd at_30(30), at_31(31);
    auto spawn = shell("readlink /proc/$$/fd/0 /proc/$$/fd/2 /proc/$$/fd/3 /proc/$$/fd/4 /proc/$$/fd/5");
    spawn.stdin_fd = 31;
    spawn.stderr_fd = 30;
    spawn.keep = {31, 30, 31};
    EXPECT_EQ(run(spawn), 0);
    EXPECT_EQ(output(), "/dev/full\n/dev/zero\n/dev/full\n/dev/zero\n/dev/full\n");
}

TEST_F(Process, KeepsManyDescriptors) {
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto spawn = shell(kListDescriptors);
    spawn.keep = std::vector<int>(200, null.get());
    EXPECT_EQ(run(spawn), 0);
    EXPECT_EQ(std::ranges::count(output(), '\n'), 203);
}

TEST_F(Process, StandardStreamsAreNullWhereNoneIsGiven) {
    auto spawn = shell("readlink /proc/$$/fd/0 /proc/$$/fd/2; read line || echo 'end of input'");
    EXPECT_EQ(run(spawn), 0);
    EXPECT_EQ(output(), "/dev/null\n/dev/null\nend of input\n");
}

TEST_F(Process, EnvironmentAndArgumentsAreThoseAsked) {
    auto spawn = shell("echo \"$0|$1|$2\"; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort");
    spawn.args = {"sh", "-c", spawn.args[2], "name", "", "two words"};
    spawn.environment = {"PATH=/usr/bin:/bin", "A=b c"};
    EXPECT_EQ(run(spawn), 0);
    EXPECT_EQ(output(), "name||two words\nA=b c\nPATH=/usr/bin:/bin\n");
}

TEST_F(Process, SignalsStartUnblockedAndWithTheirDefaults) {
    sigset_t blocked, old;
    ::sigfillset(&blocked);
    ASSERT_EQ(::sigprocmask(SIG_BLOCK, &blocked, &old), 0);
    const auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
    auto spawn = shell("grep -e SigBlk -e SigIgn /proc/self/status");
    EXPECT_EQ(run(spawn), 0);
    ::signal(SIGPIPE, old_pipe);
    ASSERT_EQ(::sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT_EQ(output(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_F(Process, LivesInASessionAndFolderOfItsOwn) {
    auto spawn = shell("pwd; ps -o sid= -p $$ | tr -d ' '; echo $$");
    spawn.folder = "/usr";
    EXPECT_EQ(run(spawn), 0);
    const auto text = output();
    EXPECT_THAT(text, StartsWith("/usr\n"));
    const auto lines = text.substr(5);
    const auto cut = lines.find('\n');
    EXPECT_EQ(lines.substr(0, cut), lines.substr(cut + 1, lines.size() - cut - 2)) << "it leads its session";
}

TEST_F(Process, AProgramThatCannotBeExecutedIsAnErrorWithItsCause) {
    std::filesystem::create_directory(at("folder"));
    put("text", "no program");
    ::chmod(at("text").c_str(), 0755);
    put("plain", "#!/bin/sh\n");
    const std::pair<std::string, int> cases[] = {{at("missing"), ENOENT},
                                                 {at("folder"), EACCES},
                                                 {at("text"), ENOEXEC},
                                                 {at("plain"), EACCES},
                                                 {at("plain/below"), ENOTDIR}};
    for (const auto& [program, error] : cases) {
        for (const auto start : {&spawn_child, &spawn_detached}) {
            const auto child = start({.program = program, .args = {"x"}, .environment = {}, .keep = {}});
            ASSERT_FALSE(child) << program;
            EXPECT_EQ(child.error().sys_errno, error) << program;
            EXPECT_THAT(child.error().message, HasSubstr(program));
        }
    }
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no zombie of them is left";
    EXPECT_EQ(errno, ECHILD);
}

TEST_F(Process, AFolderThatIsNotThereIsAnError) {
    auto spawn = shell("true");
    spawn.folder = at("missing");
    const auto child = spawn_child(spawn);
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().sys_errno, ENOENT);
}

TEST_F(Process, ADetachedProcessIsNobodysChildOfOurs) {
    auto [ours, theirs] = MUST(socket_pair());
    auto spawn = shell("echo \"$(ps -o ppid= -p $$)\"; exec 3<&- ; exec sleep 60");
    spawn.keep = {theirs.get()};
    auto child = MUST(spawn_detached(spawn));
    theirs.reset();
    EXPECT_GT(child.pid, 1);
    EXPECT_EQ(MUST(pid_of(child.pidfd.get())), child.pid);
    EXPECT_EQ(::waitpid(child.pid, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
    EXPECT_TRUE(MUST(receive_message(ours.get(), 1)).peer_closed) << "it ran, and closed what it was given";
    EXPECT_NE(std::stoi(output()), ::getpid());
    EXPECT_FALSE(has_ended(child.pidfd.get()));
    EXPECT_OK(send_signal(child.pidfd.get(), SIGKILL));
    EXPECT_TRUE(wait_ended(child.pidfd.get(), 5000));
}

TEST_F(Process, ReportsExitCodesAndSignalsAsAShellWould) {
    const std::pair<const char*, int> cases[] = {
        {"exit 0", 0}, {"exit 7", 7}, {"exit 255", 255}, {"kill -TERM $$", 143}, {"kill -KILL $$", 137}};
    for (const auto& [script, code] : cases) {
        const auto child = MUST(spawn_child(shell(script)));
        ASSERT_TRUE(wait_ended(child.pidfd.get(), 5000));
        const auto result = MUST(reap(child.pidfd.get()));
        EXPECT_TRUE(result.changed);
        EXPECT_EQ(exit_code(result.status), code) << script;
        EXPECT_FALSE(reap(child.pidfd.get())) << "it has been reaped";
    }
}

TEST_F(Process, TheStatusIsThatOfWaitpid) {
    for (const auto* script : {"exit 3", "kill -ABRT $$"}) {
        rlimit none{};
        ::setrlimit(RLIMIT_CORE, &none);
        const auto one = run(shell(script));
        const auto child = MUST(spawn_child(shell(script)));
        ASSERT_TRUE(wait_ended(child.pidfd.get(), 5000));
        EXPECT_EQ(MUST(reap(child.pidfd.get())).status, one) << script;
    }
}

TEST_F(Process, ReapingDoesNotWait) {
    const auto child = MUST(spawn_child(shell("exec sleep 60")));
    EXPECT_FALSE(MUST(reap(child.pidfd.get())).changed);
    EXPECT_FALSE(has_ended(child.pidfd.get()));
    EXPECT_FALSE(wait_ended(child.pidfd.get(), 20));
    EXPECT_OK(send_signal(child.pidfd.get(), SIGKILL));
    EXPECT_TRUE(wait_ended(child.pidfd.get(), 5000));
    EXPECT_TRUE(MUST(reap(child.pidfd.get())).changed);
    const auto gone = send_signal(child.pidfd.get(), SIGTERM);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().sys_errno, ESRCH);
    EXPECT_FALSE(pid_of(child.pidfd.get()));
}

TEST_F(Process, APidfdIsNoOrdinaryFile) {
    EXPECT_FALSE(open_pidfd(0x3FFFFFFF));
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(pid_of(null.get()));
    EXPECT_FALSE(send_signal(null.get(), 0));
}

TEST_F(Process, ACloneIsACopyOfUs) {
    auto [ours, theirs] = MUST(socket_pair());
    auto child = MUST(clone_process(0));
    if (child.pid == 0)
        ::_exit(child.pidfd.valid() || !send_message(theirs.get(), std::to_string(::getppid())) ? 1 : 42);
    EXPECT_EQ(MUST(receive_message(ours.get(), 20)).bytes, std::to_string(::getpid()));
    EXPECT_TRUE(wait_ended(child.pidfd.get(), 5000));
    EXPECT_EQ(exit_code(MUST(reap(child.pidfd.get())).status), 42);
}

} // namespace
} // namespace squish::os
