#include "catalog/lock.h"
#include "catalog/manifest.h"
#include "catalog/source_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace squish::catalog {
namespace {

using ::testing::HasSubstr;

const std::string kDigest(64, 'a');

std::string index_text(const std::string& versions, const std::string& head = R"("format": 1, "name": "python")") {
    return "{" + head + R"(, "versions": [)" + versions + "]}";
}

std::string archive_text(const std::string& arch = "x86_64", const std::string& file = "python-3.11.2.tar.zst",
                         const std::string& size = "1000", const std::string& sha256 = kDigest) {
    return R"({"arch": ")" + arch + R"(", "file": ")" + file + R"(", "size": )" + size + R"(, "sha256": ")" + sha256 +
           "\"}";
}

std::string version_text(const std::string& version, const std::string& archives, const std::string& more = "") {
    return R"({"version": ")" + version + "\"" + more + R"(, "archives": [)" + archives + "]}";
}

std::string why(const std::string& json) {
    const auto index = parse_index(json, "python");
    return index ? "accepted" : index.error().message;
}

TEST(SourceIndexes, AreReadNewestFirst) {
    const auto index = parse_index(
        index_text(version_text("3.11.2", archive_text() + "," + archive_text("any", "python-any.tar")) + "," +
                   version_text("3.12.0", archive_text("aarch64"), R"(, "requires": {"alpine": ">=3.18"})")),
        "python");
    ASSERT_TRUE(index) << index.error().message;
    ASSERT_EQ(index->versions.size(), 2U);
    EXPECT_EQ(index->versions[0].version.text(), "3.12.0");
    EXPECT_EQ(index->versions[0].requires_.at("alpine").text(), ">=3.18");
    EXPECT_EQ(archive_for(index->versions[0], "x86_64"), nullptr);
    EXPECT_EQ(archive_for(index->versions[1], "x86_64")->file, "python-3.11.2.tar.zst");
    EXPECT_EQ(archive_for(index->versions[1], "riscv64")->file, "python-any.tar");
}

TEST(SourceIndexes, RefuseWhatCouldLeadElsewhere) {
    for (const char* file : {"../x.tar", "/etc/passwd", "https://evil.example/x.tar", "a/b.tar", "..", ".hidden", "",
                             "a b.tar", "x.tar?y", "x%2f.tar", "x#y"})
        EXPECT_THAT(why(index_text(version_text("1.0", archive_text("x86_64", file)))),
                    HasSubstr("'versions[0].archives[0].file' must be the name of a file beside the index"))
            << file;
}

TEST(SourceIndexes, RefuseTheIndexOfAnotherLayer) {
    // it may carry a valid signature: a mirror could offer an old node as python
    EXPECT_THAT(why(index_text("", R"("format": 1, "name": "node")")),
                HasSubstr("'name' must be 'python', the folder it lies in, not 'node'"));
}

