// Files by descriptor: limits, atomic writes, seals, and resolution that does not leave its root.
#include "os/file.h"

#include "scratch.h"

#include <cerrno>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 // Linux 6.3
#endif

namespace squish::os {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class File : public test::Scratch {};

UniqueFd folder_fd(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

TEST_F(File, OpensCloseOnExecAndNamesThePathInTheError) {
    const auto file = MUST(open_file(put("a", "x"), O_RDONLY));
    EXPECT_TRUE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC);
    const auto missing = open_file(at("no\nsuch"), O_RDONLY);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().sys_errno, ENOENT);
    EXPECT_THAT(missing.error().message, HasSubstr("no\\x0asuch")) << "a newline in a name must not reach a terminal";
}

TEST_F(File, ReadsUpToItsLimitAndRefusesOneByteMore) {
    const auto path = put("a", std::string(5000, 'x'));
    EXPECT_EQ(MUST(read_file(path, 5000)).size(), 5000U);
    const auto more = read_file(path, 4999);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().kind, ErrorKind::invalid);
    EXPECT_THAT(more.error().message, HasSubstr("4999"));
    EXPECT_THAT(more.error().message, HasSubstr(path));
    EXPECT_EQ(MUST(read_file(put("empty", ""), 0)), "");
    EXPECT_FALSE(read_file(put("one", "1"), 0));
}

