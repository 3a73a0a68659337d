#include "keeper/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace squish::keeper {
namespace {

using ::testing::IsEmpty;

constexpr const char* kUsual = "0 0 1\n1 1 65536\n"; // the user, and the range that adduser(8) gives

TEST(SliceBases, LeaveOutTheLowIdsAndNobody) {
    const auto bases = slice_bases(kUsual);
    ASSERT_EQ(bases.size(), 61U);
    EXPECT_EQ(bases.front(), 65537 - 2 * kSliceIds);
    EXPECT_EQ(bases.back(), 2049U);
    std::set<std::uint64_t> ids;
    for (const auto base : bases)
        for (auto id = base; id < base + kSliceIds; ++id) {
            EXPECT_TRUE(ids.insert(id).second) << id << " twice";
            EXPECT_GE(id, kFirstSliceId);
            EXPECT_NE(id, kNobody);
            EXPECT_LE(id, 65536U);
        }
}

TEST(SliceBases, LieWithinOneLineEach) {
    EXPECT_EQ(slice_bases("0 0 1\n1 1 2500\n2501 2501 1200\n"), std::vector<std::uint64_t>{3701 - kSliceIds});
    EXPECT_EQ(slice_bases("0 0 1\n1 1 3071\n"), std::vector<std::uint64_t>{kFirstSliceId});
    EXPECT_THAT(slice_bases("0 0 1\n1 1 3070\n"), IsEmpty());
}

TEST(SliceBases, NoneWhereThereIsNothingToSlice) {
    for (const auto* map : {"", "0 1000 1\n", "0 0 1\n1 1 1000\n", "nonsense", "1 2\n", "\n\n", "-1 0 99999\n"})
        EXPECT_THAT(slice_bases(map), IsEmpty()) << map;
}

TEST(SliceMap, HasTheIdsOfASystemAndNobody) {
    EXPECT_EQ(slice_map(5000), "0 5000 1023\n65534 6023 1\n");
}

TEST(Slices, AreTakenOnceAndComeBack) {
    Slices slices(kUsual, kUsual);
    std::vector<Slices::Lease> leases;
    std::set<std::string> maps;
    while (auto lease = slices.take()) {
        maps.insert(lease->uid_map());
        leases.push_back(std::move(*lease));
    }
    EXPECT_EQ(leases.size(), slices.count());
    EXPECT_EQ(maps.size(), slices.count());
    const auto freed = leases[7].uid_map();
    leases.erase(leases.begin() + 7);
    const auto again = slices.take();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->uid_map(), freed);
    EXPECT_FALSE(slices.take());
}

TEST(Slices, OneThatIsFreeIsTakenAgainAsLateAsPossible) {
    Slices slices(kUsual, kUsual);
    std::set<std::string> maps;
    for (std::size_t i = 0; i < slices.count(); ++i)
        maps.insert(slices.take()->uid_map()); // given back at once
    EXPECT_EQ(maps.size(), slices.count());
}

TEST(Slices, UserAndGroupIdsNeedNotBeAlike) {
    Slices slices("0 0 1\n1 1 4000\n", "0 0 1\n1 1 9000\n");
    EXPECT_EQ(slices.count(), 1U);
    const auto lease = slices.take();
    ASSERT_TRUE(lease);
    EXPECT_NE(lease->uid_map(), lease->gid_map());
    EXPECT_EQ(Slices(kUsual, "0 1000 1\n").count(), 0U);
    EXPECT_FALSE(Slices().take());
}

TEST(Slices, ALeaseMayOutliveThemAndBeMoved) {
    auto slices = std::make_unique<Slices>(kUsual, kUsual);
    auto one = slices->take(), other = slices->take();
    slices.reset();
    *one = std::move(*other);
    EXPECT_FALSE(one->uid_map().empty());
}

} // namespace
} // namespace squish::keeper
