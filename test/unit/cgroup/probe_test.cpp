#include "cgroup/driver.h"

#include <gmock/gmock.h>
#include <unistd.h>

namespace squish::cgroup {
namespace {

TEST(ManagerPath, IsAboveOurOwnCgroupWhereverThatIs) {
    EXPECT_EQ(manager_path("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", 1000),
              "/user.slice/user-1000.slice/user@1000.service");
    EXPECT_EQ(manager_path("/elsewhere/user@1000.service", 1000), "/elsewhere/user@1000.service");
}

TEST(ManagerPath, IsTheUsualOneOutsideOfIt) {
    const std::string usual = "/user.slice/user-1000.slice/user@1000.service";
    EXPECT_EQ(manager_path("/user.slice/user-1000.slice/session-3.scope", 1000), usual);
    EXPECT_EQ(manager_path("", 1000), usual);
    EXPECT_EQ(manager_path("/user@1000.servicex/y", 1000), usual) << "another's name that begins alike";
}

TEST(Probe, ThisMachineCanBeLookedAt) {
    const auto found = probe();
    ASSERT_TRUE(found.has_value()) << found.error().text();
    EXPECT_EQ(found->situation.uid, ::getuid());
    EXPECT_FALSE(found->situation.user.empty());
    EXPECT_EQ(found->situation.delegated.without(found->situation.kernel), ControllerSet{});
}

// Whatever the machine: a limit is either enforced or refused with a reason and a remedy.
TEST(Probe, EveryControllerThatIsNotThereHasAReason) {
    const auto found = probe();
    ASSERT_TRUE(found.has_value());
    for (const auto& report : report_controllers(found->situation)) {
        if (report.available)
            continue;
        const auto error = explain_missing({{"x", report.controller}}, found->situation);
        EXPECT_FALSE(error.remedy.empty()) << to_string(report.controller);
        EXPECT_FALSE(report.remedy.empty()) << to_string(report.controller);
    }
}

TEST(ChooseDriver, NoneIsNone) {
    auto found = probe();
    ASSERT_TRUE(found.has_value());
    const auto none = choose_driver(DriverChoice::none, *found);
    ASSERT_TRUE(none.has_value());
    EXPECT_EQ(none->get(), nullptr);
}

TEST(ChooseDriver, WithoutCgroupV2OneThatIsAskedForByNameIsRefused) {
    Probe found;
    found.mounts.hierarchy = Hierarchy::hybrid;
    EXPECT_EQ(choose_driver(DriverChoice::automatic, found)->get(), nullptr);
    for (const auto choice : {DriverChoice::systemd, DriverChoice::direct})
        EXPECT_EQ(choose_driver(choice, found).error().kind, ErrorKind::unsupported);
}

} // namespace
} // namespace squish::cgroup
