#include "catalog/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace squish::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Requirement r(std::string_view text) {
    return Requirement::parse(text).value();
}

Requires needs(std::initializer_list<std::pair<const char*, const char*>> all) {
    Requires out;
    for (const auto& [name, requirement] : all)
        out.emplace(name, r(requirement));
    return out;
}

Candidate candidate(std::string_view version, Requires requires_ = {}) {
    return {Version::parse(version).value(), "digest-" + std::string(version), "source", std::move(requires_), 0};
}

struct Fixture {
    ResolveInput input{{}, {}, "x86_64", {}, LockMode::none};
    Fixture& wish(const char* name, const char* requirement) {
        input.wishes.push_back({name, r(requirement), "web.toml:" + std::to_string(input.wishes.size() + 1) + ":1"});
        return *this;
    }
    Fixture& has(const char* name, std::vector<Candidate> candidates) {
        input.known[name].candidates = std::move(candidates);
        return *this;
    }
    [[nodiscard]] std::vector<std::string> chosen() const {
        const auto outcome = resolve(input);
        std::vector<std::string> out;
        if (!outcome)
            return {"error: " + outcome.error().message};
        if (!std::holds_alternative<Resolution>(*outcome))
            return {"unknown"};
        for (const auto& layer : std::get<Resolution>(*outcome).layers)
            out.push_back(layer.name + " " + (layer.candidate ? layer.candidate->version.text() : "given"));
        return out;
    }
    [[nodiscard]] Error error() const {
        const auto outcome = resolve(input);
        EXPECT_FALSE(outcome);
        return outcome ? Error{} : outcome.error();
    }
};

TEST(Resolver, TakesTheNewestThatSatisfies) {
    Fixture f;
    f.wish("python", "~3.11").has("python", {candidate("3.11.2"), candidate("3.12.0"), candidate("3.11.9")});
    EXPECT_THAT(f.chosen(), ElementsAre("python 3.11.9"));
}

TEST(Resolver, AddsWhatLayersRequireOnceAndSaysWhy) {
    Fixture f;
    f.wish("app", "1").wish("python", "~3.11");
    f.has("app", {candidate("1.0", needs({{"python", ">=3.11.1"}, {"tool", "*"}}))});
    f.has("python", {candidate("3.11.9", needs({{"alpine", ">=3.18"}}))});
    f.has("tool", {candidate("2.0", needs({{"alpine", "3.20"}}))});
    f.has("alpine", {candidate("3.18.1"), candidate("3.20.3"), candidate("3.21.0")});
    EXPECT_THAT(f.chosen(), ElementsAre("app 1.0", "python 3.11.9", "tool 2.0", "alpine 3.20.3"));
    const auto outcome = resolve(f.input);
    ASSERT_TRUE(outcome);
    const auto& layers = std::get<Resolution>(*outcome).layers;
    EXPECT_THAT(layers[1].why, ElementsAre("'~3.11': web.toml:2:1", "'>=3.11.1': web.toml:1:1 -> app 1.0"));
    EXPECT_THAT(layers[3].why,
                ElementsAre("'>=3.18': web.toml:2:1 -> python 3.11.9", "'3.20': web.toml:1:1 -> app 1.0 -> tool 2.0"));
}

TEST(Resolver, GoesBackToAnOlderVersionWhereTheNewestConflicts) {
    Fixture f;
    f.wish("app", "*").wish("python", "3.11");
    f.has("app", {candidate("2.0", needs({{"python", ">=3.12"}})), candidate("1.0", needs({{"python", ">=3.10"}}))});
    f.has("python", {candidate("3.11.2"), candidate("3.12.1")});
    EXPECT_THAT(f.chosen(), ElementsAre("app 1.0", "python 3.11.2"));
}

TEST(Resolver, GoesBackOverSeveralLayers) {
    Fixture f; // a 2 wants c 1, b wants c 2: only a 1 fits
    f.wish("a", "*").wish("b", "*");
    f.has("a", {candidate("1.0", needs({{"c", "*"}})), candidate("2.0", needs({{"c", "1"}}))});
    f.has("b", {candidate("1.0", needs({{"c", "2"}})), candidate("1.1", needs({{"c", "2"}}))});
    f.has("c", {candidate("1.0"), candidate("2.0")});
    EXPECT_THAT(f.chosen(), ElementsAre("a 1.0", "b 1.1", "c 2.0"));
}

