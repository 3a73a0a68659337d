#include "fake_cgroups.h"
#include "fake_manager.h"

#include "limits/drivers.h"
#include "limits/systemd_bus.h"

#include <gmock/gmock.h>

namespace squish::limits {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Mood = FakeManager::Mood;

const std::string kId = "0123456789abcdef0123456789abcdef";
const std::string kScope = "squish-00ff00ff-" + kId + ".scope";
const std::string kFolder = "manager/squish.slice/" + kScope;

class Systemd : public FakeCgroups {
protected:
    Systemd() {
        make("manager");
        manager_.on_start = [this](const std::string& unit) { make_scope(unit); };
        manager_.on_stop = [this](const std::string& unit) {
            std::filesystem::remove_all(at("manager/squish.slice/" + unit));
        };
    }
    // What systemd and the kernel would make, and what we then make in it: plain folders have no files by themselves.
    void make_scope(const std::string& unit, const Files& files = {}) const {
        auto inner = files;
        for (const auto* file : {"memory.max", "memory.swap.max", "pids.max", "cpu.max"})
            inner.try_emplace(file, "max\n");
        const auto folder = "manager/squish.slice/" + unit;
        make(folder, {{"cgroup.procs", "4711\n"}});
        make(folder + "/anchor");
        make(folder + "/payload", inner);
    }
    std::vector<BusAddress> addresses() const {
        return {{"unix:path=" + at("no-bus"), true}, {"unix:path=" + at("private"), false}};
    }
    Result<std::unique_ptr<Driver>> open() {
        return run(open_systemd(loop_.get_executor(), {{folder_, "/"}, "/elsewhere", Filesystem::any}, "00ff00ff",
                                addresses()));
    }

