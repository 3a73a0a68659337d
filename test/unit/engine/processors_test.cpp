#include "engine/processors.h"

#include <gtest/gtest.h>

namespace squish {
namespace {

Processors list(const char* text) {
    return parse_processors(text);
}

TEST(Processors, AreAsManyAsTheFigureRoundedUp) {
    const auto all = list("0-7");
    EXPECT_EQ(choose_processors(all, 0.25, {}).count(), 1U);
    EXPECT_EQ(choose_processors(all, 1, {}).count(), 1U);
    EXPECT_EQ(choose_processors(all, 1.5, {}).count(), 2U);
    EXPECT_EQ(choose_processors(all, 7.01, {}), all);
    EXPECT_EQ(choose_processors(all, 900, {}), all);
}

TEST(Processors, AreThoseThatTheFewestAreBoundTo) {
    const std::vector<unsigned> load{3, 1, 0, 1};
    EXPECT_EQ(choose_processors(list("0-3"), 1, load), list("2"));
    EXPECT_EQ(choose_processors(list("0-3"), 2, load), list("1-2"));
    EXPECT_EQ(choose_processors(list("0-3"), 3, load), list("1-3"));
    EXPECT_EQ(choose_processors(list("0,3"), 1, load), list("3"));
    EXPECT_EQ(choose_processors(list("2-5"), 2, load), list("2,4")); // of 4 and 5 nothing is known: nobody
}

TEST(Processors, AreReadFromTheKernelsLists) {
    EXPECT_EQ(list("0-2,5\n").to_ulong(), 0b100111U);
    EXPECT_EQ(list("3").to_ulong(), 0b1000U);
    EXPECT_TRUE(list("1023")[1023]);
    EXPECT_EQ(list("1020-99999999999").count(), 4U);
    for (const auto* text : {"", "a", "1-", "-1", "2-1", "1,,2", "0-2,x", "99999999999999999999"})
        EXPECT_TRUE(list(text).none()) << text;
}

TEST(Processors, AreWrittenAsTheKernelTakesThem) {
    EXPECT_EQ(affinity_text(list("0")), "01");
    EXPECT_EQ(affinity_text(list("4-7")), "f0");
    EXPECT_EQ(affinity_text(list("8")), "0001");
    EXPECT_EQ(affinity_text(list("0-2,15")), "0780");
    EXPECT_EQ(affinity_text(list("1023")).size(), 256U);
    EXPECT_EQ(affinity_text({}), "");
}

TEST(Processors, OfOursAreSome) {
    EXPECT_TRUE(own_processors().any());
}

} // namespace
} // namespace squish