TEST(Resolver, ShowsTheChainOfAConflict) {
    Fixture f;
    f.wish("app", "*").wish("python", "3.11");
    f.has("app", {candidate("2.0", needs({{"tool", "*"}}))});
    f.has("tool", {candidate("1.5", needs({{"python", ">=3.12"}}))});
    f.has("python", {candidate("3.11.2"), candidate("3.12.1")});
    const auto error = f.error();
    EXPECT_EQ(error.kind, ErrorKind::conflict);
    EXPECT_THAT(error.message, HasSubstr("no version of layer 'python' satisfies all who ask for it: '3.11' asked for "
                                         "by web.toml:2:1; '>=3.12' asked for by web.toml:1:1 -> app 2.0 -> tool 1.5; "
                                         "known are 3.12.1, 3.11.2"));
}

TEST(Resolver, ShowsTheChainOfACycle) {
    Fixture f;
    f.wish("a", "*");
    f.has("a", {candidate("1.0", needs({{"b", "*"}}))});
    f.has("b", {candidate("1.0", needs({{"c", "*"}}))});
    f.has("c", {candidate("1.0", needs({{"a", "*"}}))});
    EXPECT_EQ(f.error().kind, ErrorKind::conflict);
    EXPECT_EQ(f.error().message, "layers require one another: a 1.0 -> b 1.0 -> c 1.0 -> a 1.0");
}

TEST(Resolver, SeesACycleAmongLayersThatAreAllAskedFor) {
    Fixture f;
    f.wish("a", "*").wish("b", "*");
    f.has("a", {candidate("1.0", needs({{"b", "*"}}))}).has("b", {candidate("1.0", needs({{"a", "*"}}))});
    EXPECT_EQ(f.error().message, "layers require one another: a 1.0 -> b 1.0 -> a 1.0");
}

TEST(Resolver, AvoidsACycleWithAnOlderVersion) {
    Fixture f;
    f.wish("a", "*");
    f.has("a", {candidate("2.0", needs({{"b", "*"}})), candidate("1.0")});
    f.has("b", {candidate("1.0", needs({{"a", "*"}}))});
    EXPECT_THAT(f.chosen(), ElementsAre("a 1.0"));
}

TEST(Resolver, AllowsADiamond) {
    Fixture f;
    f.wish("a", "*");
    f.has("a", {candidate("1.0", needs({{"b", "*"}, {"c", "*"}}))});
    f.has("b", {candidate("1.0", needs({{"d", "*"}}))}).has("c", {candidate("1.0", needs({{"d", "*"}}))});
    f.has("d", {candidate("1.0")});
    EXPECT_THAT(f.chosen(), ElementsAre("a 1.0", "b 1.0", "c 1.0", "d 1.0"));
}

TEST(Resolver, NamesWhatItMustKnowFirst) {
    Fixture f;
    f.wish("alpine", ">=3.18").wish("python", "~3.11").wish("alpine", "<3.21");
    auto outcome = resolve(f.input);
    ASSERT_TRUE(outcome && std::holds_alternative<Unknown>(*outcome));
    const auto& names = std::get<Unknown>(*outcome).names;
    ASSERT_EQ(names.size(), 2U);
    EXPECT_EQ(names[0].first, "alpine");
    EXPECT_EQ(names[0].second.text(), ">=3.18 <3.21");
    EXPECT_EQ(names[1].first, "python");

    f.has("alpine", {candidate("3.20.3")});
    auto unread = candidate("3.11.2");
    unread.requires_.reset();
    f.has("python", {unread});
    outcome = resolve(f.input);
    ASSERT_TRUE(outcome && std::holds_alternative<Unknown>(*outcome));
    EXPECT_THAT(std::get<Unknown>(*outcome).requires_of,
                ElementsAre(std::pair(std::string("python"), Version::parse("3.11.2").value())));
}

TEST(Resolver, AsksAProviderAgainWhenMoreIsRequiredOfItsLayer) {
    Fixture f;
    f.wish("alpine", "*").wish("python", "*");
    f.has("alpine", {candidate("3.22.0")}).has("python", {candidate("3.11.2", needs({{"alpine", "<3.21"}}))});
    f.input.known["alpine"].answers = {Requirement::any()};
    const auto outcome = resolve(f.input);
    // 3.22.0 was chosen before the requirement was known: a conflict for which a better answer may exist
    ASSERT_TRUE(outcome) << outcome.error().message;
    ASSERT_TRUE(std::holds_alternative<Unknown>(*outcome));
    EXPECT_EQ(std::get<Unknown>(*outcome).names.at(0).second.text(), "<3.21");
    f.has("alpine", {candidate("3.22.0"), candidate("3.20.3")});
    f.input.known["alpine"].answers.push_back(r("<3.21"));
    EXPECT_THAT(f.chosen(), ElementsAre("alpine 3.20.3", "python 3.11.2"));
}