    FakeManager manager_{at("private")};
};

TEST_F(Systemd, TakesTheAddressThatAnswers) {
    make("manager", {{"cgroup.controllers", "cpu memory pids hugetlb\n"}});
    const auto driver = MUST(open());
    EXPECT_STREQ(driver->name(), "systemd");
    EXPECT_TRUE(driver->needs_anchor());
    EXPECT_EQ(driver->controllers(), (Controllers{Controller::cpu, Controller::memory, Controller::pids}))
        << "hugetlb is never passed on";
    EXPECT_EQ(driver->path_of(kId), at(kFolder));
}

TEST_F(Systemd, AManagerWithoutControllersIsNoDriver) {
    make("manager", {{"cgroup.controllers", "\n"}});
    const auto driver = open();
    ASSERT_FALSE(driver);
    EXPECT_EQ(driver.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(driver.error().remedy, HasSubstr("unified_cgroup_hierarchy"));
}

TEST_F(Systemd, AContainerIsAScopeWithTheLimitsAndALeafWithTheSame) {
    const auto driver = MUST(open());
    ResourceSpec limits;
    limits.memory = 8 << 20;
    limits.pids = 5;
    const auto cgroup = MUST(run(driver->create(kId, limits, 4711)));
    EXPECT_EQ(cgroup.path(), at(kFolder));
    EXPECT_THAT(manager_.calls(),
                ElementsAre("StartTransientUnit " + kScope + " Description=squish container " + kId +
                            " Slice=squish.slice PIDs=4711 CollectMode=inactive-or-failed TimeoutStopUSec=10000000 "
                            "Delegate=yes MemoryMax=8388608 MemorySwapMax=8388608 TasksMax=6"));
    EXPECT_EQ(value(kFolder + "/anchor/cgroup.procs"), "4711");
    EXPECT_EQ(value(kFolder + "/payload/memory.max"), "8388608");
    EXPECT_EQ(value(kFolder + "/payload/pids.max"), "5");
}

TEST_F(Systemd, WithoutPidsTheScopeHasNotTheManagersDefaultEither) {
    const auto driver = MUST(open());
    EXPECT_OK(run(driver->create(kId, {}, 4711)));
    EXPECT_THAT(manager_.calls().front(), HasSubstr("Delegate=yes TasksMax=infinity"));
}

TEST_F(Systemd, TheEndOfAJobMayBeToldBeforeTheJob) {
    manager_.signal_before_answer();
    const auto driver = MUST(open());
    EXPECT_OK(run(driver->create(kId, {}, 4711)));
}

TEST_F(Systemd, AScopeThatDoesNotStartLeavesNothing) {
    const auto driver = MUST(open());
    manager_.job_result("failed");
    const auto created = run(driver->create(kId, {}, 4711));
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().message, "systemd: the job for '" + kScope + "' ended as 'failed'");
    EXPECT_FALSE(exists(kFolder));
}

TEST_F(Systemd, ALimitThatTheLeafDoesNotTakeLeavesNothing) {
    const auto driver = MUST(open());
    ResourceSpec limits;
    limits.cpu_weight = 5; // there is no such file in our leaf
    const auto created = run(driver->create(kId, limits, 4711));
    ASSERT_FALSE(created);
    EXPECT_THAT(created.error().message, HasSubstr("[resources] cpu_weight"));
    EXPECT_FALSE(exists(kFolder));
    EXPECT_THAT(manager_.calls().at(1), HasSubstr("StopUnit " + kScope));
}

TEST_F(Systemd, AScopeOfAnEarlierRunIsClearedAway) {
    const auto driver = MUST(open());
    make_scope(kScope);
    manager_.refuse("StartTransientUnit", "org.freedesktop.systemd1.UnitExists", 1);
    EXPECT_OK(run(driver->create(kId, {}, 4711)));
    const auto calls = manager_.calls();
    ASSERT_EQ(calls.size(), 4U);
    EXPECT_THAT(calls[1], "StopUnit " + kScope);
    EXPECT_THAT(calls[2], "ResetFailedUnit " + kScope);
    EXPECT_THAT(calls[3], HasSubstr("StartTransientUnit"));
}

TEST_F(Systemd, AnUpdateChangesScopeAndLeaf) {
    const auto driver = MUST(open());
    ResourceSpec before, wanted;
    before.pids = 5;
    (void) MUST(run(driver->create(kId, before, 4711)));
    wanted.memory = 4 << 20;
    EXPECT_OK(run(driver->update(kId, before, wanted)));
    EXPECT_EQ(manager_.calls().back(),
              "SetUnitProperties " + kScope + " MemoryMax=4194304 MemorySwapMax=4194304 TasksMax=infinity");
    EXPECT_EQ(value(kFolder + "/payload/memory.max"), "4194304");
    EXPECT_EQ(value(kFolder + "/payload/pids.max"), "max");
}

TEST_F(Systemd, AnUpdateThatTheLeafDoesNotTakeIsTakenBack) {
    const auto driver = MUST(open());
    ResourceSpec before, wanted;
    before.pids = 5;
    (void) MUST(run(driver->create(kId, before, 4711)));
    wanted.pids = 7;
    wanted.cpu_weight = 9;
    const auto updated = run(driver->update(kId, before, wanted));
    ASSERT_FALSE(updated);
    EXPECT_THAT(updated.error().message, HasSubstr("cpu_weight"));
    EXPECT_EQ(manager_.calls().back(), "SetUnitProperties " + kScope + " CPUWeight=infinity TasksMax=6");
    EXPECT_EQ(value(kFolder + "/payload/pids.max"), "5");
}

TEST_F(Systemd, AnUpdateThatSystemdDoesNotTakeLeavesTheLeafAlone) {
    const auto driver = MUST(open());
    ResourceSpec before, wanted;
    before.pids = 5;
    (void) MUST(run(driver->create(kId, before, 4711)));
    wanted.pids = 7;
    manager_.refuse("SetUnitProperties", "org.freedesktop.DBus.Error.PropertyReadOnly", 1);
    const auto updated = run(driver->update(kId, before, wanted));
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().kind, ErrorKind::unsupported);
    EXPECT_EQ(value(kFolder + "/payload/pids.max"), "5");
}

TEST_F(Systemd, WhatHasNoCgroupCannotBeUpdated) {
    const auto driver = MUST(open());
    EXPECT_EQ(run(driver->update(kId, {}, {})).error().kind, ErrorKind::not_found);
}

TEST_F(Systemd, RemovingWhatIsNotThereIsNoError) {
    const auto driver = MUST(open());
    manager_.refuse("StopUnit", "org.freedesktop.systemd1.NoSuchUnit");
    EXPECT_OK(run(driver->remove(kId)));
    EXPECT_THAT(manager_.calls(), ElementsAre("StopUnit " + kScope));
}

TEST_F(Systemd, KillsBeforeItStops) {
    const auto driver = MUST(open());
    (void) MUST(run(driver->create(kId, {}, 4711)));
    std::string killed;
    manager_.on_stop = [&](const std::string& unit) {
        killed = value("manager/squish.slice/" + unit + "/cgroup.kill");
        std::filesystem::remove_all(at("manager/squish.slice/" + unit));
    };
    EXPECT_OK(run(driver->remove(kId)));
    EXPECT_EQ(killed, "1");
}

