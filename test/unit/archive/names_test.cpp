#include "../../support/archives.h"
#include "archive/manifest.h"
#include "archive/names.h"
#include "base/archive_kind.h"

#include <algorithm>

namespace squish::archive {
namespace {

std::string parsed(std::string_view name) {
    const auto out = parse_name(name, Limits{});
    return out ? out->path + (out->absolute ? " (absolute)" : "") : "error: " + out.error().message;
}

TEST(Names, AreTakenApart) {
    EXPECT_EQ(parsed("a/b"), "a/b");
    EXPECT_EQ(parsed("./a//./b/"), "a/b");
    EXPECT_EQ(parsed("/a"), "a (absolute)");
    EXPECT_EQ(parsed("."), "");
    EXPECT_EQ(parsed("a..b/..c/d.."), "a..b/..c/d..");
    EXPECT_EQ(parsed(""), "error: it has no name");
    const auto name = *parse_name("a/b/c", Limits{});
    EXPECT_EQ(name.parent(), "a/b");
    EXPECT_EQ(name.leaf(), "c");
    EXPECT_EQ(parse_name("c", Limits{})->parent(), "");
}

TEST(Names, AreOrderedPartByPart) {
    std::vector<std::string> names = {"b", "a-b", "a/b", "a", "", "a/b/c", "a/b-c", "\xff", "a\x01"};
    std::ranges::sort(names, comes_before);
    EXPECT_EQ(names, (std::vector<std::string>{"", "a", "a/b", "a/b/c", "a/b-c", "a\x01", "a-b", "b", "\xff"}));
}

TEST(Recognise, KnowsTheFormatsByTheirFirstBytes) {
    using namespace std::string_view_literals;
    EXPECT_EQ(recognise("\x1f\x8b\x08\0"sv), Kind::gzip);
    EXPECT_EQ(recognise("BZh91AY&SY"sv), Kind::bzip2);
    EXPECT_EQ(recognise("BZh9 is how some text begins"sv), Kind::plain);
    EXPECT_EQ(recognise("\xfd\x37zXZ\0"sv), Kind::xz);
    EXPECT_EQ(recognise("\x28\xb5\x2f\xfd"sv), Kind::zstd);
    EXPECT_EQ(recognise("\x50\x2a\x4d\x18"sv), Kind::zstd);
    EXPECT_EQ(recognise("PK\x03\x04"sv), Kind::zip);
    EXPECT_EQ(recognise("PK\x05\x06"sv), Kind::zip);
    EXPECT_EQ(recognise("PK"sv), Kind::plain);
    EXPECT_EQ(recognise(""sv), Kind::plain);
    EXPECT_EQ(recognise(test::TarBytes().add("x", "y").bytes()), Kind::tar);
    EXPECT_EQ(recognise(std::string(1024, '\0')), Kind::plain);
    auto tar = test::TarBytes().add("x", "y").bytes();
    tar[0] = 'z';
    EXPECT_EQ(recognise(tar), Kind::plain) << "the checksum is wrong";
}

TEST(Manifest, ReadsBackWhatItWrites) {
    std::vector<Record> records(5);
    records[0].type = Type::folder;
    records[0].mode = 01777;
    records[1] = {.type = Type::file,
                  .mode = 0644,
                  .uid = 65534,
                  .gid = 7,
                  .size = 123456789012,
                  .seconds = -5,
                  .nanoseconds = 42,
                  .digest = sha256_of("x"),
                  .path = "a b\n\\\xff",
                  .target = "",
                  .xattrs = {{"user.x y", std::string("\0\xff", 2)}, {"user.z", ""}}};
    records[2].type = Type::hard_link;
    records[2].path = "b";
    records[2].target = "a b\n\\\xff";
    records[3].type = Type::symlink;
    records[3].path = "c";
    records[3].target = "-> to \t nowhere";
    records[4].path = "d";
    const auto text = write_manifest(records);
    EXPECT_EQ(std::ranges::count(text, '\n'), 6);
    const auto again = read_manifest(text);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(write_manifest(*again), text);
    EXPECT_EQ((*again)[1].path, records[1].path);
    EXPECT_EQ((*again)[1].xattrs, records[1].xattrs);
    EXPECT_EQ((*again)[1].seconds, -5);
    EXPECT_EQ((*again)[3].target, records[3].target);
}

TEST(Manifest, DamageIsToldWithItsLine) {
    std::vector<Record> records(2);
    records[0].type = Type::folder;
    records[1].path = "x";
    const auto text = write_manifest(records);
    for (const auto& damaged : {std::string(), text.substr(0, text.size() - 1), text + "z\n", text + text, "x" + text,
                                text + "\n", text + "f 0644 0 0 0 0.0 - y\n", text + "l 0777 0 0 0 0.0 - y\n",
                                text + "h y\n", text + "d 0755 0 0 0 0.0 - a\n", text.substr(0, 18)}) {
        const auto read = read_manifest(damaged);
        ASSERT_FALSE(read) << damaged;
        EXPECT_TRUE(read.error().message.starts_with("the manifest is damaged in line ")) << read.error().message;
    }
}

} // namespace
} // namespace squish::archive
