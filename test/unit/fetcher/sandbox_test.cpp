#include "fetcher/sandbox.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/landlock.h>
#include <netdb.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace squish::fetcher {
namespace {

bool kernel_has_landlock() {
    return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

// What open(2) says; 0 where it opened.
int try_open(const std::filesystem::path& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    ::close(fd);
    return 0;
}

class Sandbox : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() / ("squish-sandbox-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_ / "cache");
        std::filesystem::create_directories(folder_ / "home");
        std::ofstream(folder_ / "home/secret") << "x";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    // Runs the checks in a child that gave everything up; the number of the first that did not hold comes back.
    template <class Checks> int in_sandbox(Checks checks) const {
        const auto pid = ::fork();
        if (pid == 0) {
            if (!harden(1 << 20) || !confine({folder_ / "cache"}))
                ::_exit(100);
            ::_exit(checks());
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
    }
    std::filesystem::path folder_;
};

TEST_F(Sandbox, LeavesWhatAJobNeeds) {
    EXPECT_EQ(in_sandbox([this] {
                  if (try_open(folder_ / "cache/new", O_RDWR | O_CREAT) != 0)
                      return 1;
                  if (::rename((folder_ / "cache/new").c_str(), (folder_ / "cache/other").c_str()) != 0)
                      return 2;
                  if (try_open(folder_ / "cache/other", O_RDWR | O_TRUNC) != 0)
                      return 3;
                  if (::unlink((folder_ / "cache/other").c_str()) != 0)
                      return 4;
                  if (try_open("/etc/passwd", O_RDONLY) != 0)
                      return 5;
                  addrinfo* found = nullptr;
                  if (::getaddrinfo("localhost", "80", nullptr, &found) != 0)
                      return 6;
                  return 0;
              }),
              0);
}

TEST_F(Sandbox, TakesEverythingElse) {
    const int denied = kernel_has_landlock() ? EACCES : 0;
    EXPECT_EQ(in_sandbox([&] {
                  if (try_open(folder_ / "home/secret", O_RDONLY) != denied)
                      return 1;
                  if (try_open(folder_ / "home/new", O_WRONLY | O_CREAT) != denied)
                      return 2;
                  if (try_open(folder_ / "home/secret", O_WRONLY) != denied)
                      return 3;
                  if (try_open("/usr/bin/env", O_RDONLY) != denied)
                      return 4;
                  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
                      return 5;
                  return 0;
              }),
              0);
}

TEST_F(Sandbox, LimitsWhatIsWritten) {
    EXPECT_EQ(in_sandbox([this] {
                  ::signal(SIGXFSZ, SIG_IGN);
                  const int fd = ::open((folder_ / "cache/big").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                  return ::ftruncate(fd, 2 << 20) == -1 && errno == EFBIG ? 0 : 1;
              }),
              0);
}

} // namespace
} // namespace squish::fetcher