TEST(SourceIndexes, AreReadStrictly) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "not valid JSON"},
        {"[]", "the index of 'python'"},
        {"{}", "'format' is missing"},
        {index_text("", R"("format": 2, "name": "python")"), "has format 2; this squish reads 1"},
        {index_text("", R"("format": "1", "name": "python")"), "'format' is missing or no integer"},
        {R"({"format": 1, "name": "python"})", "versions"},
        {index_text("", R"("format": 1, "name": "python", "more": 1)"), "unknown key 'more'"},
        {index_text("5"), "'versions[0]' must be a table"},
        {index_text(version_text("abc", archive_text())), "'abc' is not a version"},
        {index_text(version_text("1.0", "")), "'versions[0].archives' must not be empty"},
        {index_text(version_text("1.0", archive_text() + "," + archive_text())), "is a second archive for 'x86_64'"},
        {index_text(version_text("1.0", archive_text()) + "," + version_text("1.0.0", archive_text())),
         "is there twice"},
        {index_text(version_text("1.0", archive_text("X86"))), "must be an architecture"},
        {index_text(version_text("1.0", archive_text("x86_64", "f", "0"))), "must be between 1 and"},
        {index_text(version_text("1.0", archive_text("x86_64", "f", "1e3"))), "must be an integer"},
        {index_text(version_text("1.0", archive_text("x86_64", "f", "1", "AA"))), "must be 64 lower-case"},
        {index_text(version_text("1.0", archive_text(), R"(, "requires": {"a/b": "*"})")), "is not a layer name"},
        {index_text(version_text("1.0", archive_text(), R"(, "requires": {"a": "three"})")), "is not a version req"},
        {index_text(version_text("1.0", archive_text(), R"(, "requires": ["a"])")), "must be a table"},
        {std::string(5 << 20, ' '), "is longer than"},
        {std::string(100'000, '['), "the index of 'python'"},
    };
    for (const auto& [json, expected] : wrong)
        EXPECT_THAT(why(json), HasSubstr(expected)) << json.substr(0, 200);
}

TEST(SourceIndexes, AreWrittenTheSameWhateverTheOrder) {
    const Version one = Version::parse("1.0.0").value(), two = Version::parse("2.0.0").value();
    const IndexArchive x86{"x86_64", "a.tar.zst", 10, kDigest}, arm{"aarch64", "b.tar.zst", 20, kDigest};
    const Requires needs{{"alpine", Requirement::parse("3.20").value()}};
    SourceIndex a{"tool", {}}, b{"tool", {}};
    ASSERT_TRUE(add_to_index(a, one, needs, x86));
    ASSERT_TRUE(add_to_index(a, one, needs, arm));
    ASSERT_TRUE(add_to_index(a, two, {}, x86));
    ASSERT_TRUE(add_to_index(b, two, {}, x86));
    ASSERT_TRUE(add_to_index(b, one, needs, arm));
    ASSERT_TRUE(add_to_index(b, one, needs, x86));
    EXPECT_EQ(write_index(a), write_index(b));
    const auto again = parse_index(write_index(a), "tool");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, a);
    EXPECT_EQ(again->versions[0].version.text(), "2.0.0");
}

TEST(SourceIndexes, ReplaceAnArchiveAndRefuseOtherRequirements) {
    const Version one = Version::parse("1.0.0").value();
    const Requires needs{{"alpine", Requirement::parse("3.20").value()}};
    SourceIndex index{"tool", {}};
    ASSERT_TRUE(add_to_index(index, one, {}, {"x86_64", "a.tar.zst", 10, kDigest}));
    ASSERT_TRUE(add_to_index(index, one, needs, {"x86_64", "b.tar.zst", 11, kDigest}));
    ASSERT_EQ(index.versions.at(0).archives.size(), 1U);
    EXPECT_EQ(index.versions[0].archives[0].file, "b.tar.zst");
    const auto before = index;
    EXPECT_EQ(add_to_index(index, one, {}, {"aarch64", "c.tar.zst", 11, kDigest}).error().kind, ErrorKind::conflict);
    EXPECT_EQ(index, before);
    EXPECT_FALSE(add_to_index(index, one, needs, {"x86_64", "../c", 11, kDigest}));
    EXPECT_FALSE(add_to_index(index, one, needs, {"x86_64", "c", 0, kDigest}));
}

std::string manifest_errors(std::string_view toml) {
    const auto manifest = parse_manifest(toml);
    return manifest ? "accepted" : render("layer.toml", manifest.error());
}

