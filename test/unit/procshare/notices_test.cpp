#include "procshare/notices.h"

#include "../os/scratch.h"

#include <cstring>
#include <gmock/gmock.h>
#include <set>
#include <sys/mman.h>

namespace squish::procshare {
namespace {

constexpr std::uint64_t kPatience = 1000;

TEST(Notices, OutliveWhoTookThem) {
    const auto memfd = MUST(Notices::make());
    {
        auto notices = MUST(Notices::open(memfd.get(), 1, kPatience));
        auto& notice = notices.take(7);
        notice.kernel()->id = 77;
        (void) notices.take(8);
    }
    auto notices = MUST(Notices::open(memfd.get(), 2, kPatience));
    EXPECT_EQ(notices.all()[0].view, 7U);
    EXPECT_EQ(notices.all()[0].kernel()->id, 77U);
    EXPECT_EQ(notices.all()[1].view, 8U);
    EXPECT_EQ(notices.all()[2].view, 0U);
}

TEST(Notices, APlaceIsAllZeroForTheKernel) {
    const auto memfd = MUST(Notices::make());
    auto notices = MUST(Notices::open(memfd.get(), 1, kPatience));
    auto& first = notices.take(7);
    std::memset(first.bytes, 0xff, sizeof first.bytes);
    first.overdue = 5;
    Notices::clear(first);
    auto& again = notices.take(9);
    EXPECT_EQ(&again, &first);
    EXPECT_THAT(again.bytes, testing::Each(std::byte{0}));
    EXPECT_EQ(again.overdue, 0U);
}

TEST(Notices, WhenAllPlacesAreTakenTheOldestIsForgotten) {
    const auto memfd = MUST(Notices::make());
    auto notices = MUST(Notices::open(memfd.get(), 1, kPatience));
    for (Key key = 1; key <= kNotices + 1; ++key)
        (void) notices.take(key);
    std::set<Key> left;
    for (const auto& notice : notices.all())
        left.insert(notice.view);
    EXPECT_EQ(left.size(), kNotices);
    EXPECT_FALSE(left.contains(1));
    EXPECT_TRUE(left.contains(kNotices + 1));
}

TEST(Notices, WhatWasBegunLongAgoIsOverdue) {
    const auto memfd = MUST(Notices::make());
    {
        auto notices = MUST(Notices::open(memfd.get(), 1, kPatience));
        notices.take(1).begun_ns = 5000;
        notices.take(2).begun_ns = 5000 + kPatience;
        (void) notices.take(3);
    }
    auto notices = MUST(Notices::open(memfd.get(), 5000 + kPatience, kPatience));
    EXPECT_EQ(notices.all()[0].overdue, 1U);
    EXPECT_EQ(notices.all()[1].overdue, 0U);
    EXPECT_EQ(notices.all()[2].overdue, 0U);
    EXPECT_EQ(notices.all()[0].begun_ns, 0U);
}

TEST(Notices, OfAnotherVersionAreForgotten) {
    const auto memfd = MUST(Notices::make());
    {
        auto notices = MUST(Notices::open(memfd.get(), 1, kPatience));
        (void) notices.take(1);
    }
    const std::uint64_t other = kNoticesMagic + 1;
    ASSERT_EQ(::pwrite(memfd.get(), &other, sizeof other, 0), static_cast<ssize_t>(sizeof other));
    auto notices = MUST(Notices::open(memfd.get(), 1, kPatience));
    EXPECT_EQ(notices.all()[0].view, 0U);
}

TEST(Notices, ShortMemoryIsRefused) {
    const auto memfd = MUST(Mapping::make("short", 4096));
    EXPECT_FALSE(Notices::open(memfd.get(), 1, kPatience));
}

} // namespace
} // namespace squish::procshare
