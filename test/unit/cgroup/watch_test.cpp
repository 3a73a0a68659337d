#include "fake_tree.h"

#include "cgroup/direct.h"
#include "cgroup/watch.h"

#include <gmock/gmock.h>

namespace squish::cgroup {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WatchedTree : public ::testing::Test {
protected:
    ContainerCgroup make(const std::string& id) {
        auto outer = tree.open().make_child(cgroup_name(id).value());
        return std::move(*ContainerCgroup::make(std::move(*outer), {}, {}));
    }
    std::string payload(const std::string& id) const { return "squish-" + id + "/payload/"; }
    FakeTree tree;
    Watch watch = std::move(*Watch::open());
};

TEST_F(WatchedTree, TellsWhichContainerSomethingHappenedTo) {
    const auto one = make("0123456789abcdef"), two = make("fedcba9876543210");
    ASSERT_TRUE(watch.add("0123456789abcdef", one).has_value());
    ASSERT_TRUE(watch.add("fedcba9876543210", two).has_value());
    EXPECT_THAT(watch.take().value(), IsEmpty());
    tree.put(payload("fedcba9876543210") + "memory.events", "oom_kill 2\n");
    tree.put(payload("fedcba9876543210") + "cgroup.events", "populated 0\nfrozen 0\n");
    EXPECT_THAT(watch.take().value(), ElementsAre("fedcba9876543210")) << "once, whatever happened";
    tree.put(payload("0123456789abcdef") + "cgroup.events", "populated 1\nfrozen 1\n");
    EXPECT_THAT(watch.take().value(), ElementsAre("0123456789abcdef"));
}

TEST_F(WatchedTree, WhatIsNotWatchedAnyMoreIsNotTold) {
    const auto one = make("0123456789abcdef");
    ASSERT_TRUE(watch.add("0123456789abcdef", one).has_value());
    EXPECT_EQ(watch.add("0123456789abcdef", one).error().kind, ErrorKind::conflict);
    watch.remove("0123456789abcdef");
    tree.put(payload("0123456789abcdef") + "cgroup.events", "populated 0\n");
    EXPECT_THAT(watch.take().value(), IsEmpty());
    EXPECT_TRUE(watch.add("0123456789abcdef", one).has_value());
}

TEST_F(WatchedTree, ACgroupThatGoesIsForgotten) {
    const auto one = make("0123456789abcdef");
    ASSERT_TRUE(watch.add("0123456789abcdef", one).has_value());
    ASSERT_TRUE(one.remove_payload().has_value());
    EXPECT_THAT(watch.take().value(), ElementsAre("0123456789abcdef"));
    const auto again = one.outer().make_child(kPayload);
    EXPECT_TRUE(again.has_value());
    EXPECT_TRUE(
        watch.add("0123456789abcdef", *ContainerCgroup::find(tree.open("/squish-0123456789abcdef"))).has_value());
}

TEST_F(WatchedTree, WithoutTheMemoryControllerTheRestIsWatched) {
    const auto one = make("0123456789abcdef");
    std::filesystem::remove(tree.root() + "/" + payload("0123456789abcdef") + "memory.events");
    ASSERT_TRUE(watch.add("0123456789abcdef", one).has_value());
    tree.put(payload("0123456789abcdef") + "cgroup.events", "populated 0\n");
    EXPECT_THAT(watch.take().value(), ElementsAre("0123456789abcdef"));
}

} // namespace
} // namespace squish::cgroup
