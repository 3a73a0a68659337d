#include "fake_cgroups.h"

#include "limits/drivers.h"

#include <gmock/gmock.h>

namespace squish::limits {
namespace {

using ::testing::HasSubstr;

class FakeDriver final : public Driver {
public:
    FakeDriver(const char* name, Controllers controllers) : name_(name), controllers_(std::move(controllers)) {}
    const char* name() const override { return name_; }
    const Controllers& controllers() const override { return controllers_; }
    bool needs_anchor() const override { return false; }
    Task<void> adopt(std::vector<pid_t>) override { co_return Result<void>(); }
    Task<Cgroup> create(std::string, ResourceSpec, pid_t) override { co_return Cgroup(); }
    Task<void> update(std::string, ResourceSpec, ResourceSpec) override { co_return Result<void>(); }
    Task<void> remove(std::string) override { co_return Result<void>(); }
    Task<void> retain(std::vector<std::string>) override { co_return Result<void>(); }
    Task<void> close() override { co_return Result<void>(); }
    std::string path_of(const std::string& id) const override { return id; }

private:
    const char* name_;
    Controllers controllers_;
};

TEST(CheckEnforceable, NamesKeysControllerAndRemedy) {
    const FakeDriver driver("systemd", {Controller::cpu, Controller::memory, Controller::pids});
    ResourceSpec wanted;
    wanted.memory = 1 << 20;
    EXPECT_TRUE(check_enforceable(driver, wanted));
    wanted.cpuset = "0";
    const auto refused = check_enforceable(driver, wanted);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(refused.error().message,
              "[resources] cpuset: the controller 'cpuset' is not delegated to the user's systemd");
    EXPECT_THAT(refused.error().remedy, HasSubstr("systemctl edit user@.service"));
    EXPECT_THAT(refused.error().remedy, HasSubstr("Delegate=cpu cpuset io memory pids"));
}

TEST(CheckEnforceable, HugePagesAreNoMatterOfDelegation) {
    const FakeDriver driver("systemd", {Controller::memory});
    ResourceSpec wanted;
    wanted.hugetlb = {{2U << 20, 0}};
    EXPECT_THAT(check_enforceable(driver, wanted).error().remedy, HasSubstr("driver = \"direct\""));
}

TEST(CheckEnforceable, WhatCannotBeIsInvalidWhateverTheDriver) {
    const FakeDriver driver("direct", {Controller::cpu});
    ResourceSpec wanted;
    wanted.cpu_weight = 0;
    EXPECT_EQ(check_enforceable(driver, wanted).error().kind, ErrorKind::invalid);
}

TEST(InnerControllers, AreThoseOfFiguresAndThoseThatAreNeeded) {
    ResourceSpec wanted;
    wanted.cpuset = "0";
    EXPECT_EQ(inner_controllers(wanted, {Controller::memory, Controller::cpuset, Controller::hugetlb}),
              (Controllers{Controller::cpuset, Controller::memory}));
    EXPECT_EQ(inner_controllers(wanted, {}), Controllers{Controller::cpuset}) << "whose absence is then the error";
}

class Opening : public FakeCgroups {};

TEST_F(Opening, NoneIsNoDriver) {
    const auto driver = run(open_driver(loop_.get_executor(), {Choice::none, ""}, "00ff00ff"));
    ASSERT_FALSE(driver);
    EXPECT_EQ(driver.error().kind, ErrorKind::unsupported);
}

TEST_F(Opening, AnInstanceIsEightDigits) {
    EXPECT_EQ(run(open_driver(loop_.get_executor(), {}, "../../..")).error().kind, ErrorKind::invalid);
}

// Whatever this machine has: a driver, or every reason and what to do.
TEST_F(Opening, SaysAllThatWasTriedAndWhatToDo) {
    ::unsetenv("DBUS_SESSION_BUS_ADDRESS");
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
    const auto driver = run(open_driver(loop_.get_executor(), {Choice::automatic, folder_}, "00ff00ff"));
    if (driver) { // a user's systemd answers here
        EXPECT_FALSE((*driver)->controllers().empty());
        return;
    }
    EXPECT_EQ(driver.error().kind, ErrorKind::unsupported);
    EXPECT_FALSE(driver.error().remedy.empty());
    EXPECT_THAT(driver.error().message, HasSubstr("resources cannot be limited here: systemd: "));
    EXPECT_THAT(driver.error().message, HasSubstr("the cgroup of squishd.toml: '" + folder_ + "' is no cgroup"));
}

} // namespace
} // namespace squish::limits