TEST_F(File, ReadsFilesThatDoNotTellTheirSize) {
    EXPECT_THAT(MUST(read_file("/proc/self/status")), HasSubstr("Pid:"));
    EXPECT_FALSE(read_file("/dev/zero", 100'000)) << "an endless file ends at the limit";
}

TEST_F(File, ReadingAFolderIsAnError) {
    const auto text = read_file(folder_);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().sys_errno, EISDIR);
}

TEST_F(File, AnAtomicWriteLeavesNothingElseBehind) {
    const auto folder = folder_fd(folder_);
    EXPECT_OK(write_atomically(folder.get(), "state", "one"));
    EXPECT_OK(write_atomically(folder.get(), "state", "two"));
    EXPECT_EQ(text_of(at("state")), "two");
    EXPECT_THAT(names_in(folder_), ElementsAre("state"));
    struct stat info{};
    ASSERT_EQ(::stat(at("state").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(File, AFailedAtomicWriteKeepsTheOldAndRemovesTheNew) {
    const auto folder = folder_fd(folder_);
    std::filesystem::create_directory(at("taken"));
    put("taken/inside", "x");
    EXPECT_FALSE(write_atomically(folder.get(), "taken", "text")) << "a folder cannot be replaced by a file";
    EXPECT_THAT(names_in(folder_), ElementsAre("taken"));
    EXPECT_EQ(text_of(at("taken/inside")), "x");
}

TEST_F(File, ReadersOfAnAtomicallyWrittenFileSeeOneWholeContent) {
    const auto folder = folder_fd(folder_);
    const std::string a(100'000, 'a'), b(50'000, 'b');
    EXPECT_OK(write_atomically(folder.get(), "state", a));
    std::jthread writer([&](const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested(); ++i)
            (void) write_atomically(folder.get(), "state", i % 2 ? a : b);
    });
    for (int i = 0; i < 300; ++i) {
        const auto seen = MUST(read_file(at("state")));
        ASSERT_TRUE(seen == a || seen == b) << seen.size() << " bytes";
    }
}

TEST_F(File, WritesExistingFilesOnly) {
    EXPECT_FALSE(write_existing(at("new"), "x"));
    EXPECT_FALSE(std::filesystem::exists(at("new")));
    EXPECT_OK(write_existing(put("old", "1"), "2"));
    EXPECT_EQ(text_of(at("old")), "2");
}

TEST_F(File, MakesAllFoldersWithTheirModeAndAcceptsThoseThatExist) {
    EXPECT_OK(make_dirs(at("a/b/c"), 0750));
    struct stat info{};
    ASSERT_EQ(::stat(at("a/b").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0750U);
    EXPECT_OK(make_dirs(at("a/b/c")));
    EXPECT_OK(make_dirs(at("a//b/c/")));
    EXPECT_OK(make_dirs("/tmp"));
    EXPECT_OK(make_dirs("/"));
}

TEST_F(File, DoesNotTakeAFileForAFolder) {
    put("file", "x");
    for (const auto* path : {"file", "file/below"}) {
        const auto made = make_dirs(at(path));
        ASSERT_FALSE(made) << path;
        EXPECT_THAT(made.error().message, HasSubstr("file"));
    }
    EXPECT_FALSE(make_dirs(""));
    EXPECT_FALSE(make_dirs("/proc/no-such-folder/x"));
}

TEST_F(File, RemovesATreeWithoutFollowingItsLinks) {
    std::filesystem::create_directories(at("keep"));
    put("keep/precious", "x");
    std::filesystem::create_directories(at("tree/deep"));
    std::filesystem::create_directory_symlink(at("keep"), at("tree/deep/link"));
    std::filesystem::create_symlink("/no/such/place", at("tree/dangling"));
    EXPECT_OK(remove_tree(at("tree")));
    EXPECT_FALSE(std::filesystem::exists(at("tree")));
    EXPECT_EQ(text_of(at("keep/precious")), "x");
    EXPECT_OK(remove_tree(at("tree"))) << "what is not there is fine";
    std::filesystem::create_directory_symlink(at("keep"), at("link"));
    EXPECT_OK(remove_tree(at("link")));
    EXPECT_EQ(text_of(at("keep/precious")), "x");
}

TEST_F(File, ResolutionInARootLeadsNowhereElse) {
    std::filesystem::create_directories(at("root/etc"));
    put("root/etc/passwd", "inside");
    put("secret", "outside");
    std::filesystem::create_symlink("/etc/passwd", at("root/absolute"));
    std::filesystem::create_symlink("../../../../etc/passwd", at("root/upwards"));
    std::filesystem::create_symlink("../secret", at("root/neighbour"));
    std::filesystem::create_symlink("/proc/self/root/etc/passwd", at("root/magic"));
    std::filesystem::create_symlink("loop", at("root/loop"));
    const auto root = folder_fd(at("root"));
    constexpr auto kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    for (const auto* path :
         {"etc/passwd", "/etc/passwd", "absolute", "upwards", "../../etc/passwd", "/../etc/./passwd"}) {
        const auto file = MUST(open_beneath(root.get(), path, O_RDONLY, kInRoot));
        EXPECT_EQ(MUST(read_all(file.get())), "inside") << path;
    }
    EXPECT_EQ(open_beneath(root.get(), "neighbour", O_RDONLY, kInRoot).error().sys_errno, ENOENT);
    EXPECT_EQ(open_beneath(root.get(), "magic", O_RDONLY, kInRoot).error().sys_errno, ENOENT);
    EXPECT_EQ(open_beneath(root.get(), "loop", O_RDONLY, kInRoot).error().sys_errno, ELOOP);
    for (const auto* path : {"/etc/passwd", "..", "../secret", "absolute", "upwards", "etc/../../secret"})
        EXPECT_FALSE(open_beneath(root.get(), path, O_RDONLY, RESOLVE_BENEATH)) << path;
    // A way through /proc that really is one, from a folder that holds it.
    const auto proc = folder_fd("/proc/self");
    EXPECT_EQ(open_beneath(proc.get(), "cwd/.", O_RDONLY, RESOLVE_NO_MAGICLINKS).error().sys_errno, ELOOP);
}

TEST_F(File, ASealedMemfdCannotBeChangedByAnybody) {
    const auto fd = MUST(sealed_memfd("test", "content", false));
    EXPECT_EQ(MUST(read_all(fd.get())), "content") << "read from its beginning";
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(fd.get(), 0), -1);
    EXPECT_EQ(::ftruncate(fd.get(), 100), -1);
    EXPECT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4), -1);
    EXPECT_EQ(::mmap(nullptr, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1) << "the set of seals is sealed";
    const UniqueFd again(::open(fd_path(fd.get()).c_str(), O_RDWR | O_CLOEXEC));
    if (again) {
        EXPECT_EQ(::pwrite(again.get(), "x", 1, 0), -1) << "a new opening of it";
    }
    EXPECT_EQ(MUST(read_file(fd_path(fd.get()))), "content");
}

TEST_F(File, AnEmptySealedMemfdIsFine) {
    const auto fd = MUST(sealed_memfd("test", "", false));
    EXPECT_EQ(MUST(read_all(fd.get())), "");
    EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), -1);
}

TEST_F(File, TheModeOfASealedProgramCannotBeTakenAway) {
    // All containers share one memfd with init: whoever got hold of it and could chmod it would stop all later starts.
    const auto probe = UniqueFd(::memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (::fcntl(probe.get(), F_ADD_SEALS, F_SEAL_EXEC) < 0)
        return; // a kernel before 6.3 has no such seal
    const auto fd = MUST(sealed_memfd("program", "#!/bin/sh\nexit 0\n", true));
    EXPECT_EQ(::fchmod(fd.get(), 0), -1) << "F_SEAL_EXEC is not set";
    struct stat info{};
    ASSERT_EQ(::fstat(fd.get(), &info), 0);
    EXPECT_EQ(info.st_mode & 0111, 0111U);
}

TEST_F(File, WhatIsNoProgramCannotBecomeOne) {
    const auto fd = MUST(sealed_memfd("data", "x", false));
    struct stat info{};
    ASSERT_EQ(::fstat(fd.get(), &info), 0);
    if (info.st_mode & 0111)
        return; // before Linux 6.3 all memfds are executable
    EXPECT_EQ(::fchmod(fd.get(), 0777), -1);
}

} // namespace
} // namespace squish::os
