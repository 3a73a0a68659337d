// The table of views: what readers see while it is written, keys, and what they make of bytes that nobody wrote.
#include "procshare/table.h"

#include "../os/scratch.h"

#include <atomic>
#include <bit>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace squish::procshare {
namespace {

using ::testing::ElementsAre;

struct Shared {
    UniqueFd memfd;
    TableWriter writer;
    TableReader reader;
};

Result<Shared> make_shared_table() {
    auto memfd = TRY(TableWriter::make());
    auto writer = TRY(TableWriter::open(memfd.get()));
    auto readable = TRY(read_only(memfd.get()));
    auto reader = TRY(TableReader::open(readable.get()));
    return Shared{std::move(memfd), std::move(writer), std::move(reader)};
}

// The memory as anybody could write it.
Table& raw(const Shared& shared) {
    return *static_cast<Table*>(
        ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, shared.memfd.get(), 0));
}

std::uint64_t bytes_touched(int memfd) {
    struct stat info{};
    ::fstat(memfd, &info);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

TEST(Table, ShowsWhatWasPut) {
    auto shared = MUST(make_shared_table());
    const auto key = shared.writer.add();
    ASSERT_NE(key, 0U);
    ASSERT_TRUE(shared.reader.get(key));
    EXPECT_EQ(shared.reader.get(key)->memory, 0U);
    Facts facts;
    facts.key = key;
    facts.memory = 256 << 20;
    facts.started_at = -1;
    facts.roots[31] = 42;
    facts.cpus[15] = 7;
    std::string("/user.slice/payload").copy(facts.cgroup.data(), facts.cgroup.size());
    shared.writer.put(facts);
    const auto found = shared.reader.get(key);
    ASSERT_TRUE(found);
    EXPECT_EQ(std::bit_cast<FactWords>(*found), std::bit_cast<FactWords>(facts));
    shared.writer.remove(key);
    EXPECT_FALSE(shared.reader.get(key));
    EXPECT_FALSE(shared.writer.get(key));
}

TEST(Table, ReadersSeeOldFactsOrNewNeverAMixture) {
    auto shared = MUST(make_shared_table());
    const auto key = shared.writer.add();
    std::atomic<bool> done = false;
    std::atomic<std::uint64_t> reads = 0, mixed = 0, missed = 0;
    const auto read = [&] {
        while (!done) {
            const auto facts = shared.reader.get(key);
            ++reads;
            if (!facts) {
                ++missed;
                continue;
            }
            for (const auto word : facts->cpus)
                mixed += word != facts->started_ns;
            mixed += facts->memory != facts->started_ns;
        }
    };
    std::thread first(read), second(read);
    Facts facts;
    facts.key = key;
    for (std::uint64_t round = 1; round <= 200'000 || reads < 1'000; ++round) {
        facts.started_ns = facts.memory = round;
        facts.cpus.fill(round);
        shared.writer.put(facts);
    }
    done = true;
    first.join();
    second.join();
    EXPECT_EQ(mixed, 0U);
    EXPECT_EQ(missed, 0U);
    EXPECT_EQ(shared.reader.get(key)->memory, facts.memory);
}

TEST(Table, NeverGivesAKeyTwiceThoughAnIndexIsUsedAgain) {
    auto shared = MUST(make_shared_table());
    std::set<Key> seen;
    const auto stays = shared.writer.add();
    for (int i = 0; i < 1'000; ++i) {
        const auto key = shared.writer.add();
        EXPECT_EQ(index_of(key), 1U);
        EXPECT_TRUE(seen.insert(key).second);
        shared.writer.remove(key);
        EXPECT_FALSE(shared.reader.get(key));
        if (i % 100 == 0) // another squishd
            shared.writer = MUST(TableWriter::open(shared.memfd.get()));
    }
    EXPECT_TRUE(shared.reader.get(stays));
}

TEST(Table, RetainsWhatItIsToldAndRemovesTheRest) {
    auto shared = MUST(make_shared_table());
    const auto first = shared.writer.add(), second = shared.writer.add(), third = shared.writer.add();
    auto next = MUST(TableWriter::open(shared.memfd.get())); // a squishd that starts again
    next.retain({third, first + kMaxViews * 77, 0});
    EXPECT_FALSE(shared.reader.get(first));
    EXPECT_FALSE(shared.reader.get(second));
    EXPECT_TRUE(shared.reader.get(third));
    EXPECT_EQ(index_of(next.add()), 0U);
}

TEST(Table, HasRoomForSoManyViewsAndNoMore) {
    auto shared = MUST(make_shared_table());
    Key last = 0;
    for (std::uint32_t i = 0; i < kMaxViews; ++i)
        last = shared.writer.add();
    EXPECT_EQ(index_of(last), kMaxViews - 1);
    EXPECT_EQ(shared.writer.add(), 0U);
    shared.writer.remove(last);
    EXPECT_NE(shared.writer.add(), 0U);
}

TEST(Table, LeavesFactsOfAViewThatIsGoneAlone) {
    auto shared = MUST(make_shared_table());
    const auto gone = shared.writer.add();
    shared.writer.remove(gone);
    const auto now = shared.writer.add();
    Facts late;
    late.key = gone;
    late.memory = 1;
    shared.writer.put(late);
    shared.writer.remove(gone);
    EXPECT_FALSE(shared.reader.get(gone));
    ASSERT_TRUE(shared.reader.get(now));
    EXPECT_EQ(shared.reader.get(now)->memory, 0U);
    late.key = 0;
    shared.writer.put(late);
    EXPECT_FALSE(shared.reader.get(0));
}

TEST(Table, ASquishdThatWasKilledWhileItWroteLeavesWhatHeldBefore) {
    auto shared = MUST(make_shared_table());
    Facts facts;
    facts.key = shared.writer.add();
    facts.memory = 5;
    shared.writer.put(facts);
    auto& entry = raw(shared).entries[0];
    entry.facts[(entry.sequence + 1) % 2][3] = 999; // half of it, and the sequence number never came
    EXPECT_EQ(shared.reader.get(facts.key)->memory, 5U);
    EXPECT_EQ(MUST(TableWriter::open(shared.memfd.get())).get(facts.key)->memory, 5U);
}

TEST(Table, TakesMemoryForTheViewsThatThereAreAndNoneForKeysThatAreAskedFor) {
    auto shared = MUST(make_shared_table());
    for (int i = 0; i < 200; ++i)
        (void) shared.writer.add();
    for (Key key = 0; key < 3 * kMaxViews; ++key)
        (void) shared.reader.get(key);
    EXPECT_LE(bytes_touched(shared.memfd.get()), 201 * sizeof(Entry) + 4096);
}

TEST(Table, ReadersSurviveAnyContents) {
    auto shared = MUST(make_shared_table());
    const auto key = shared.writer.add();
    auto& table = raw(shared);
    std::fill_n(reinterpret_cast<unsigned char*>(table.entries), 64 * sizeof(Entry), 0xff);
    table.in_use = 0xffffffff;
    EXPECT_FALSE(shared.reader.get(key));
    EXPECT_FALSE(shared.reader.get(~0ULL));
    EXPECT_FALSE(shared.reader.get(kMaxViews - 1));
    auto& words = table.entries[3].facts[table.entries[3].sequence % 2];
    words[0] = 3 + kMaxViews;
    const auto facts = shared.reader.get(3 + kMaxViews);
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->cgroup.back(), '\0');
    auto writer = TableWriter::open(shared.memfd.get());
    ASSERT_TRUE(writer);
    writer->retain({});
    EXPECT_NE(writer->add(), 0U);
}

TEST(Table, RefusesMemoryThatIsNoTable) {
    EXPECT_EQ(TableReader::open(-1).error().kind, ErrorKind::system);
    const UniqueFd unsealed(::memfd_create("x", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(unsealed.get(), sizeof(Table)), 0);
    EXPECT_EQ(TableReader::open(unsealed.get()).error().kind, ErrorKind::invalid) << "could be cut off under us";
    const auto other = MUST(Mapping::make("x", sizeof(Table)));
    EXPECT_EQ(TableReader::open(other.get()).error().kind, ErrorKind::invalid) << "no magic";
    const auto small = MUST(Mapping::make("x", 4096));
    EXPECT_EQ(TableWriter::open(small.get()).error().kind, ErrorKind::invalid);
}

TEST(Table, CanOnlyBeReadThroughTheDescriptorOfAServer) {
    const auto memfd = MUST(TableWriter::make());
    const auto readable = MUST(read_only(memfd.get()));
    EXPECT_FALSE(TableWriter::open(readable.get()));
    EXPECT_EQ(::write(readable.get(), "x", 1), -1);
}

} // namespace
} // namespace squish::procshare
