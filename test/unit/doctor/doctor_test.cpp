#include "doctor/doctor.h"
#include "doctor/id_ranges.h"
#include "doctor/probe.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <unistd.h>

namespace squish::doctor {

namespace {

using ::testing::HasSubstr;

TEST(IdRanges, AreCountedByNameAndNumber) {
    constexpr std::string_view text = "me:100000:65536\nyou:165536:65536\n1000:300000:10\nme:x:5\nme:1:\nbroken\n";
    EXPECT_EQ(count_ids(text, "me", 1000), 65546U);
    EXPECT_EQ(count_ids(text, "you", 1), 65536U);
    EXPECT_EQ(count_ids(text, "", 1000), 10U);
    EXPECT_EQ(count_ids(text, "", 7), 0U);
    EXPECT_EQ(count_ids("", "me", 0), 0U);
}

TEST(Probes, ReportWhatTheAttemptReported) {
    EXPECT_TRUE(try_in_child([]() -> Result<void> { return {}; }));
    const auto failed = try_in_child([]() -> Result<void> { return fail_errno("open the door", EACCES); });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "open the door: Permission denied");
    EXPECT_EQ(failed.error().sys_errno, EACCES);
}

TEST(Probes, SurviveAnAttemptThatDies) {
    const auto died = try_in_child([]() -> Result<void> {
        ::raise(SIGKILL);
        return {};
    });
    ASSERT_FALSE(died);
    EXPECT_THAT(died.error().message, HasSubstr("signal 9"));
}

TEST(Installations, ThatLackAProgramAreNamed) {
    Paths paths;
    paths.bin = paths.libexec = paths.share = "/nonexistent";
    const auto check = check_installation(paths);
    EXPECT_EQ(check.state, State::fail);
    EXPECT_THAT(check.found, HasSubstr("'/nonexistent/squishd'"));
    EXPECT_THAT(check.remedy, HasSubstr("setup.sh"));
}

TEST(StateFolders, MustHaveRoomForSocketPaths) {
    Paths paths;
    paths.state = "/tmp/" + std::string(100, 'x');
    paths.socket = paths.state + "/squishd.sock";
    const auto check = check_runtime_folder(paths);
    EXPECT_EQ(check.state, State::fail);
    EXPECT_THAT(check.found, HasSubstr("longer than 107 bytes"));
}

TEST(StateFolders, NeedAFolderToBeIn) {
    Paths paths;
    paths.state = "/nonexistent/squish";
    paths.socket = paths.state + "/squishd.sock";
    EXPECT_EQ(check_runtime_folder(paths).state, State::fail);
}

TEST(Checks, SayWhatToDoWhereverSomethingIsMissing) {
    Paths paths;
    paths.state = paths.bin = paths.libexec = paths.share = "/nonexistent/x";
    for (const auto& check : examine(paths)) {
        EXPECT_FALSE(check.name.empty());
        EXPECT_FALSE(check.found.empty()) << check.name;
        EXPECT_EQ(check.state == State::ok, check.remedy.empty()) << check.name;
    }
}

} // namespace

} // namespace squish::doctor
