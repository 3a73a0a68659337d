#include "base/text.h"

#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace squish {
namespace {

using testing::ElementsAre;

TEST(Join, PutsTheSeparatorBetweenAndNowhereElse) {
    EXPECT_EQ(join(std::vector<std::string>{}, ", "), "");
    EXPECT_EQ(join(std::vector<std::string>{"a"}, ", "), "a");
    EXPECT_EQ(join(std::vector<std::string>{"a", "b", "c"}, ", "), "a, b, c");
}

TEST(Split, KeepsEmptyParts) {
    EXPECT_THAT(split("", ','), ElementsAre(""));
    EXPECT_THAT(split("a", ','), ElementsAre("a"));
    EXPECT_THAT(split(",a,,b,", ','), ElementsAre("", "a", "", "b", ""));
}

TEST(Trim, TakesBlanksOffBothEndsOnly) {
    EXPECT_EQ(trim(" \t a b \r\n"), "a b");
    EXPECT_EQ(trim(" \n "), "");
    EXPECT_EQ(trim(""), "");
}

TEST(Nearest, FindsASlipOfThePen) {
    constexpr std::array<std::string_view, 4> kKnown{"command", "args", "workdir", "user"};
    EXPECT_EQ(nearest("comand", kKnown), "command");
    EXPECT_EQ(nearest("arg", kKnown), "args");
    EXPECT_EQ(nearest("usr", kKnown), "user");
    EXPECT_EQ(nearest("user", kKnown), "user");
}

TEST(Nearest, SaysNothingWhereNothingIsNear) {
    constexpr std::array<std::string_view, 2> kKnown{"command", "args"};
    EXPECT_EQ(nearest("entrypoint", kKnown), std::nullopt);
    EXPECT_EQ(nearest("", kKnown), std::nullopt);
    EXPECT_EQ(nearest("x", kKnown), std::nullopt);
    EXPECT_EQ(nearest(std::string(65, 'a'), kKnown), std::nullopt);
    EXPECT_EQ(nearest("args", {}), std::nullopt);
}

TEST(Nearest, PrefersTheNearerOfTwo) {
    constexpr std::array<std::string_view, 2> kKnown{"read_iops", "read_bps"};
    EXPECT_EQ(nearest("read_bsp", kKnown), "read_bps");
}

TEST(ParseNumber, AcceptsWholeDecimalNumbersOnly) {
    EXPECT_EQ(parse_number("0"), 0U);
    EXPECT_EQ(parse_number("007"), 7U);
    EXPECT_EQ(parse_number("18446744073709551615"), 18446744073709551615U);
    for (const std::string_view text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "18446744073709551616", "one"})
        EXPECT_EQ(parse_number(text), std::nullopt) << text;
}

TEST(RandomHex, HasTwoDigitsPerByteAndDiffers) {
    EXPECT_EQ(random_hex(0), "");
    const auto one = random_hex(32), two = random_hex(32);
    EXPECT_EQ(one.size(), 64U);
    EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(one, two);
}

TEST(Printable, LeavesTextAlone) {
    for (const std::string_view text :
         {"", "plain", "späti", "日本語", "🦀", "a\xc2\xa0z"}) // U+00A0 is the first after C1
        EXPECT_EQ(printable(text), text);
}

TEST(Printable, ShowsControlCharactersInHex) {
    EXPECT_EQ(printable("a\nb\tc"), "a\\x0ab\\x09c");
    EXPECT_EQ(printable("\x1b[31m"), "\\x1b[31m");
    EXPECT_EQ(printable("\x7f"), "\\x7f");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b") << "U+009B is CSI, which some terminals obey";
    EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, ShowsBrokenUtf8InHex) {
    EXPECT_EQ(printable("\xff"), "\\xff");
    EXPECT_EQ(printable("a\x80z"), "a\\x80z") << "a continuation byte alone";
    EXPECT_EQ(printable("\xc3"), "\\xc3") << "cut short";
    EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
    EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
    EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf") << "overlong";
    EXPECT_EQ(printable("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf") << "overlong";
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
}

} // namespace
} // namespace squish
