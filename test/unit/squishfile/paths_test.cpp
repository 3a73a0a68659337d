// Where relative paths lead and where layers without a target go.
#include "expectations.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace squish {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Two folders that are gone after the test: the squishfile's own and the caller's.
class Paths : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "squishfile-test-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        fs::create_directory(folder());
        fs::create_directory(here());
    }
    void TearDown() override { fs::remove_all(root_); }

    [[nodiscard]] std::string folder() const { return root_ + "/deploy"; }
    [[nodiscard]] std::string here() const { return root_ + "/here"; }
    static void touch(const std::string& path) {
        fs::create_directories(fs::path(path).parent_path());
        std::ofstream(path) << "x";
    }
    // The only layer of a file, resolved.
    [[nodiscard]] LayerSpec resolved(std::string_view text) const {
        auto file = parsed(text);
        resolve_paths(file, folder(), here());
        return file.layers.empty() ? LayerSpec{} : file.layers.front();
    }

    std::string root_;
};

TEST_F(Paths, AreRelativeToTheSquishfile) {
    touch(folder() + "/bin/web");
    touch(here() + "/bin/web");
    EXPECT_EQ(resolved("layers.app = './bin/web'").path, folder() + "/bin/web");
}

TEST_F(Paths, AreRelativeToTheCallerWhereTheSquishfileHasNoSuchFile) {
    touch(here() + "/bin/web");
    EXPECT_EQ(resolved("layers.app = './bin/web'").path, here() + "/bin/web");
}

TEST_F(Paths, StayBesideTheSquishfileWhereNeitherHasTheFile) {
    EXPECT_EQ(resolved("layers.app = './bin/web'").path, folder() + "/bin/web");
}

TEST_F(Paths, SeeADanglingLinkAsAThingThatExists) {
    fs::create_symlink("/nowhere", folder() + "/web");
    touch(here() + "/web");
    EXPECT_EQ(resolved("layers.app = './web'").path, folder() + "/web");
}

TEST_F(Paths, AreNormalised) {
    EXPECT_EQ(resolved("layers.x = './a/../b//c/'").path, folder() + "/b/c");
    EXPECT_EQ(resolved("layers.x = '../b'").path, root_ + "/b");
    EXPECT_EQ(resolved("layers.x = '/a/./b/'").path, "/a/b");
    EXPECT_EQ(resolved("layers.x = '/'").path, "/");
    EXPECT_EQ(resolved("layers.x = '.'").path, folder());
}

TEST_F(Paths, UnderstandTheCallersHome) {
    ::setenv("HOME", "/home/someone", 1);
    EXPECT_EQ(resolved("layers.x = '~/site'").path, "/home/someone/site");
    EXPECT_EQ(resolved("layers.x = '~/site'").target, "/app/site");
    EXPECT_EQ(resolved("layers.x = '~'").path, "/home/someone");
    EXPECT_EQ(resolved("layers.x = './~'").path, folder() + "/~");
}

TEST_F(Paths, GiveEveryLayerItsDefaultTarget) {
    struct Case {
        std::string_view text, target;
    };
    constexpr Case kCases[] = {
        {"layers.app = './test/http-asm'", "/app/http-asm"},
        {"layers.app = '/opt/http-asm'", "/app/http-asm"},
        {"layers.app = '../../http-asm'", "/app/http-asm"},
        {"layers.app = './dist/'", "/app/dist"},
        {"layers.app = '.'", "/app/app"},
        {"layers.files = './site'", "/app/site"},
        {"layers.files = '../site'", "/app/site"},
        {"layers.files = './../.././site/'", "/app/site"},
        {"layers.files = './a/b'", "/app/a/b"},
        {"layers.files = './a/../b'", "/app/b"},
        {"layers.files = './a/../../b'", "/app/b"},
        {"layers.files = '/srv/site'", "/app/srv/site"},
        {"layers.files = '//srv//site'", "/app/srv/site"},
        {"layers.files = '.'", "/app/files"},
        {"layers.files = '..'", "/app/files"},
        {"layers.files = '../..'", "/app/files"},
        {"layers.files = '/'", "/app/files"},
        {"layers.files = '~/'", "/app/files"},
        {"layers.files = { path = 'site' }", "/app/site"},
        {"layers.files = { path = '...' }", "/app/..."},
        {"layers.files = { path = 'site', target = '/srv' }", "/srv"},
    };
    for (const auto& [text, target] : kCases) {
        SCOPED_TRACE(text);
        EXPECT_EQ(resolved(text).target, target);
        EXPECT_EQ(mount_target(parsed(text).layers.front()), target) << "known before the path is resolved";
    }
}

TEST_F(Paths, LeaveTheTargetOfOtherLayersAlone) {
    EXPECT_EQ(resolved("layers.mine = { path = './tree', rootfs = true }").target, std::nullopt);
    EXPECT_EQ(resolved("layers.python = '3.11'").target, std::nullopt);
    EXPECT_EQ(mount_target(resolved("layers.mine = { path = './tree', rootfs = true }")), "/");
    EXPECT_EQ(mount_target(resolved("layers.python = '3.11'")), "/sdk/python");
    EXPECT_EQ(mount_target(resolved("layers.alpine = '3.20'")), "/");
    EXPECT_EQ(mount_target(LayerSpec{.name = "x",
                                     .source = LayerSpec::Source::url,
                                     .version = {},
                                     .path = {},
                                     .url = "https://h/x",
                                     .sha256 = {},
                                     .target = {},
                                     .at = {}}),
              std::nullopt);
}

TEST_F(Paths, ChangeNothingWhenResolvedASecondTime) {
    auto file = parsed(kFullExample);
    resolve_paths(file, folder(), here());
    const auto once = file;
    resolve_paths(file, "/elsewhere", "/elsewhere");
    EXPECT_EQ(file, once);
}

TEST_F(Paths, OfASeccompProfileAreResolvedToo) {
    touch(here() + "/profile.json");
    auto file = parsed("security.seccomp = './profile.json'");
    resolve_paths(file, folder(), here());
    EXPECT_EQ(file.security.seccomp, here() + "/profile.json");
    for (const std::string_view word : {"default", "unconfined"}) {
        auto plain = parsed("security.seccomp = '" + std::string(word) + "'");
        resolve_paths(plain, folder(), here());
        EXPECT_EQ(plain.security.seccomp, word);
    }
}

TEST(Targets, OfLayersThatWereAddedAreCheckedAgain) {
    auto file = parsed("[layers]\npython = '3.11'\napp = './web'\n");
    EXPECT_TRUE(check_targets(file).empty());
    file.layers.push_back(file.layers.front());
    file.layers.back().name = "debug";
    EXPECT_TRUE(check_targets(file).empty());
    file.layers.back().target = "/app";
    const auto overlaps = check_targets(file);
    ASSERT_EQ(overlaps.size(), 1U);
    EXPECT_THAT(overlaps[0].message,
                HasSubstr("layer 'debug' would be mounted at /app, which hides layer 'app' at /app/web"));
}

TEST(Targets, ThatOnlyBeginAlikeDoNotOverlap) {
    EXPECT_TRUE(check_targets(parsed("[layers]\na = { path = 'a', target = '/data' }\n"
                                     "b = { path = 'b', target = '/database' }\n"
                                     "c = { path = 'c', target = '/data-2' }"))
                    .empty());
}

TEST(Targets, MayLieAnywhereInTheRootfs) {
    EXPECT_TRUE(
        check_targets(parsed("[layers]\nalpine = '3.20'\nc = { path = 'c', target = '/etc/web.conf' }")).empty());
}

} // namespace
} // namespace squish
