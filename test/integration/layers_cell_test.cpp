// The cell of a job, seen from inside: what somebody who took over the parser would find.
#include "user_network.h"

#include "archive/remove.h"
#include "layers/sandbox.h"
#include "os/file.h"
#include "os/process.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

namespace squish::layers {
namespace {

using namespace squish::test;
namespace fs = std::filesystem;

class InTheCell : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_AS_ROOT();
        std::string pattern = (fs::temp_directory_path() / "sqc.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        base_ = pattern;
        fs::create_directories(base_ + "/target/folder");
        std::ofstream(base_ + "/target/file") << "content";
        std::ofstream(base_ + "/secret") << "secret";
    }
    void TearDown() override { fs::remove_all(base_); }

    // Runs `body` in a cell on the folder "target", below a user namespace like the keeper's.
    void enter_and(Access access, const std::function<void(int target)>& body) const {
        in_child([&] {
            enter_user_namespace(CLONE_NEWNS);
            int ask[2], reply[2];
            ASSERT_EQ(::pipe2(ask, O_CLOEXEC), 0);
            ASSERT_EQ(::pipe2(reply, O_CLOEXEC), 0);
            std::fflush(nullptr);
            const pid_t job = ::fork();
            if (job == 0) {
                play(access, ask[1], reply[0], body);
                std::fflush(nullptr);
                ::_exit(::testing::Test::HasFailure() ? 1 : 0);
            }
            char byte = 0;
            EXPECT_EQ(::read(ask[0], &byte, 1), 1);
            const auto uids = os::identity_map("/proc/self/uid_map"), gids = os::identity_map("/proc/self/gid_map");
            ASSERT_TRUE(uids && gids);
            const auto folder = "/proc/" + std::to_string(job);
            write_file(folder + "/uid_map", *uids);
            write_file(folder + "/gid_map", *gids);
            EXPECT_EQ(::write(reply[1], "x", 1), 1);
            int status = 0;
            EXPECT_EQ(::waitpid(job, &status, 0), job);
            EXPECT_EQ(status, 0) << "in the cell: see above";
        });
    }
    void play(Access access, int ask, int reply, const std::function<void(int target)>& body) const {
        const auto given = os::open_file(base_ + "/target", O_RDONLY | O_DIRECTORY);
        ASSERT_TRUE(given);
        auto view = private_view(given->get(), access);
        ASSERT_TRUE(view) << view.error().text();
        Cell cell;
        cell.folders = {view->get()};
        cell.access = access;
        cell.map_ids = [&]() -> Result<void> {
            char byte = 'x';
            if (::write(ask, &byte, 1) != 1 || ::read(reply, &byte, 1) != 1)
                return fail_errno("maps");
            return {};
        };
        const auto entered = enter(cell);
        ASSERT_TRUE(entered) << entered.error().text();
        body(view->get());
    }
    static int opened(int at, const char* path, int flags = O_RDONLY) {
        const UniqueFd fd(::openat(at, path, flags | O_CLOEXEC, 0600));
        return fd ? 0 : errno;
    }

    std::string base_;
};

TEST_F(InTheCell, NothingOfTheHostIsThere) {
    enter_and(Access::write, [&](int target) {
        for (const auto* path : {"/etc/passwd", "/proc/self/status", "/dev/null", "/home", "/tmp"})
            EXPECT_NE(opened(AT_FDCWD, path), 0) << path;
        EXPECT_NE(opened(AT_FDCWD, (base_ + "/secret").c_str()), 0);
        EXPECT_NE(opened(AT_FDCWD, "/new", O_WRONLY | O_CREAT), 0);
        for (const auto* path :
             {"../secret", "folder/../../secret", "../../etc/passwd", "../../../../../../etc/passwd"})
            EXPECT_NE(opened(target, path), 0) << path;
        EXPECT_EQ(opened(target, "file"), 0);
    });
}

TEST_F(InTheCell, ALinkOfTheTreeLeadsNowhere) {
    fs::create_symlink(base_ + "/secret", base_ + "/target/absolute");
    fs::create_symlink("../secret", base_ + "/target/relative");
    enter_and(Access::write, [&](int target) {
        EXPECT_NE(opened(target, "absolute"), 0);
        EXPECT_NE(opened(target, "relative"), 0);
    });
}

TEST_F(InTheCell, TheTreeCanBeFilledAndNothingElseMade) {
    enter_and(Access::write, [](int target) {
        EXPECT_EQ(opened(target, "new", O_WRONLY | O_CREAT), 0);
        EXPECT_EQ(::mkdirat(target, "d", 0700), 0);
        EXPECT_EQ(::symlinkat("/x", target, "l"), 0);
        EXPECT_EQ(::linkat(target, "file", target, "folder/linked", 0), 0);
        EXPECT_EQ(::renameat2(target, "d", target, "folder/d", RENAME_NOREPLACE), 0);
        EXPECT_TRUE(archive::remove_tree(target, "folder"));
        EXPECT_LT(::mknodat(target, "pipe", S_IFIFO | 0600, 0), 0);
        EXPECT_LT(::mknodat(target, "null", S_IFCHR | 0600, 0x103), 0);
    });
    EXPECT_TRUE(fs::exists(base_ + "/target/new"));
    EXPECT_FALSE(fs::exists(base_ + "/target/folder"));
}

TEST_F(InTheCell, WhatIsOnlyReadCannotBeWritten) {
    enter_and(Access::read, [](int target) {
        EXPECT_EQ(opened(target, "file"), 0);
        EXPECT_NE(opened(target, "file", O_WRONLY), 0);
        EXPECT_NE(opened(target, "new", O_WRONLY | O_CREAT), 0);
        EXPECT_LT(::unlinkat(target, "file", 0), 0);
        EXPECT_LT(::fchmod(target, 0777), 0);
    });
    EXPECT_TRUE(fs::exists(base_ + "/target/file"));
}

TEST_F(InTheCell, SystemCallsBeyondTheWorkAreNotThere) {
    enter_and(Access::write, [](int target) {
        const auto refused = [](long result) { return result < 0 && errno == ENOSYS; };
        EXPECT_TRUE(refused(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
        EXPECT_TRUE(refused(::syscall(SYS_execveat, target, "file", nullptr, nullptr, 0)));
        EXPECT_TRUE(refused(::fork()));
        EXPECT_TRUE(refused(::unshare(CLONE_NEWUSER)));
        EXPECT_TRUE(refused(::mount("x", "/", "tmpfs", 0, nullptr)));
        EXPECT_TRUE(refused(::kill(::getppid(), 0)));
        EXPECT_TRUE(refused(::syscall(SYS_ptrace, 0, 0, 0, 0)));
        EXPECT_TRUE(refused(::chroot("/")));
        EXPECT_TRUE(refused(::syscall(SYS_io_uring_setup, 1, nullptr)));
        EXPECT_TRUE(refused(::setuid(0)));
        EXPECT_TRUE(refused(::syscall(SYS_open_by_handle_at, target, nullptr, 0)));
        EXPECT_LT(::setxattr("/", "security.capability", "x", 1, 0), 0);
        std::thread thread([] {}); // but threads are
        thread.join();
    });
}

} // namespace
} // namespace squish::layers
