// What squishd and the keeper read of each other: what the protocol says, to the byte, and nothing else.
#include "wire/keeper_messages.h"

#include <gtest/gtest.h>

namespace squish::wire {
namespace {

Writer message(KeeperKind kind) {
    return keeper_message(kind, 9);
}

TEST(KeeperRequests, AreReadByTheirKind) {
    const auto launch = read_keeper_request(message(KeeperKind::launch).text("id").text("cell").bytes());
    EXPECT_TRUE(launch.sound);
    EXPECT_EQ(launch.kind, KeeperKind::launch);
    EXPECT_EQ(launch.sequence, 9U);
    EXPECT_EQ(launch.name, "id");
    EXPECT_EQ(launch.other, "cell");
    EXPECT_EQ(read_keeper_request(message(KeeperKind::signal).text("id").i32(15).bytes()).signal, 15);
    EXPECT_EQ(read_keeper_request(message(KeeperKind::watch_log).text("id").u64(1 << 20).bytes()).limit, 1U << 20);
    EXPECT_EQ(read_keeper_request(message(KeeperKind::prepare).text("c").u32(7).bytes()).cell_kind, 7U);
    EXPECT_FALSE(read_keeper_request(message(KeeperKind::prepare).text("c").u32(8).bytes()).sound);
    EXPECT_EQ(read_keeper_request(message(KeeperKind::guard).text("squish-procfs").bytes()).name, "squish-procfs");
    const auto affinity = read_keeper_request(message(KeeperKind::affinity).text("id").text("0f").bytes());
    EXPECT_TRUE(affinity.sound);
    EXPECT_EQ(affinity.name + affinity.other, "id0f");
    EXPECT_FALSE(read_keeper_request(message(KeeperKind::affinity).text("id").bytes()).sound);
    EXPECT_EQ(read_keeper_request(message(KeeperKind::hello).u32(3).bytes()).version, 3U);
    EXPECT_TRUE(read_keeper_request(message(KeeperKind::shut_down).bytes()).sound);
}

TEST(KeeperRequests, ThatAreDamagedKeepTheirNumberForTheAnswer) {
    const auto whole = message(KeeperKind::exec).text("container").text("exec").bytes();
    EXPECT_TRUE(read_keeper_request(whole).sound);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto cut = read_keeper_request(std::string_view(whole).substr(0, size));
        EXPECT_FALSE(cut.sound) << size;
        EXPECT_EQ(cut.sequence, size < 8 ? 0U : 9U) << size;
    }
    EXPECT_FALSE(read_keeper_request(whole + "x").sound) << "more than there should be";
    EXPECT_FALSE(read_keeper_request(message(KeeperKind::shut_down).u32(1).bytes()).sound);
    for (const auto kind : {0U, 17U, 32U, 68U, ~0U}) // none, unknown, an answer, an event
        EXPECT_FALSE(read_keeper_request(message(static_cast<KeeperKind>(kind)).text("x").bytes()).sound) << kind;
}

TEST(KeeperReplies, AreReadByTheirKind) {
    const auto facts =
        read_keeper_reply(message(KeeperKind::hello_done).i32(42).u32(1).u32(61).text("0 1 1").text("0 2 1").bytes());
    EXPECT_TRUE(facts.sound && facts.single_id);
    EXPECT_EQ(facts.pid, 42);
    EXPECT_EQ(facts.slices, 61U);
    EXPECT_EQ(facts.uid_map + facts.gid_map, "0 1 10 2 1");
    const auto launched = read_keeper_reply(message(KeeperKind::launched).i32(7).u64(1).u64(2).u64(3).u64(4).bytes());
    EXPECT_TRUE(launched.sound);
    EXPECT_EQ(launched.cloned_ns, 4U);
    const auto failed = read_keeper_reply(message(KeeperKind::failed_step).u32(5).i32(13).bytes());
    EXPECT_EQ(failed.step, 5U);
    EXPECT_EQ(failed.error, 13);
    const auto error = read_keeper_reply(message(KeeperKind::error).i32(2).text("take").bytes());
    EXPECT_EQ(error.text, "take");
    EXPECT_EQ(error.error, 2);
    const auto guarded = read_keeper_reply(message(KeeperKind::guarded).text("squish-procfs").i32(42).bytes());
    EXPECT_TRUE(guarded.sound);
    EXPECT_EQ(guarded.text, "squish-procfs");
    EXPECT_EQ(guarded.pid, 42);
    EXPECT_EQ(read_keeper_reply(message(KeeperKind::exited).text("id").i32(256).bytes()).status, 256);
}

TEST(KeeperReplies, ThatAreNoneOfTheProtocolAreNotSound) {
    const auto contained = [](std::uint32_t phase) {
        return read_keeper_reply(message(KeeperKind::container).text("id").u32(phase).i32(1).i32(0).bytes()).sound;
    };
    EXPECT_TRUE(contained(1) && contained(2) && contained(3));
    EXPECT_FALSE(contained(0) || contained(4) || contained(~0U)) << "a container is in one of three phases";
    EXPECT_FALSE(read_keeper_reply(message(KeeperKind::done).u32(0).bytes()).sound);
    EXPECT_FALSE(read_keeper_reply(message(KeeperKind::launch).text("a").text("b").bytes()).sound) << "a request";
    EXPECT_FALSE(read_keeper_reply("").sound);
}

} // namespace
} // namespace squish::wire