TEST(LayerManifests, AreRead) {
    const auto manifest = parse_manifest(R"(
name = "python"
version = "3.11.2"
[requires]
alpine = ">=3.18"
[env]
PYTHONHOME = "@ROOT@"
A = ""
[run]
command = "./bin//python3"
args = ["-u"]
entry = ["main.py", "src/app.py"]
)");
    ASSERT_TRUE(manifest) << render("layer.toml", manifest.error());
    EXPECT_EQ(manifest->name, "python");
    EXPECT_EQ(manifest->version->text(), "3.11.2");
    EXPECT_EQ(manifest->requires_.at("alpine").text(), ">=3.18");
    EXPECT_EQ(manifest->env.at(0), std::pair(std::string("PYTHONHOME"), std::string("@ROOT@")));
    EXPECT_EQ(manifest->run->command, "bin/python3");
    EXPECT_EQ(manifest->run->entry.at(1), "src/app.py");
    EXPECT_EQ(parse_manifest("").value(), LayerManifest());
}

TEST(LayerManifests, SayWhatIsWrongAndWhere) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"nam = 'x'", "layer.toml:1:1: unknown key 'nam'; did you mean 'name'?"},
        {"name = '../x'", "layer.toml:1:8: 'name' must be a layer name"},
        {"version = 'x'", "layer.toml:1:11: 'version' is wrong: 'x' is not a version"},
        {"version = 3.11", "layer.toml:1:11: 'version' must be a string, not a float"},
        {"[requires]\npython = 'abc'", "layer.toml:2:10: 'requires.python' is wrong"},
        {"[requires]\n'a/b' = '*'", "layer.toml:2:1: 'a/b' is not a layer name"},
        {"name = 'a'\n[requires]\na = '*'", "names the layer itself"},
        {"[run]\ncommand = '/bin/sh'", "layer.toml:2:11: 'run.command' must be relative to the layer's root"},
        {"[run]\ncommand = '../../bin/sh'", "'run.command' must not contain '..'"},
        {"[run]\ncommand = './'", "'run.command' must name a file"},
        {"[run]\ncommand = 'x'\nentry = ['../a']", "'run.entry[0]' must not contain '..'"},
        {"[run]\nargs = []", "command"},
        {"[env]\n'A=B' = 'c'", "is not a variable name"},
        {"[env]\nA = \"x\\u0000\"", "contains a NUL byte"},
        {"x", "not valid TOML"},
        {std::string(70'000, '\n'), "longer than"},
    };
    for (const auto& [toml, expected] : wrong)
        EXPECT_THAT(manifest_errors(toml), HasSubstr(expected)) << toml.substr(0, 100);
}

TEST(LockFiles, ReadBackAsTheyWereWritten) {
    Lock lock{"x86_64", {}};
    lock.layers["alpine"] = {Version::parse("3.20.3").value(), kDigest, "https://mirror.example/alpine"};
    lock.layers["bundle.v2"] = {std::nullopt, kDigest, "./a \"b\" \\ c.zip"};
    const auto text = write_lock(lock);
    EXPECT_EQ(text, write_lock(lock));
    const auto again = parse_lock(text);
    ASSERT_TRUE(again) << render("squishfile.lock", again.error());
    EXPECT_EQ(*again, lock);
}

TEST(LockFiles, AreReadStrictly) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "format"},
        {"format = 2\narch = 'x86_64'", "squishfile.lock:1:10: 'format' must be 1"},
        {"format = 1", "arch"},
        {"format = 1\narch = 'x86_64'\n[layers.a]\nversion = '1'", "sha256"},
        {"format = 1\narch = 'x86_64'\n[layers.a]\nsha256 = 'zz'", "must be 64 lower-case"},
        {"format = 1\narch = 'x86_64'\n[layers.'../a']\nsha256 = '" + kDigest + "'", "is not a layer name"},
        {"format = 1\narch = 'x86_64'\nmore = 1", "unknown key 'more'"},
        {std::string(300'000, '\n'), "longer than"},
    };
    for (const auto& [toml, expected] : wrong) {
        const auto lock = parse_lock(toml);
        ASSERT_FALSE(lock) << toml;
        EXPECT_THAT(render("squishfile.lock", lock.error()), HasSubstr(expected)) << toml.substr(0, 80);
    }
}

} // namespace
} // namespace squish::catalog
