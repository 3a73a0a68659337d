#include "procview/load.h"

#include <gmock/gmock.h>

namespace squish::procview {
namespace {

TEST(LoadAverage, GrowsAsTheKernelsDoes) {
    LoadAverage load; // one task that runs, from a boot on: what Linux prints after 5, 60 and 300 seconds
    load.add(1);
    EXPECT_THAT(load.in_hundredths(), testing::ElementsAre(8, 2, 1));
    for (int i = 1; i < 12; ++i)
        load.add(1);
    EXPECT_NEAR(load.in_hundredths()[0], 63, 2); // 1 - 1/e
    for (int i = 12; i < 60; ++i)
        load.add(1);
    EXPECT_NEAR(load.in_hundredths()[0], 100, 1);
    EXPECT_NEAR(load.in_hundredths()[1], 63, 2);
    EXPECT_NEAR(load.in_hundredths()[2], 28, 2);
}

TEST(LoadAverage, ReachesTheWholeNumberAndZeroAgain) {
    LoadAverage load;
    for (int i = 0; i < 2000; ++i)
        load.add(7);
    EXPECT_THAT(load.in_hundredths(), testing::ElementsAre(700, 700, 700));
    for (int i = 0; i < 3000; ++i)
        load.add(0);
    EXPECT_THAT(load.in_hundredths(), testing::ElementsAre(0, 0, 0));
}

TEST(LoadAverage, AGapIsCaughtUpWith) {
    LoadAverage one_by_one, at_once;
    for (int i = 0; i < 40; ++i)
        one_by_one.add(3);
    at_once.add(3, 40);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_NEAR(one_by_one.in_hundredths()[i], at_once.in_hundredths()[i], 5);
    at_once.add(5, UINT64_MAX); // ends, and is what it was all the time
    EXPECT_THAT(at_once.in_hundredths(), testing::ElementsAre(500, 500, 500));
}

TEST(LoadAverage, NoIntervalChangesNothingAndNoNumberOverflows) {
    LoadAverage load;
    load.add(5, 0);
    EXPECT_THAT(load.in_hundredths(), testing::ElementsAre(0, 0, 0));
    load.add(UINT64_MAX, 1000);
    EXPECT_EQ(load.in_hundredths()[0], (1U << 22) * 100);
}

} // namespace
} // namespace squish::procview
