#include "doctor/cgroups.h"

#include <algorithm>
#include <gmock/gmock.h>

namespace squish::doctor {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Debian 12 as it is installed, with a session.
CgroupFacts debian() {
    CgroupFacts facts;
    facts.mount = "/sys/fs/cgroup";
    facts.controllers = "cpuset cpu io memory hugetlb pids rdma misc";
    facts.own = "/user.slice/user-1000.slice/session-1.scope";
    facts.own_controllers = "memory pids";
    facts.systemd = true;
    facts.answering = "/run/user/1000/systemd/private";
    facts.manager_controllers = "cpu memory pids";
    facts.uid = 1000;
    facts.account = "ann";
    return facts;
}

// No systemd; somebody delegated a cgroup by hand and started us in it.
CgroupFacts by_hand() {
    auto facts = debian();
    facts.own = "/squish";
    facts.own_is_ours = true;
    facts.own_controllers = "cpuset cpu io memory hugetlb pids";
    facts.systemd = false;
    facts.answering.clear();
    facts.manager_controllers.reset();
    return facts;
}

Check judged(const CgroupFacts& facts, const std::string& name) {
    const auto checks = judge_cgroups(facts);
    const auto found = std::ranges::find(checks, name, &Check::name);
    EXPECT_NE(found, checks.end()) << name;
    return found == checks.end() ? Check{} : *found;
}

void expect_lack(const CgroupFacts& facts, const std::string& name, const std::string& why, const std::string& remedy) {
    const auto check = judged(facts, name);
    EXPECT_EQ(check.state, State::warn) << name;
    EXPECT_THAT(check.found, HasSubstr(why)) << name;
    EXPECT_THAT(check.remedy, HasSubstr(remedy)) << name;
}

TEST(Cgroups, HaveACheckForTheManagerAndForEachController) {
    std::vector<std::string> names;
    for (const auto& check : judge_cgroups(debian()))
        names.push_back(check.name);
    EXPECT_THAT(names, ::testing::ElementsAre("user manager", "cgroup cpu", "cgroup cpuset", "cgroup io",
                                              "cgroup memory", "cgroup pids", "cgroup hugetlb"));
}

TEST(Cgroups, AreTheUserManagersWhereItHasThem) {
    for (const auto* name : {"user manager", "cgroup cpu", "cgroup memory", "cgroup pids"}) {
        const auto check = judged(debian(), name);
        EXPECT_EQ(check.state, State::ok) << name;
        EXPECT_THAT(check.remedy, IsEmpty()) << name;
    }
    EXPECT_THAT(judged(debian(), "user manager").found, HasSubstr("/run/user/1000/systemd/private"));
    EXPECT_EQ(judged(debian(), "cgroup cpu").found, "delegated to the user manager");
}

TEST(Cgroups, ThatAreNotDelegatedComeWithTheLinesThatDelegateThem) {
    for (const auto* name : {"cgroup cpuset", "cgroup io"}) {
        expect_lack(debian(), name, "not delegated to the user manager", "sudo systemctl edit user@.service");
        expect_lack(debian(), name, "", "Delegate=cpu cpuset io memory pids");
        expect_lack(debian(), name, "", "user@1000.service");
    }
    auto delegated = debian();
    delegated.manager_controllers = "cpuset cpu io memory pids";
    EXPECT_EQ(judged(delegated, "cgroup cpuset").state, State::ok);
    EXPECT_EQ(judged(delegated, "cgroup io").state, State::ok);
}

TEST(Cgroups, HugetlbIsDelegatedByNoSystemd) {
    auto facts = debian();
    facts.manager_controllers = "cpuset cpu io memory hugetlb pids";
    expect_lack(facts, "cgroup hugetlb", "systemd delegates it to nobody", "[limits] driver");
}

TEST(Cgroups, NeedAUserManagerThatAnswers) {
    auto facts = debian();
    facts.answering.clear();
    facts.tried = "/run/user/1000/bus";
    expect_lack(facts, "user manager", "does not answer (/run/user/1000/bus)", "sudo loginctl enable-linger ann");
    for (const auto* name : {"cgroup cpu", "cgroup io", "cgroup hugetlb"})
        expect_lack(facts, name, "no user manager answers, and the cgroup '/user.slice/", "loginctl enable-linger ann");
}

TEST(Cgroups, WithoutSystemdNobodyIsAskedToLinger) {
    auto facts = by_hand();
    facts.own_is_ours = false;
    expect_lack(facts, "user manager", "systemd does not run here", "[limits] cgroup");
    for (const auto& check : judge_cgroups(facts))
        EXPECT_THAT(check.remedy, AllOf(Not(HasSubstr("loginctl")), Not(HasSubstr("systemctl")))) << check.name;
}

TEST(Cgroups, OfOurOwnDoWithoutAUserManager) {
    for (const auto& check : judge_cgroups(by_hand())) {
        EXPECT_EQ(check.state, State::ok) << check.name;
        EXPECT_THAT(check.found, HasSubstr("'/squish'")) << check.name;
    }
    auto without = by_hand();
    without.own_controllers = "memory pids";
    EXPECT_EQ(judged(without, "cgroup memory").state, State::ok);
    expect_lack(without, "cgroup cpu", "not delegated to the cgroup '/squish'", "write +cpu to cgroup.subtree_control");
    expect_lack(without, "cgroup cpuset", "not delegated", "write +cpuset to");
}

TEST(Cgroups, OfOurOwnAreNotTakenBesideAUserManagerUnlessItIsConfigured) {
    auto facts = by_hand();
    facts.systemd = true;
    facts.answering = "/run/user/1000/bus";
    facts.manager_controllers = "cpu memory pids";
    EXPECT_EQ(judged(facts, "cgroup memory").found, "delegated to the user manager");
    for (const auto* name : {"cgroup io", "cgroup hugetlb"})
        expect_lack(facts, name, "in the cgroup '/squish' only", "driver = \"direct\"");
}

TEST(Cgroups, OfVersionOneAreOfNoUse) {
    auto facts = debian();
    facts.mount.clear();
    facts.controllers.clear();
    facts.own_controllers.clear();
    facts.manager_controllers.reset();
    for (const auto* name : {"cgroup cpu", "cgroup cpuset", "cgroup io", "cgroup memory", "cgroup pids"})
        expect_lack(facts, name, "no cgroup v2", "systemd.unified_cgroup_hierarchy=1");
}

TEST(Cgroups, OfVersionTwoMayBeEmptyBesideVersionOne) {
    auto facts = debian();
    facts.mount = "/sys/fs/cgroup/unified";
    facts.controllers = "hugetlb";
    facts.manager_controllers = "";
    expect_lack(facts, "cgroup memory", "in cgroup v1, not in v2 at '/sys/fs/cgroup/unified'",
                "unified_cgroup_hierarchy");
    expect_lack(facts, "cgroup hugetlb", "systemd delegates it to nobody", "squishd.toml");
}

TEST(Cgroups, MayBeUnknownToTheKernel) {
    auto facts = debian();
    facts.controllers = "cpuset cpu io pids";
    facts.manager_controllers = "cpu pids";
    expect_lack(facts, "cgroup memory", "'/sys/fs/cgroup' does not have it", "cgroup_disable=memory");
}

TEST(Cgroups, OfAUserManagerMayBeOutOfSight) {
    auto facts = debian();
    facts.manager_controllers.reset();
    expect_lack(facts, "cgroup cpu", "user@1000.service is not below '/sys/fs/cgroup'", "not inside of a container");
}

TEST(Cgroups, AreWarningsAtMostAndAlwaysWithARemedy) {
    for (const auto& facts : {debian(), by_hand(), CgroupFacts{}, look_at_cgroups()})
        for (const auto& check : judge_cgroups(facts)) {
            EXPECT_NE(check.state, State::fail) << check.name;
            EXPECT_EQ(check.state == State::ok, check.remedy.empty()) << check.name;
            EXPECT_THAT(check.found, Not(IsEmpty())) << check.name;
        }
}

} // namespace

} // namespace squish::doctor
