#include "publish/publish.h"

#include "os/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace squish::publish {
namespace {

using ::testing::HasSubstr;

class Publishing : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ =
            std::filesystem::temp_directory_path() / ("squish-publish-" + std::to_string(::getpid()) + "-" +
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::remove_all(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    Result<Published> publish_text(const std::string& version, const std::string& text, Publication what = {}) {
        const auto archive = TRY(os::sealed_memfd("archive", text, false));
        what.source = folder_;
        what.name = "tool";
        what.version = TRY(catalog::Version::parse(version));
        what.arch = "x86_64";
        what.suffix = ".tar.zst";
        what.archive = archive.get();
        what.size = text.size();
        what.sha256 = std::string(64, text.back()); // whatever it is: publish() believes its caller
        return publish(what);
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream in(folder_ / "tool" / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::filesystem::path folder_;
};

TEST_F(Publishing, MakesASourceThatCanBeRead) {
    ASSERT_TRUE(publish_text("1.0.0", "archive a"));
    const auto second = publish_text("1.1.0", "archive b");
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->archive, folder_.string() + "/tool/tool-1.1.0-x86_64.tar.zst");
    EXPECT_EQ(read("tool-1.0.0-x86_64.tar.zst"), "archive a");
    const auto index = catalog::parse_index(read("index.json"), "tool");
    ASSERT_TRUE(index) << index.error().text();
    ASSERT_EQ(index->versions.size(), 2U);
    EXPECT_EQ(index->versions[0].archives[0].file, "tool-1.1.0-x86_64.tar.zst");
    EXPECT_EQ(std::filesystem::status(folder_ / "tool/index.json").permissions(), std::filesystem::perms(0644));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "tool"), {}), 3);
}

TEST_F(Publishing, ChangesNothingTheSecondTime) {
    ASSERT_TRUE(publish_text("1.0.0", "archive a"));
    const auto before = read("index.json");
    ASSERT_TRUE(publish_text("1.0.0", "archive a"));
    EXPECT_EQ(read("index.json"), before);
}

TEST_F(Publishing, RefusesOtherContentsUnderAPublishedVersion) {
    ASSERT_TRUE(publish_text("1.0.0", "archive a"));
    const auto refused = publish_text("1.0.0", "archive b");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
    EXPECT_EQ(read("tool-1.0.0-x86_64.tar.zst"), "archive a");
    Publication replace;
    replace.existing = Publication::Existing::replace;
    ASSERT_TRUE(publish_text("1.0.0", "archive b", replace));
    EXPECT_EQ(read("tool-1.0.0-x86_64.tar.zst"), "archive b");
}

TEST_F(Publishing, SignsTheIndexAndNeverLeavesAStaleSignature) {
    Publication sign;
    sign.key = catalog::SecretKey::generate();
    ASSERT_TRUE(publish_text("1.0.0", "archive a", sign));
    EXPECT_TRUE(sign.key->public_key().verify(read("index.json"), read("index.json.minisig")));
    const auto unsigned_ = publish_text("1.1.0", "archive b");
    ASSERT_FALSE(unsigned_);
    EXPECT_THAT(unsigned_.error().message, HasSubstr("is signed, and no key was given"));
    ASSERT_TRUE(publish_text("1.1.0", "archive b", sign));
    EXPECT_TRUE(sign.key->public_key().verify(read("index.json"), read("index.json.minisig")));
}

TEST_F(Publishing, LeavesADamagedIndexAlone) {
    ASSERT_TRUE(publish_text("1.0.0", "archive a"));
    std::ofstream(folder_ / "tool/index.json") << "{";
    EXPECT_FALSE(publish_text("1.1.0", "archive b"));
    EXPECT_EQ(read("index.json"), "{");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "tool/tool-1.1.0-x86_64.tar.zst"));
}

} // namespace
} // namespace squish::publish
