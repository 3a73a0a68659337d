#include "fake_cgroups.h"

#include "limits/drivers.h"

#include <gmock/gmock.h>

namespace squish::limits {
namespace {

using ::testing::HasSubstr;

const std::string kId = "0123456789abcdef0123456789abcdef";
const std::string kOther = "fedcba9876543210fedcba9876543210";
const std::string kInstance = "00ff00ff";
const std::string kDaemon = "root/squish-00ff00ff-daemon";

class Direct : public FakeCgroups {
protected:
    // Folders do not get the kernel's files when they are made: so the ones to come are there before.
    void make_container(const std::string& id, const Files& files) const {
        make(container(id), files);
        make(container(id) + "/payload", files);
    }
    static std::string container(const std::string& id) { return "root/squish-" + kInstance + "-" + id; }
    Result<std::unique_ptr<Driver>> open(const std::string& root) const {
        return open_direct({{folder_, "/"}, "/root", Filesystem::any}, root, kInstance);
    }
};

TEST_F(Direct, LimitsTheContainerAndItsLeaf) {
    make("root");
    make_container(kId, {{"memory.max", "max\n"}, {"memory.swap.max", "max\n"}, {"pids.max", "max\n"}});
    const auto driver = MUST(open(at("root") + "/"));
    EXPECT_STREQ(driver->name(), "direct");
    EXPECT_FALSE(driver->needs_anchor());
    EXPECT_EQ(driver->controllers().size(), 5U);
    ResourceSpec limits;
    limits.memory = 8 << 20;
    limits.pids = 9;
    const auto cgroup = MUST(run(driver->create(kId, limits, 0)));
    EXPECT_EQ(cgroup.path(), at(container(kId)));
    EXPECT_EQ(driver->path_of(kId), cgroup.path());
    for (const auto& place : {container(kId), container(kId) + "/payload"}) {
        EXPECT_EQ(value(place + "/memory.max"), "8388608");
        EXPECT_EQ(value(place + "/memory.swap.max"), "8388608");
        EXPECT_EQ(value(place + "/pids.max"), "9");
    }

    auto wanted = limits;
    wanted.memory.reset();
    wanted.pids = 11;
    EXPECT_OK(run(driver->update(kId, limits, wanted)));
    EXPECT_EQ(value(container(kId) + "/payload/memory.max"), "max");
    EXPECT_EQ(value(container(kId) + "/pids.max"), "11");
}

TEST_F(Direct, AnUpdateThatFailsInTheLeafLeavesBothAsTheyWere) {
    make("root");
    make_container(kId, {{"memory.max", "4096\n"}, {"memory.swap.max", "4096\n"}, {"pids.max", "3\n"}});
    std::filesystem::remove(at(container(kId) + "/payload/pids.max"));
    const auto driver = MUST(open(at("root")));
    ResourceSpec before, wanted;
    before.memory = 4096;
    before.pids = 3;
    wanted.memory = 8192;
    wanted.pids = 5;
    const auto updated = run(driver->update(kId, before, wanted));
    ASSERT_FALSE(updated);
    EXPECT_THAT(updated.error().message, HasSubstr("[resources] pids"));
    EXPECT_EQ(value(container(kId) + "/memory.max"), "4096");
    EXPECT_EQ(value(container(kId) + "/pids.max"), "3");
    EXPECT_EQ(value(container(kId) + "/payload/memory.max"), "4096");
}

TEST_F(Direct, ProcessorsThatCannotBeHadAreRefused) {
    make("root");
    make_container(kId, {{"cpuset.cpus", "\n"}, {"cpuset.cpus.effective", "0-1\n"}});
    const auto driver = MUST(open(at("root")));
    ResourceSpec limits;
    limits.cpuset = "7";
    const auto updated = run(driver->update(kId, {}, limits));
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(updated.error().text(), HasSubstr("none of the processors '7' can be had (those that can are 0-1)"));
    EXPECT_EQ(value(container(kId) + "/payload/cpuset.cpus"), "");
    EXPECT_EQ(value(container(kId) + "/cpuset.cpus"), "");
}

TEST_F(Direct, WhatIsNotDelegatedIsRefusedBeforeAnythingIsMade) {
    make("root", {{"cgroup.controllers", "memory pids\n"}});
    const auto driver = MUST(open(at("root")));
    ResourceSpec limits;
    limits.cpus = 1;
    limits.cpu_weight = 10;
    const auto created = run(driver->create(kId, limits, 0));
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(created.error().message, "[resources] cpus, cpu_weight: the controller 'cpu' is not delegated to squish");
    EXPECT_THAT(created.error().remedy, HasSubstr("cgroup.subtree_control"));
    EXPECT_FALSE(exists(container(kId)));
}

TEST_F(Direct, NamesFromOutsideNeverBecomePaths) {
    make("root");
    make("precious");
    const auto driver = MUST(open(at("root")));
    for (const std::string wrong : {"", "../precious", "x/../../precious", "keeper"}) {
        EXPECT_EQ(run(driver->remove(wrong)).error().kind, ErrorKind::invalid);
        EXPECT_EQ(run(driver->create(wrong, {}, 0)).error().kind, ErrorKind::invalid);
        EXPECT_EQ(run(driver->update(wrong, {}, {})).error().kind, ErrorKind::invalid);
    }
    EXPECT_TRUE(exists("precious/cgroup.procs"));
}

TEST_F(Direct, RemovesWhatIsThereAndNothingIsNoError) {
    make("root");
    const auto driver = MUST(open(at("root")));
    EXPECT_OK(run(driver->remove(kId)));
}

TEST_F(Direct, RetainTouchesThisInstancesContainersOnly) {
    make("root");
    for (const auto& name : {"squish-00ff00ff-" + kId, "squish-00ff00ff-" + kOther, "squish-00ff00fe-" + kOther,
                             std::string("squish-00ff00ff-keeper"), std::string("others")})
        make("root/" + name);
    const auto driver = MUST(open(at("root")));
    // A folder that is no cgroup stays, for its files are not the kernel's; but it was told to die.
    EXPECT_FALSE(run(driver->retain({kId})));
    EXPECT_EQ(value("root/squish-00ff00ff-" + kOther + "/cgroup.kill"), "1");
    EXPECT_EQ(value("root/squish-00ff00ff-" + kId + "/cgroup.kill"), "");
    EXPECT_EQ(value("root/squish-00ff00fe-" + kOther + "/cgroup.kill"), "");
    EXPECT_EQ(value("root/squish-00ff00ff-keeper/cgroup.kill"), "");
    EXPECT_EQ(value("root/others/cgroup.kill"), "");
}

TEST_F(Direct, TakesTheKeeperIntoACgroupOfItsOwn) {
    make("root");
    make("root/squish-00ff00ff-keeper");
    const auto driver = MUST(open(at("root")));
    EXPECT_OK(run(driver->adopt({4711})));
    EXPECT_EQ(value("root/squish-00ff00ff-keeper/cgroup.procs"), "4711");
}

TEST_F(Direct, AloneInTheRootSquishdGoesOneDown) {
    make("root", {{"cgroup.procs", std::to_string(::getpid()) + "\n"}});
    make(kDaemon);
    EXPECT_OK(open(""));
    EXPECT_EQ(value(kDaemon + "/cgroup.procs"), std::to_string(::getpid()));
}

TEST_F(Direct, IsFoundAgainByASquishdThatWasStartedBelowTheRoot) {
    make("root");
    make(kDaemon, {{"cgroup.procs", std::to_string(::getpid()) + "\n"}});
    const auto driver = MUST(open_direct({{folder_, "/"}, "/" + kDaemon, Filesystem::any}, "", kInstance));
    EXPECT_EQ(driver->path_of(kId), at(container(kId)));
}

TEST_F(Direct, OthersProcessesInTheRootAreNotMoved) {
    make("root", {{"cgroup.procs", "1\n" + std::to_string(::getpid()) + "\n"}});
    const auto driver = open("");
    ASSERT_FALSE(driver);
    EXPECT_EQ(driver.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(driver.error().message, HasSubstr("holds other processes than squishd (1)"));
    EXPECT_THAT(driver.error().remedy, HasSubstr("systemd-run --user --scope -p Delegate=yes"));
    EXPECT_FALSE(exists(kDaemon));
}

TEST_F(Direct, ARootWithoutControllersIsRefused) {
    make("root", {{"cgroup.controllers", "\n"}});
    const auto driver = open("");
    ASSERT_FALSE(driver);
    EXPECT_THAT(driver.error().text(), HasSubstr("has no controllers (boot with the kernel parameter"));
}

TEST_F(Direct, ARootThatIsNotThereIsNamed) {
    EXPECT_THAT(open(at("none")).error().message, HasSubstr("none': No such file or directory"));
}

} // namespace
} // namespace squish::limits
