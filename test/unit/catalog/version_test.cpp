#include "catalog/requirement.h"
#include "catalog/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace squish::catalog {
namespace {

using ::testing::HasSubstr;

Version v(std::string_view text) {
    auto version = Version::parse(text);
    EXPECT_TRUE(version) << (version ? "" : version.error().message);
    return version ? *version : Version();
}

Requirement r(std::string_view text) {
    auto requirement = Requirement::parse(text);
    EXPECT_TRUE(requirement) << (requirement ? "" : requirement.error().message);
    return requirement ? *requirement : Requirement::any();
}

TEST(Versions, AreOrderedAsSemverSays) {
    // semver.org section 11, with the field's forms between them
    const std::vector<std::string> rising = {
        "0.9",        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0",       "1.0.0_p1",      "1.0.0_p2",         "1.0.1_rc1",  "1.0.1_rc2",    "1.0.1",
        "1.0.1.1",    "1.2",         "1.10.0",        "3.20.0_rc1",       "3.20.3",     "20.11.1"};
    for (std::size_t i = 0; i < rising.size(); ++i)
        for (std::size_t j = 0; j < rising.size(); ++j)
            EXPECT_EQ(v(rising[i]) <=> v(rising[j]), i <=> j) << rising[i] << " and " << rising[j];
}

TEST(Versions, EqualWhereOnlyTheSpellingDiffers) {
    EXPECT_EQ(v("3.20"), v("3.20.0"));
    EXPECT_EQ(v("v20.11.1"), v("20.11.1"));
    EXPECT_NE(v("1.0.0+a"), v("1.0.0+b"));
    EXPECT_TRUE(v("1.0.0+a").same_precedence(v("1.0.0+b")));
}

TEST(Versions, AreWrittenAsTheyWere) {
    EXPECT_EQ(v("v20.11.1").text(), "20.11.1");
    EXPECT_EQ(v("3.20").text(), "3.20");
    EXPECT_EQ(v("1.2.3-rc.1+build.5").text(), "1.2.3-rc.1+build.5");
    EXPECT_EQ(Version::of({3, 20, 1, 0}).text(), "3.20.1");
}

TEST(Versions, SayWhatIsWrongAndWhere) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "a number is missing at character 1"},
        {"abc", "a number is missing at character 1"},
        {"1..2", "a number is missing at character 3"},
        {"1.2.3.4.5", "more than four numbers at character 9"},
        {"1.2.3-", "the prerelease has an empty part at character 7"},
        {"1.2.3-a..b", "the prerelease has an empty part at character 9"},
        {"1.2.3+", "the build metadata has an empty part at character 7"},
        {"1.2.3_zeta1", "an unknown suffix"},
        {"1.2.3 ", "an unexpected ' ' at character 6"},
        {"1.2.3/../..", "an unexpected '/' at character 6"},
        {"99999999999", "a number of more than nine digits"},
        {std::string(200, '1'), "it is longer than 128 bytes"},
        {"1.2\n", "an unexpected '\\x0a'"},
    };
    for (const auto& [text, why] : wrong) {
        const auto version = Version::parse(text);
        ASSERT_FALSE(version) << text;
        EXPECT_THAT(version.error().message, HasSubstr(why)) << text;
        EXPECT_EQ(version.error().kind, ErrorKind::invalid);
    }
}

struct Case {
    const char* requirement;
    std::vector<std::string> allowed;
    std::vector<std::string> refused;
};

