#include "base/result.h"

#include <gtest/gtest.h>
#include <memory>

namespace squish {
namespace {

Result<int> half(int number) {
    if (number % 2 != 0)
        return fail(ErrorKind::invalid, "'" + std::to_string(number) + "' is odd", "take an even one");
    return number / 2;
}

Result<int> quarter(int number) {
    const int once = TRY(half(number));
    return TRY(half(once));
}

Result<void> check(int number) {
    TRY(quarter(number));
    return {};
}

Result<std::unique_ptr<int>> boxed(int number) {
    return std::make_unique<int>(TRY(half(number)));
}

TEST(Result, TryYieldsTheValueOrReturnsTheError) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_TRUE(check(8));
    const auto failed = check(6);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "'3' is odd");
    EXPECT_EQ(failed.error().kind, ErrorKind::invalid);
}

TEST(Result, CarriesValuesThatCanOnlyBeMoved) {
    auto box = boxed(4);
    ASSERT_TRUE(box);
    const auto taken = *std::move(box);
    EXPECT_EQ(*taken, 2);
    EXPECT_FALSE(boxed(3));
}

TEST(Error, PutsItsRemedyInParentheses) {
    EXPECT_EQ(half(3).error().text(), "'3' is odd (take an even one)");
    EXPECT_EQ((Error{ErrorKind::system, "broken", "", 0}).text(), "broken");
}

TEST(Error, GainsContextAtEachBorder) {
    EXPECT_EQ(half(3).error().within("halve").within("start").message, "start: halve: '3' is odd");
}

TEST(Error, NamesTheErrnoOfAFailedCall) {
    const Result<void> failed = fail_errno("open '/dev/fuse'", EACCES, "load the module");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "open '/dev/fuse': Permission denied");
    EXPECT_EQ(failed.error().sys_errno, EACCES);
    EXPECT_EQ(failed.error().kind, ErrorKind::system);
    EXPECT_EQ(failed.error().remedy, "load the module");
}

TEST(Error, TakesErrnoWhereNoneIsGiven) {
    errno = ENOENT;
    const Result<void> failed = fail_errno("stat");
    EXPECT_EQ(failed.error().sys_errno, ENOENT);
    EXPECT_EQ(errno_text(ENOENT), "No such file or directory");
}

} // namespace
} // namespace squish