TEST(Resolver, SaysThatNothingSatisfies) {
    Fixture f;
    f.wish("python", "~3.13").has("python", {candidate("3.11.2"), candidate("3.12.0")});
    EXPECT_EQ(f.error().kind, ErrorKind::not_found);
    EXPECT_EQ(f.error().message, "no version of layer 'python' satisfies '~3.13' asked for by web.toml:1:1: "
                                 "known are 3.12.0, 3.11.2");
    f.has("python", {});
    EXPECT_THAT(f.error().message, HasSubstr("no version of it is known"));
}

TEST(Resolver, TakesAGivenLayerForWhatItsManifestSays) {
    Fixture f;
    f.wish("python", "*").wish("app", "*").has("app", {candidate("1.0", needs({{"python", ">=3.10"}}))});
    f.input.known["python"].given = true;
    EXPECT_THAT(f.error().message, HasSubstr("the squishfile gives its own without a version"));
    f.input.known["python"].given_version = Version::parse("3.11.0").value();
    f.input.known["python"].given_requires = needs({{"libs", "*"}});
    f.has("libs", {candidate("7.0")});
    EXPECT_THAT(f.chosen(), ElementsAre("python given", "app 1.0", "libs 7.0"));
}

TEST(Resolver, TakesOnlyWhatTheLockAllows) {
    Fixture f;
    f.wish("python", "3").has("python", {candidate("3.11.2"), candidate("3.12.0")});
    f.input.lock.arch = "x86_64";
    f.input.lock.layers["python"] = {Version::parse("3.11.2").value(), "digest-3.11.2", ""};
    f.input.lock_mode = LockMode::required;
    EXPECT_THAT(f.chosen(), ElementsAre("python 3.11.2"));
    f.input.lock_mode = LockMode::prefer;
    EXPECT_THAT(f.chosen(), ElementsAre("python 3.11.2"));
    f.input.lock_mode = LockMode::none;
    EXPECT_THAT(f.chosen(), ElementsAre("python 3.12.0"));

    f.input.lock_mode = LockMode::required;
    f.input.lock.layers["python"].sha256 = "published again";
    EXPECT_EQ(f.error().kind, ErrorKind::denied);
    EXPECT_THAT(f.error().message, HasSubstr("which no source has"));
    f.input.lock.layers["python"].sha256 = "digest-3.11.2";
    f.input.wishes[0].requirement = r(">=3.12");
    EXPECT_THAT(f.error().message, HasSubstr("does not satisfy what is asked for: '>=3.12' asked for by web.toml:1:1"));
    f.input.lock.layers.clear();
    EXPECT_THAT(f.error().message, HasSubstr("does not name layer 'python'"));
    f.input.lock.arch = "aarch64";
    EXPECT_THAT(f.error().message, HasSubstr("the lock file is for aarch64, not for x86_64"));
}

TEST(Resolver, RefusesAGivenArchiveThatIsNotTheLockedOne) {
    Fixture f;
    f.wish("bundle", "*");
    auto& known = f.input.known["bundle"];
    known.given = true;
    known.given_sha256 = "new";
    f.input.lock = {"x86_64", {{"bundle", {std::nullopt, "old", ""}}}};
    f.input.lock_mode = LockMode::required;
    EXPECT_EQ(f.error().message, "layer 'bundle' is sha256 new, and locked to old");
    known.given_sha256 = "old";
    EXPECT_THAT(f.chosen(), ElementsAre("bundle given"));
}

// An index that was made to keep the resolver busy ends in an error, soon.
TEST(Resolver, GivesUpOnAnEndlessSearch) {
    Fixture f;
    std::vector<Candidate> many;
    for (int i = 0; i < 50; ++i)
        many.push_back(candidate("1." + std::to_string(i)));
    for (const char* name : {"a", "b", "c", "d", "e"})
        f.wish(name, "*").has(name, many);
    f.wish("z", "*").has("z", {candidate("1.0", needs({{"none", ">=2"}}))}).has("none", {candidate("1.0")});
    EXPECT_EQ(f.error().kind, ErrorKind::not_found);
    EXPECT_THAT(f.error().message, HasSubstr("no version of layer 'none' satisfies"));
}

} // namespace
} // namespace squish::catalog
