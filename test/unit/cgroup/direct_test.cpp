#include "fake_tree.h"

#include "cgroup/direct.h"

#include <gmock/gmock.h>

namespace squish::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kId = "0123456789abcdef0123456789abcdef";
const std::string kOuter = "squish-" + kId;

Limits some_limits() {
    Limits limits;
    limits.memory_max = 64 << 20;
    limits.pids = 5;
    return limits;
}

std::unique_ptr<Direct> take(const FakeTree& tree) {
    auto driver = Direct::take(tree.open(), 4242);
    EXPECT_TRUE(driver.has_value()) << driver.error().text();
    return std::move(*driver);
}

Result<ContainerCgroup> create(Direct& driver, const std::string& id, const Limits& limits) {
    Result<ContainerCgroup> out = fail(ErrorKind::system, "the callback was not called");
    driver.create(id, limits, [&](Result<ContainerCgroup> made) { out = std::move(made); });
    return out;
}

Result<void> update(Direct& driver, const Limits& to, const Limits& from) {
    Result<void> out = fail(ErrorKind::system, "the callback was not called");
    driver.update(kId, to, from, [&](Result<void> done) { out = std::move(done); });
    return out;
}

TEST(Names, OfCgroupsCannotBeThoseOfControlFilesOrLeadOutside) {
    for (const auto* good : {"squish-0a", "payload", "squish-0a.scope", "cpu", "A.b"})
        EXPECT_TRUE(is_valid_cgroup_name(good)) << good;
    for (const auto* bad : {"", ".", "..", "a/b", "../x", "memory.max", "cgroup.procs", "cpu.max", "hugetlb.2MB.max",
                            "-x", ".hidden", "a b", "a\nb", "rdma.max"})
        EXPECT_FALSE(is_valid_cgroup_name(bad)) << bad;
    EXPECT_FALSE(is_valid_cgroup_name(std::string("a\0b", 3)));
}

TEST(Names, OfContainersAreKnownAgain) {
    EXPECT_EQ(cgroup_name(kId).value(), kOuter);
    EXPECT_EQ(id_of(kOuter), kId);
    EXPECT_EQ(id_of(kOuter + ".scope"), kId);
    for (const auto* other : {"squish-keeper", "squish-keeper.scope", "squish-", "squish-0a", "app-0123456789abcdef",
                              "squish-0123456789ABCDEF"})
        EXPECT_EQ(id_of(other), std::nullopt) << other;
    for (const auto* wrong : {"", "..", "keeper", "0123/4567", "01234567 "})
        EXPECT_FALSE(cgroup_name(wrong).has_value()) << wrong;
}

TEST(Node, AFolderThatIsNoCgroupIsRefused) {
    FakeTree tree;
    tree.is_cgroup2 = false;
    const auto node = Node::open(tree.kernel(), tree.root(), "/");
    ASSERT_FALSE(node.has_value());
    EXPECT_EQ(node.error().kind, ErrorKind::unsupported);
    EXPECT_FALSE(real_kernel().is_cgroup2(::open(tree.root().c_str(), O_RDONLY | O_CLOEXEC)));
}

TEST(Node, LinksAndPathsThatLeadOutAreNotFollowed) {
    FakeTree tree;
    std::filesystem::create_directory_symlink("/tmp", tree.root() + "/link");
    EXPECT_FALSE(Node::open(tree.kernel(), tree.root(), "/link").has_value());
    EXPECT_FALSE(Node::open(tree.kernel(), tree.root(), "/../").has_value());
    EXPECT_FALSE(Node::open(tree.kernel(), tree.root(), "relative").has_value());
    EXPECT_FALSE(tree.open().child("link").has_value());
    std::filesystem::create_symlink("/dev/null", tree.root() + "/pids.events");
    EXPECT_FALSE(tree.open().write({"pids.events", "x"}).has_value());
}

TEST(Node, ControllersAreEnabledOneByOne) {
    FakeTree tree;
    tree.put("cgroup.subtree_control", "memory\n");
    ASSERT_TRUE(tree.open().enable({Controller::memory, Controller::pids}).has_value());
    EXPECT_EQ(tree.read("cgroup.subtree_control"), "+pids") << "the one that was missing, by itself";
    tree.put("cgroup.subtree_control", "memory pids\n");
    ASSERT_TRUE(tree.open().enable({Controller::memory, Controller::pids}).has_value());
    EXPECT_EQ(tree.read("cgroup.subtree_control"), "memory pids\n");
}

TEST(Direct, MovesItselfOutOfTheRoot) {
    FakeTree tree;
    tree.put("cgroup.procs", "4242\n");
    const auto driver = take(tree);
    EXPECT_EQ(tree.read("squish-daemon/cgroup.procs"), "4242");
    EXPECT_TRUE(tree.exists("squish-keeper"));
    EXPECT_TRUE(driver->controllers().contains(Controller::hugetlb));
}

