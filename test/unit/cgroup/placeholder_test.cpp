#include "cgroup/placeholder.h"
#include "cgroup/systemd.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <gmock/gmock.h>
#include <sys/wait.h>

namespace squish::cgroup {
namespace {

using ::testing::Contains;

TEST(Placeholder, WaitsAndEndsWithItsOwner) {
    pid_t pid = 0;
    {
        const auto placeholder = Placeholder::start();
        ASSERT_TRUE(placeholder.has_value()) << placeholder.error().text();
        pid = placeholder->pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1) << "it was reaped";
    EXPECT_EQ(errno, ECHILD);
}

TEST(Placeholder, OneThatIsReplacedEnds) {
    auto first = Placeholder::start();
    ASSERT_TRUE(first.has_value());
    const auto pid = first->pid();
    auto second = Placeholder::start();
    ASSERT_TRUE(second.has_value());
    *first = std::move(*second);
    EXPECT_EQ(::kill(pid, 0), -1);
    EXPECT_EQ(::kill(first->pid(), 0), 0);
    first->end();
    first->end(); // twice is fine
}

TEST(ScopeProperties, DelegateSoThatAnOomDoesNotEndTheScope) {
    const auto properties = scope_properties("x", 42);
    EXPECT_THAT(properties, Contains(Property{"Delegate", true}));
    EXPECT_THAT(properties, Contains(Property{"PIDs", std::vector<std::uint32_t>{42}}));
    EXPECT_THAT(properties, Contains(Property{"Slice", std::string("squish.slice")}));
    EXPECT_THAT(properties, Contains(Property{"CollectMode", std::string("inactive-or-failed")}));
}

} // namespace
} // namespace squish::cgroup
