#include "catalog/alpine.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

namespace squish::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kSha256(64, 'a');
const std::string kSha512(128, 'b');

// As a mirror publishes it: several flavors, a block of text, a date.
std::string list(const std::string& branch, const std::string& version, const std::string& arch = "x86_64") {
    const auto entry = [&](const std::string& flavor, const std::string& file) {
        return "-\n  title: \"" + flavor + "\"\n  desc: |\n    First line.\n    Second: line.\n  branch: " + branch +
               "\n  arch: " + arch + "\n  version: " + version + "\n  flavor: " + flavor + "\n  file: " + file +
               "\n  iso: " + file + "\n  date: 2024-09-06\n  time: 00:00:00\n  size: 3490290\n  sha256: " + kSha256 +
               "\n  sha512: " + kSha512 + "\n";
    };
    return "---\n" + entry("alpine-standard", "alpine-standard-" + version + "-" + arch + ".iso") +
           entry("alpine-minirootfs", "alpine-minirootfs-" + version + "-" + arch + ".tar.gz") +
           entry("alpine-virt", "alpine-virt-" + version + "-" + arch + ".iso");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

TEST(AlpineReleases, AreReadAsMirrorsPublishThem) {
    const auto release = parse_latest_releases(list("v3.20", "3.20.3"), "x86_64");
    ASSERT_TRUE(release) << release.error().message;
    EXPECT_EQ(release->version.text(), "3.20.3");
    EXPECT_EQ(release->path("x86_64"), "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz");
    EXPECT_EQ(release->size, 3490290U);
    EXPECT_EQ(release->sha256, kSha256);
    EXPECT_EQ(release->sha512, kSha512);
}

TEST(AlpineReleases, RefuseWhatCouldLeadElsewhere) {
    const auto good = list("v3.20", "3.20.3");
    const std::vector<std::tuple<std::string, std::string, std::string>> wrong = {
        {"alpine-minirootfs-3.20.3-x86_64.tar.gz", "../../../etc/passwd", "its file is '../../../etc/passwd'"},
        {"alpine-minirootfs-3.20.3-x86_64.tar.gz", "alpine-minirootfs-3.14.0-x86_64.tar.gz", "its file is"},
        {"version: 3.20.3", "version: 3.20.3/../..", "is not a version"},
        {"branch: v3.20", "branch: v3.14", "version 3.20.3 in branch 'v3.14'"},
        {"size: 3490290", "size: 0", "its size is not between"},
        {"size: 3490290", "size: 99999999999999", "its size is not between"},
        {"size: 3490290", "size: -1", "its size is not between"},
        {kSha256, std::string(63, 'a'), "its sha256 is not 64"},
        {kSha512, std::string(128, 'Z'), "its sha512 is not 128"},
        {"  sha256: " + kSha256 + "\n", "", "has no 'sha256'"},
    };
    for (const auto& [from, to, why] : wrong) {
        const auto release = parse_latest_releases(replaced(good, from, to), "x86_64");
        ASSERT_FALSE(release) << to;
        EXPECT_EQ(release.error().kind, ErrorKind::invalid) << to;
        EXPECT_THAT(release.error().message, HasSubstr(why));
    }
}

TEST(AlpineReleases, RefuseWhatIsNoList) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "it is no sequence"},
        {"<html><body>Welcome to the hotel</body></html>", "it is no sequence"},
        {"a: b", "it is no sequence"},
        {"- 1\n- 2\n", "is no small map"},
        {"- [unfinished", "not a list of Alpine releases"},
        {"- *missing", "not a list of Alpine releases"},
        {std::string(100'000, '['), "it nests too deeply"},
        {std::string(300'000, ' '), "it is longer than"},
    };
    for (const auto& [text, why] : wrong) {
        const auto release = parse_latest_releases(text, "x86_64");
        ASSERT_FALSE(release) << text.substr(0, 40);
        EXPECT_THAT(release.error().message, HasSubstr(why)) << text.substr(0, 40);
    }
    EXPECT_EQ(parse_latest_releases(list("v3.20", "3.20.3"), "aarch64").error().kind, ErrorKind::not_found);
}

// A mirror in memory: path → contents. Counts what it is asked.
struct Mirror {
    std::map<std::string, std::string> files;
    std::vector<std::string> asked;

    void add(const std::string& folder, const std::string& branch, const std::string& version) {
        files[folder + "/releases/x86_64/latest-releases.yaml"] = list(branch, version);
    }
    void add_file(const std::string& branch, const std::string& version) {
        const auto file = "alpine-minirootfs-" + version + "-x86_64.tar.gz";
        files[branch + "/releases/x86_64/" + file + ".sha256"] = kSha256 + "  " + file + "\n";
        files[branch + "/releases/x86_64/" + file + ".sha512"] = kSha512 + "  " + file + "\n";
    }
    std::string find(std::string_view requirement) {
        asked.clear();
        AlpineSearch search(Requirement::parse(requirement).value(), "x86_64");
        while (search.next()) {
            const auto path = *search.next();
            asked.push_back(path.substr(0, path.find('/')) +
                            (path.ends_with("yaml") ? "" : path.substr(path.rfind('.'))));
            if (asked.size() > 100)
                return "endless";
            const auto found = files.find(path);
            const auto taken =
                search.answer(found == files.end() ? std::nullopt : std::optional<std::string_view>(found->second));
            if (!taken)
                return taken.error().message;
        }
        const auto release = search.result();
        return release ? release->version.text() : release.error().message;
    }
};

Mirror whole_mirror() {
    Mirror mirror;
    for (int minor = 14; minor <= 22; ++minor)
        mirror.add("v3." + std::to_string(minor), "v3." + std::to_string(minor), "3." + std::to_string(minor) + ".5");
    mirror.add("latest-stable", "v3.22", "3.22.5");
    for (const char* version : {"3.20.0", "3.20.1", "3.20.3"})
        mirror.add_file("v3.20", version);
    return mirror;
}

TEST(AlpineSearch, AsksForOneListWhereTheRequirementNamesABranch) {
    auto mirror = whole_mirror();
    EXPECT_EQ(mirror.find("3.20"), "3.20.5");
    EXPECT_THAT(mirror.asked, ElementsAre("v3.20"));
    EXPECT_EQ(mirror.find("~3.14"), "3.14.5");
    EXPECT_THAT(mirror.asked, ElementsAre("v3.14"));
    EXPECT_EQ(mirror.find("3.20.5"), "3.20.5");
    EXPECT_THAT(mirror.asked, ElementsAre("v3.20"));
}

TEST(AlpineSearch, AsksForTheNewestWhereThatWillDo) {
    auto mirror = whole_mirror();
    for (const char* requirement : {"latest", "*", ">=3.18", "^3.18", "3"}) {
        EXPECT_EQ(mirror.find(requirement), "3.22.5") << requirement;
        EXPECT_THAT(mirror.asked, ElementsAre("latest-stable")) << requirement;
    }
}

TEST(AlpineSearch, WalksDownWhereTheNewestIsTooNew) {
    auto mirror = whole_mirror();
    EXPECT_EQ(mirror.find(">=3.16 <3.20"), "3.19.5");
    EXPECT_THAT(mirror.asked, ElementsAre("latest-stable", "v3.19"));
    mirror.files.erase("v3.19/releases/x86_64/latest-releases.yaml");
    EXPECT_EQ(mirror.find(">=3.16 <3.20"), "3.18.5");
    EXPECT_THAT(mirror.asked, ElementsAre("latest-stable", "v3.19", "v3.18"));
    EXPECT_EQ(mirror.find("<=3.17"), "3.17.5");
}

TEST(AlpineSearch, FindsAnOlderPatchByItsDigestFiles) {
    auto mirror = whole_mirror();
    EXPECT_EQ(mirror.find("3.20.3"), "3.20.3");
    EXPECT_THAT(mirror.asked, ElementsAre("v3.20", "v3.20.sha256", "v3.20.sha512"));
    EXPECT_EQ(mirror.find("~3.20.0 <3.20.5"), "3.20.3"); // 3.20.4 is not there
    EXPECT_EQ(mirror.find(">=3.20 <=3.20.2"), "3.20.1");
    EXPECT_THAT(mirror.find("3.20.2"), HasSubstr("no Alpine release satisfies '3.20.2' for x86_64: the newest that "
                                                 "was seen is 3.20.5"));
    mirror.files.erase("v3.20/releases/x86_64/latest-releases.yaml");
    EXPECT_EQ(mirror.find("3.20.3"), "3.20.3");
}

TEST(AlpineSearch, ManagesWithoutLatestStable) {
    Mirror mirror; // like a partial mirror: two branches and nothing else
    mirror.add("v3.14", "v3.14", "3.14.10");
    mirror.add("v3.20", "v3.20", "3.20.3");
    EXPECT_EQ(mirror.find("latest"), "3.20.3");
    EXPECT_LE(mirror.asked.size(), 16U);
    EXPECT_EQ(mirror.find(">=3.18"), "3.20.3");
    EXPECT_EQ(mirror.find("<3.20"), "3.14.10");
    EXPECT_THAT(mirror.find(">=3.21"), HasSubstr("no Alpine release satisfies"));
    EXPECT_THAT(mirror.find(">=9.99"), HasSubstr("no Alpine release satisfies"));
    EXPECT_THAT(mirror.find(">=3.20 <3.19"), HasSubstr("no Alpine release satisfies"));
    EXPECT_TRUE(mirror.asked.empty());
}

TEST(AlpineSearch, RefusesTheListOfAnotherBranch) {
    Mirror mirror;
    mirror.add("v3.20", "v3.14", "3.14.10"); // an attacker's replay, or a broken mirror
    EXPECT_EQ(mirror.find("3.20"), "the list of branch v3.20 is about v3.14");
}

TEST(AlpineSearch, RefusesTheDigestOfAnotherFile) {
    auto mirror = whole_mirror();
    const auto path = "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz.sha256";
    mirror.files[path] = kSha256 + "  alpine-minirootfs-3.20.1-x86_64.tar.gz\n";
    EXPECT_THAT(mirror.find("3.20.3"), HasSubstr("it names 'alpine-minirootfs-3.20.1-x86_64.tar.gz'"));
    mirror.files[path] = "<html>";
    EXPECT_THAT(mirror.find("3.20.3"), HasSubstr("it does not start with 64 hexadecimal digits"));
}

TEST(AlpineArch, IsAlpinesName) {
    EXPECT_EQ(alpine_arch("x86_64"), "x86_64");
    EXPECT_EQ(alpine_arch("aarch64"), "aarch64");
    EXPECT_EQ(alpine_arch("armv7l"), "armv7");
    EXPECT_EQ(alpine_arch("i686"), "x86");
}

} // namespace
} // namespace squish::catalog