TEST(Direct, DoesNotTouchACgroupThatOthersAreIn) {
    FakeTree tree;
    tree.put("cgroup.procs", "4242\n99\n");
    const auto driver = Direct::take(tree.open(), 4242);
    ASSERT_FALSE(driver.has_value());
    EXPECT_THAT(driver.error().message, HasSubstr("such as 99"));
    EXPECT_THAT(driver.error().remedy, HasSubstr("systemd-run --user --scope -p Delegate=yes"));
    EXPECT_FALSE(tree.exists("squish-daemon"));
}

TEST(Direct, ASecondSquishdTakesOver) {
    FakeTree tree;
    take(tree);
    EXPECT_TRUE(Direct::take(tree.open(), 4243).has_value());
}

TEST(Direct, GivesAContainerItsLimitsTwice) {
    FakeTree tree;
    const auto driver = take(tree);
    const auto made = create(*driver, kId, some_limits());
    ASSERT_TRUE(made.has_value()) << made.error().text();
    for (const auto& folder : {kOuter, kOuter + "/payload"}) {
        EXPECT_EQ(tree.read(folder + "/memory.max"), "67108864");
        EXPECT_EQ(tree.read(folder + "/pids.max"), "5");
    }
    EXPECT_EQ(made->path(), "/" + kOuter);
    struct stat by_fd{}, by_path{};
    ASSERT_EQ(::fstat(made->fd(), &by_fd), 0);
    ASSERT_EQ(::stat((tree.root() + "/" + kOuter + "/payload").c_str(), &by_path), 0);
    EXPECT_EQ(by_fd.st_ino, by_path.st_ino) << "the container is cloned into the innermost one";
}

TEST(Direct, AStartThatFailsLeavesNoCgroup) {
    FakeTree tree;
    const auto driver = take(tree);
    auto limits = some_limits();
    limits.cpuset = "7";
    const auto made = create(*driver, kId, limits);
    ASSERT_FALSE(made.has_value());
    EXPECT_THAT(made.error().message, HasSubstr("names processor 7"));
    EXPECT_FALSE(tree.exists(kOuter));
    limits = {};
    limits.hugetlb["1GB"] = 0; // no such file
    EXPECT_FALSE(create(*driver, kId, limits).has_value());
    EXPECT_FALSE(tree.exists(kOuter));
}

TEST(Direct, TheSameContainerTwiceIsAConflict) {
    FakeTree tree;
    const auto driver = take(tree);
    ASSERT_TRUE(create(*driver, kId, some_limits()).has_value());
    const auto again = create(*driver, kId, {});
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().kind, ErrorKind::conflict);
    EXPECT_EQ(tree.read(kOuter + "/pids.max"), "5") << "the first one's";
}

TEST(Direct, AHostileIdIsRefused) {
    FakeTree tree;
    const auto driver = take(tree);
    for (const auto* id : {"../../x", "keeper", "", "0123456789abcdef/.."}) {
        EXPECT_FALSE(create(*driver, id, {}).has_value()) << id;
        EXPECT_FALSE(driver->find(id).has_value()) << id;
    }
}

TEST(Direct, AnUpdateChangesBothAndIsUndoneWhereItFails) {
    FakeTree tree;
    const auto driver = take(tree);
    ASSERT_TRUE(create(*driver, kId, some_limits()).has_value());
    auto to = some_limits();
    to.pids = 9;
    ASSERT_TRUE(update(*driver, to, some_limits()).has_value());
    EXPECT_EQ(tree.read(kOuter + "/pids.max"), "9");
    EXPECT_EQ(tree.read(kOuter + "/payload/pids.max"), "9");
    EXPECT_EQ(tree.read(kOuter + "/memory.max"), "67108864") << "not written again";

    auto more = to;
    more.pids = 20;
    more.cpuset = "5";
    EXPECT_FALSE(update(*driver, more, to).has_value());
    EXPECT_EQ(tree.read(kOuter + "/pids.max"), "9");
    EXPECT_EQ(tree.read(kOuter + "/payload/pids.max"), "9");
}

TEST(Direct, RemovesAContainerAndWhatIsNotThereIsFine) {
    FakeTree tree;
    const auto driver = take(tree);
    ASSERT_TRUE(create(*driver, kId, some_limits()).has_value());
    int calls = 0;
    for (int i = 0; i < 2; ++i)
        driver->remove(kId, [&](const Result<void>& done) {
            EXPECT_TRUE(done.has_value()) << done.error().text();
            ++calls;
        });
    EXPECT_EQ(calls, 2);
    EXPECT_FALSE(tree.exists(kOuter));
}