TEST(Requirements, AllowWhatTheyName) {
    const std::vector<Case> cases = {
        {"3.20", {"3.20", "3.20.0", "3.20.3", "3.20.99"}, {"3.19.9", "3.21.0", "3.2.0", "3.20.0_rc1", "4.0"}},
        {"3.20.x", {"3.20.0", "3.20.3"}, {"3.21.0", "3.19.9"}},
        {"1.x", {"1.0.0", "1.9.9"}, {"2.0.0", "0.9", "2.0.0-rc.1"}},
        {"1.x.x", {"1.0.0", "1.9.9"}, {"2.0.0"}},
        {"=3.20", {"3.20.3"}, {"3.21.0"}},
        {"3", {"3.0.0", "3.99"}, {"4.0", "2.9"}},
        {"3.20.3", {"3.20.3", "v3.20.3", "3.20.3+anything"}, {"3.20.4", "3.20", "3.20.3-rc.1", "3.20.3.1"}},
        {"3.20.3+b7", {"3.20.3+b7"}, {"3.20.3", "3.20.3+b8"}},
        {"3.20.0_rc1", {"3.20.0_rc1"}, {"3.20.0", "3.20.0_rc2"}},
        {"~3.14", {"3.14.0", "3.14.10"}, {"3.13.9", "3.15.0", "3.15.0-rc.1"}},
        {"~3.14.2", {"3.14.2", "3.14.10"}, {"3.14.1", "3.15.0"}},
        {"~1", {"1.0", "1.9"}, {"2.0", "0.9"}},
        {"^1.2", {"1.2.0", "1.99"}, {"1.1.9", "2.0.0", "2.0.0-rc.1"}},
        {"^0.3", {"0.3.0", "0.3.9"}, {"0.4.0", "0.2.9"}},
        {"^0.0.3", {"0.0.3"}, {"0.0.4", "0.0.2"}},
        {"^0.0", {"0.0.0", "0.0.9"}, {"0.1.0"}},
        {"^0", {"0.0.1", "0.9.9"}, {"1.0.0"}},
        {">=3.18", {"3.18.0", "3.18", "4.0.0"}, {"3.17.9", "3.18.0-rc.1", "4.0.0-rc.1"}},
        {">1.2", {"1.3.0", "2.0"}, {"1.2.0", "1.2.9"}},
        {">1.2.3", {"1.2.4", "1.2.3.1", "1.2.3_p1"}, {"1.2.3", "1.2.3+build", "1.2.4-rc.1"}},
        {"<=3.20", {"3.20.9", "3.0"}, {"3.21.0"}},
        {"<=3.20.3", {"3.20.3", "3.20.3+x"}, {"3.20.4"}},
        {"<3.20", {"3.19.9"}, {"3.20.0", "3.20.0-rc.1"}},
        {">=3.18 <3.20", {"3.18.0", "3.19.7"}, {"3.20.0", "3.17.0"}},
        {">=3.18,<3.20", {"3.18.0", "3.19.7"}, {"3.20.0", "3.17.0"}},
        {">=3.18 , <3.20", {"3.19.7"}, {"3.20.0"}},
        {">=1.2.0-rc.1", {"1.2.0-rc.1", "1.2.0-rc.2", "1.2.0", "1.3.0"}, {"1.2.0-beta", "1.3.0-rc.1"}},
        {"~1.2.0-rc.1", {"1.2.0-rc.1", "1.2.9"}, {"1.3.0", "1.3.0-rc.1"}},
        {"*", {"0.0.1", "99.0"}, {"1.0.0-rc.1"}},
        {"latest", {"0.0.1", "99.0"}, {"1.0.0-rc.1"}},
        {"v20", {"20.11.1"}, {"21.0"}},
    };
    for (const auto& [text, allowed, refused] : cases) {
        const auto requirement = r(text);
        for (const auto& version : allowed)
            EXPECT_TRUE(requirement.allows(v(version))) << text << " should allow " << version;
        for (const auto& version : refused)
            EXPECT_FALSE(requirement.allows(v(version))) << text << " should refuse " << version;
        const auto again = r(requirement.text());
        EXPECT_EQ(again.text(), requirement.text());
        for (const auto& version : allowed)
            EXPECT_TRUE(again.allows(v(version))) << again.text() << " written from " << text;
        for (const auto& version : refused)
            EXPECT_FALSE(again.allows(v(version))) << again.text() << " written from " << text;
    }
}

TEST(Requirements, SayWhatIsWrongAndWhere) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "it is empty"},
        {"  ", "it is empty"},
        {"three", "a number is missing"},
        {">=", "a number is missing"},
        {"3.20 3.21", "several terms need an operator each"},
        {"* >=3", "several terms need an operator each"},
        {">=3,", "a term is missing (at character 5)"},
        {">=3,,<4", "a term is missing (at character 5)"},
        {"~1.x", "'x' takes no operator"},
        {">=1.0+b", "build metadata has no order"},
        {"!=1.0", "a number is missing"},
        {"x.1", "a number is missing"},
        {std::string(2000, '1'), "it is longer than 1024 bytes"},
    };
    for (const auto& [text, why] : wrong) {
        const auto requirement = Requirement::parse(text);
        ASSERT_FALSE(requirement) << text;
        EXPECT_THAT(requirement.error().message, HasSubstr(why)) << text;
    }
}

TEST(Requirements, AreCombinedIntoOneThatCanBeReadAgain) {
    const std::vector<Requirement> all{r("3.20"), r(">=3.18"), r("*"), r("3.20"), r("<4, >3.19")};
    const auto both = Requirement::all_of(all);
    EXPECT_EQ(both.text(), "=3.20 >=3.18 <4 >3.19");
    EXPECT_EQ(r(both.text()).text(), both.text());
    EXPECT_TRUE(both.allows(v("3.20.3")));
    EXPECT_FALSE(both.allows(v("3.21.0")));
    EXPECT_TRUE(Requirement::all_of(std::vector<Requirement>{}).is_any());
    EXPECT_EQ(Requirement::all_of(std::vector{r("*"), r("latest")}).text(), "*");
}

TEST(Requirements, KnowTheBranchesThatBoundThem) {
    using Branch = Requirement::Branch;
    const std::vector<std::tuple<const char*, Branch, std::optional<Branch>>> cases = {
        {"3.20", {3, 20}, Branch{3, 20}},
        {"3.20.3", {3, 20}, Branch{3, 20}},
        {"~3.14", {3, 14}, Branch{3, 14}},
        {"~3.14.2", {3, 14}, Branch{3, 14}},
        {">=3.18", {3, 18}, std::nullopt},
        {">3.18", {3, 19}, std::nullopt},
        {">=3.18 <3.20", {3, 18}, Branch{3, 19}},
        {"<=3.20", {0, 0}, Branch{3, 20}},
        {"<3.20.2", {0, 0}, Branch{3, 20}},
        {"^3.18", {3, 18}, Branch{3, Requirement::kNoLimit}},
        {"<4", {0, 0}, Branch{3, Requirement::kNoLimit}},
        {"latest", {0, 0}, std::nullopt},
    };
    for (const auto& [text, least, most] : cases) {
        EXPECT_EQ(r(text).least_branch(), least) << text;
        EXPECT_EQ(r(text).most_branch(), most) << text;
    }
}

} // namespace
} // namespace squish::catalog