TEST_F(Systemd, RetainStopsContainersOfThisInstanceOnly) {
    const auto driver = MUST(open());
    const std::string other(32, 'a');
    manager_.have_units({kScope, "squish-00ff00ff-" + other + ".scope", "squish-00ff00ff-keeper-7.scope",
                         "squish-00ff00ff-../../x.scope"});
    EXPECT_OK(run(driver->retain({kId})));
    EXPECT_THAT(manager_.calls(), ElementsAre("StopUnit squish-00ff00ff-" + other + ".scope",
                                              "ResetFailedUnit squish-00ff00ff-" + other + ".scope"));
}

TEST_F(Systemd, TheKeeperGetsAScopeThatIsNotDelegated) {
    const auto driver = MUST(open());
    const auto pid = ::getpid();
    EXPECT_OK(run(driver->adopt({pid, 2147483647})));
    EXPECT_THAT(manager_.calls(),
                ElementsAre("StartTransientUnit squish-00ff00ff-keeper-" + std::to_string(pid) +
                            ".scope Description=squish: keeper Slice=squish.slice PIDs=" + std::to_string(pid) +
                            ",2147483647 CollectMode=inactive-or-failed TimeoutStopUSec=10000000"));
    EXPECT_OK(run(driver->adopt({})));
    EXPECT_EQ(manager_.calls().size(), 1U);
}

TEST_F(Systemd, NamesFromOutsideAreNotSent) {
    const auto driver = MUST(open());
    for (const std::string wrong : {"", "*", "../x", "keeper"})
        EXPECT_EQ(run(driver->remove(wrong)).error().kind, ErrorKind::invalid);
    EXPECT_THAT(manager_.calls(), IsEmpty());
}

TEST_F(Systemd, AConnectionThatIsLostIsOpenedAnewByTheNextCall) {
    const auto driver = MUST(open());
    manager_.be("StopUnit", Mood::hangs_up, 1);
    const auto lost = run(driver->remove(kId));
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().kind, ErrorKind::unavailable);
    EXPECT_EQ(lost.error().remedy, "try again");
    EXPECT_OK(run(driver->remove(kId)));
    EXPECT_EQ(manager_.connections(), 2);
}

TEST_F(Systemd, AConnectionThatIsLostDuringACreateLeavesNothing) {
    const auto driver = MUST(open());
    manager_.be("StartTransientUnit", Mood::hangs_up, 1);
    const auto created = run(driver->create(kId, {}, 4711));
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(manager_.calls().front(), "StopUnit " + kScope);
}

TEST_F(Systemd, ABusThatSystemdHasLeftIsLeftToo) {
    const auto driver = MUST(open());
    manager_.refuse("StopUnit", "org.freedesktop.DBus.Error.ServiceUnknown", 1);
    EXPECT_EQ(run(driver->remove(kId)).error().kind, ErrorKind::unavailable);
    EXPECT_OK(run(driver->remove(kId)));
    EXPECT_EQ(manager_.connections(), 2);
}

TEST_F(Systemd, NoAnswerIsAnErrorInTime) {
    UserManager manager(loop_.get_executor(), addresses(), 50ms);
    EXPECT_EQ(MUST(run(manager.control_group())), "/manager");
    manager_.be("StopUnit", Mood::is_silent);
    const auto stopped = run(manager.stop("x.scope"));
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(stopped.error().message, HasSubstr("StopUnit: no answer within"));
}

TEST_F(Systemd, WhereNobodyAnswersAllThatWasTriedIsSaid) {
    UserManager manager(loop_.get_executor(), {{"unix:path=" + at("a"), true}, {"unix:path=" + at("b"), false}});
    const auto none = run(manager.control_group());
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message, HasSubstr(at("a") + "': No such file or directory; "));
    EXPECT_THAT(none.error().message, HasSubstr(at("b") + "': No such file or directory"));
    EXPECT_THAT(none.error().remedy, HasSubstr("enable-linger"));
}

// Both come while there is no connection, and share the one that is opened.
TEST_F(Systemd, ConcurrentCallsShareOneConnection) {
    UserManager manager(loop_.get_executor(), addresses());
    int done = 0;
    for (int i = 0; i < 3; ++i)
        asio::co_spawn(
            loop_, [&]() -> asio::awaitable<void> { done += (co_await manager.control_group()).has_value() ? 1 : 0; },
            [](const std::exception_ptr& broken) { EXPECT_FALSE(broken); });
    while (done < 3 && loop_.run_one_for(60s) > 0) {
    }
    EXPECT_EQ(done, 3);
    EXPECT_EQ(manager_.connections(), 1);
}

} // namespace
} // namespace squish::limits