TEST(Direct, WhatDoesNotEndIsToldAndNotWaitedForForEver) {
    FakeTree tree;
    const auto driver = take(tree);
    ASSERT_TRUE(create(*driver, kId, some_limits()).has_value());
    tree.put(kOuter + "/cgroup.events", "populated 1\nfrozen 0\n");
    const auto removed = remove_container(tree.open(), kOuter, std::chrono::milliseconds(10));
    ASSERT_FALSE(removed.has_value());
    EXPECT_THAT(removed.error().message, HasSubstr("do not end"));
    EXPECT_EQ(tree.read(kOuter + "/cgroup.kill"), "1");
}

TEST(Direct, ReclaimsWhatAnEarlierSquishdLeftAndNothingElse) {
    FakeTree tree;
    const auto driver = take(tree);
    const std::string other = "fedcba9876543210";
    ASSERT_TRUE(create(*driver, kId, some_limits()).has_value());
    ASSERT_TRUE(create(*driver, other, some_limits()).has_value());
    ASSERT_TRUE(tree.open().make_child("squish-notes").has_value());
    const auto gone = driver->reclaim({kId});
    ASSERT_TRUE(gone.has_value()) << gone.error().text();
    EXPECT_THAT(*gone, ElementsAre(other));
    EXPECT_TRUE(tree.exists(kOuter));
    EXPECT_TRUE(tree.exists("squish-notes"));
    EXPECT_TRUE(tree.exists("squish-keeper"));
    EXPECT_FALSE(tree.exists("squish-" + other));
    EXPECT_THAT(driver->reclaim({kId}).value(), IsEmpty());
}

TEST(ContainerCgroup, KillsFreezesAndThaws) {
    FakeTree tree;
    const auto driver = take(tree);
    ASSERT_TRUE(create(*driver, kId, some_limits()).has_value());
    const auto found = driver->find(kId);
    ASSERT_TRUE(found.has_value()) << found.error().text();
    const auto payload = kOuter + "/payload/";
    ASSERT_TRUE(found->freeze().has_value());
    EXPECT_EQ(tree.read(payload + "cgroup.freeze"), "1");
    ASSERT_TRUE(found->thaw().has_value());
    EXPECT_EQ(tree.read(payload + "cgroup.freeze"), "0");
    ASSERT_TRUE(found->kill().has_value());
    EXPECT_EQ(tree.read(payload + "cgroup.kill"), "1");
    EXPECT_EQ(driver->find("fedcba9876543210").error().kind, ErrorKind::not_found);
}

TEST(ContainerCgroup, TellsWhatIsUsed) {
    FakeTree tree;
    const auto driver = take(tree);
    const auto made = create(*driver, kId, some_limits());
    ASSERT_TRUE(made.has_value());
    const auto usage = made->usage();
    ASSERT_TRUE(usage.has_value()) << usage.error().text();
    ASSERT_TRUE(usage->memory && usage->cpu && usage->io && usage->memory_pressure);
    EXPECT_EQ(usage->memory->current, 5U << 20);
    EXPECT_EQ(usage->memory->working_set(), 2U << 20);
    EXPECT_EQ(usage->memory->limit, 64U << 20);
    EXPECT_EQ(usage->memory->peak, std::nullopt) << "no such file before Linux 5.19";
    EXPECT_EQ(usage->cpu->usage, 300U);
    EXPECT_EQ(usage->pids, 3U);
    EXPECT_EQ(usage->pids_limit, 5U);
    EXPECT_EQ(usage->io, (IoFigures{4097, 8194, 4, 6}));
    EXPECT_EQ(usage->memory_pressure->some.avg10, 1.5);
    EXPECT_FALSE(usage->cpu_pressure.has_value()) << "psi is switched off";
    EXPECT_EQ(made->oom_kills().value(), 1U);
}

TEST(ContainerCgroup, WithoutTheMemoryControllerNothingIsSaidOfMemory) {
    FakeTree tree;
    const auto driver = take(tree);
    const auto made = create(*driver, kId, {});
    ASSERT_TRUE(made.has_value());
    for (const auto* file : {"memory.current", "memory.events"})
        std::filesystem::remove(tree.root() + "/" + kOuter + "/payload/" + file);
    EXPECT_FALSE(made->usage()->memory.has_value());
    EXPECT_EQ(made->oom_kills().value(), std::nullopt);
    EXPECT_EQ(made->open_memory_events().error().sys_errno, ENOENT);
}

TEST(Update, ALimitBelowWhatIsNeededIsRefused) {
    Usage usage;
    usage.memory.emplace();
    usage.memory->current = 100 << 20;
    usage.memory->inactive_file = 50 << 20;
    Limits to;
    to.memory_max = 60 << 20;
    EXPECT_TRUE(check_fits(to, usage).has_value()) << "the cache can go";
    to.memory_max = 40 << 20;
    EXPECT_EQ(check_fits(to, usage).error().kind, ErrorKind::conflict);
}

} // namespace
} // namespace squish::cgroup
