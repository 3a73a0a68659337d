// What honest archives hold, in each format, from files and from pipes.
#include "unpacking.h"

namespace squish::archive {
namespace {

class Unpack : public Unpacking {
protected:
    static TarBytes sample() {
        return TarBytes()
            .folder("./")
            .folder("./bin", 0755)
            .add("./bin/run", "#!/bin/sh\n", {.mode = 0755})
            .hard_link("bin/also", "./bin/run")
            .symlink("sh", "/bin/run")
            .add("data", std::string(100'000, 'd'), {.mode = 0640, .mtime = 1'234'567'890});
    }
    void expect_sample(const Unpacked& done) const {
        EXPECT_EQ(text("bin/run"), "#!/bin/sh\n");
        EXPECT_EQ(mode("bin/run"), 0755U);
        EXPECT_EQ(info("bin/also").st_ino, info("bin/run").st_ino);
        EXPECT_EQ(fs::read_symlink(at("sh")), "/bin/run");
        EXPECT_EQ(text("data").size(), 100'000U);
        EXPECT_EQ(mode("data"), 0640U);
        EXPECT_EQ(info("data").st_mtim.tv_sec, 1'234'567'890);
        EXPECT_EQ(info("bin").st_mtim.tv_sec, 1'000'000'000);
        EXPECT_EQ(done.progress.entries, 6U);
        EXPECT_EQ(done.progress.written, 100'010U);
        EXPECT_EQ(done.tree_digest, sha256_of(done.manifest));
    }
    void clear() const {
        for (const auto* name : {"bin", "sh", "data"})
            EXPECT_TRUE(remove_tree(target().get(), name));
    }
};

TEST_F(Unpack, TarThroughEveryFilterFromFilesAndPipes) {
    const std::vector<std::pair<Kind, std::string>> all = {
        {Kind::tar, sample().bytes()},
        {Kind::gzip, compressed(sample().bytes(), ARCHIVE_FILTER_GZIP)},
        {Kind::bzip2, compressed(sample().bytes(), ARCHIVE_FILTER_BZIP2)},
        {Kind::xz, compressed(sample().bytes(), ARCHIVE_FILTER_XZ)},
        {Kind::zstd, compressed(sample().bytes(), ARCHIVE_FILTER_ZSTD)},
    };
    std::optional<Digest> digest;
    for (const auto& [kind, bytes] : all)
        for (const bool piped : {false, true}) {
            auto with = options();
            with.input_digest = true;
            const auto done = piped ? unpack_piped(bytes, with) : unpack_bytes(bytes, with);
            ASSERT_TRUE(done) << to_string(kind) << ": " << done.error().text();
            EXPECT_EQ(done->kind, kind);
            expect_sample(*done);
            EXPECT_EQ(done->input_digest, sha256_of(bytes));
            EXPECT_EQ(done->progress.read, bytes.size());
            if (!digest)
                digest = done->tree_digest;
            EXPECT_EQ(digest, done->tree_digest) << "equal trees have equal digests";
            clear();
        }
}

TEST_F(Unpack, ZipWithSizesInFrontAndBehindFromFilesAndPipes) {
    for (const auto sizes : {ZipSizes::in_front, ZipSizes::behind})
        for (const bool piped : {false, true}) {
            const auto zip = zipped({{"bin/", "", 0755, AE_IFDIR},
                                     {"bin/run", std::string(5000, 'r'), 0755},
                                     {"link", "bin/run", 0777, AE_IFLNK},
                                     {"\xc3\xbc", "umlaut"}},
                                    sizes);
            EXPECT_EQ((zip[zip.find("bin/run") - 24] & 8) != 0, sizes == ZipSizes::behind);
            auto with = options();
            with.input_digest = true;
            const auto done = piped ? unpack_piped(zip, with) : unpack_bytes(zip, with);
            ASSERT_TRUE(done) << done.error().text();
            EXPECT_EQ(done->kind, Kind::zip);
            EXPECT_EQ(mode("bin/run"), 0755U) << "the list at the end of the zip says so";
            EXPECT_EQ(fs::read_symlink(at("link")), "bin/run");
            EXPECT_EQ(text("\xc3\xbc"), "umlaut");
            EXPECT_EQ(done->input_digest, sha256_of(zip));
            for (const auto* name : {"bin", "link", "\xc3\xbc"})
                EXPECT_TRUE(remove_tree(target().get(), name));
        }
}

TEST_F(Unpack, APlainFileBecomesAFileLayer) {
    std::string program = "\x7f"
                          "ELF";
    for (int i = 0; i < 300'000; ++i)
        program += static_cast<char>(i * 7);
    auto with = options();
    with.plain_name = "tool";
    for (const bool piped : {false, true}) {
        const auto done = piped ? unpack_piped(program, with) : unpack_bytes(program, with);
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(done->kind, Kind::plain);
        EXPECT_EQ(text("tool"), program);
        EXPECT_EQ(mode("tool"), 0755U);
        EXPECT_TRUE(remove_tree(target().get(), "tool"));
    }
}

TEST_F(Unpack, ACompressedFileThatIsNoTarStaysAsItIs) {
    auto with = options();
    with.plain_name = "data.gz";
    for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD}) {
        std::string noise;
        for (std::uint32_t i = 0, state = 3; i < 2'000'000; ++i)
            noise += static_cast<char>((state = state * 1103515245 + 12345) >> 16);
        const auto bytes = compressed(noise, filter);
        const auto done = unpack_piped(bytes, with);
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(done->kind, Kind::plain);
        EXPECT_TRUE(text("data.gz") == bytes) << filter;
        EXPECT_TRUE(remove_tree(target().get(), "data.gz"));
    }
}

TEST_F(Unpack, APlainNameIsAName) {
    auto with = options();
    for (const auto* name : {"..", "a/b", "", "."}) {
        with.plain_name = name;
        EXPECT_FALSE(unpack_bytes("plain", with)) << name;
    }
}

TEST_F(Unpack, OnlyIntoAnEmptyFolder) {
    std::ofstream(at("there")) << "x";
    EXPECT_THAT(refusal(sample().bytes()), HasSubstr("not empty"));
}

TEST_F(Unpack, FoldersThatNoEntryAnnouncesLookTheSameEachTime) {
    const auto one = unpack_bytes(TarBytes().add("a/b/c", "x").bytes());
    ASSERT_TRUE(one);
    EXPECT_EQ(mode("a/b"), 0755U);
    EXPECT_EQ(info("a").st_mtim.tv_sec, 0);
    EXPECT_EQ(mode("."), 0755U);
    EXPECT_TRUE(remove_tree(target().get(), "a"));
    const auto two = unpack_bytes(TarBytes().add("a/b/c", "x").bytes());
    ASSERT_TRUE(two);
    EXPECT_EQ(one->tree_digest, two->tree_digest);
}

TEST_F(Unpack, TheTreesOwnFolderHasWhatItsEntrySays) {
    ASSERT_TRUE(unpack_bytes(TarBytes().add("x", "y").add("./", "", {.type = '5', .mode = 0711, .mtime = 77}).bytes()));
    EXPECT_EQ(mode("."), 0711U);
    EXPECT_EQ(info(".").st_mtim.tv_sec, 77);
}

TEST_F(Unpack, ClosedFoldersAreFilledFirst) {
    ASSERT_TRUE(unpack_bytes(
        TarBytes().folder("d", 0500).add("d/f", "x", {.mode = 0400}).folder("d/e", 0555).add("d/e/g", "y").bytes()));
    EXPECT_EQ(mode("d"), 0500U);
    EXPECT_EQ(mode("d/e"), 0555U);
    EXPECT_EQ(text("d/e/g"), "y");
}

TEST_F(Unpack, LongNamesInGnuAndPaxFormat) {
    const std::string folder(180, 'f'), name = folder + "/" + std::string(200, 'n'), link(3000, 'l');
    const auto done = unpack_bytes(TarBytes()
                                       .gnu_long('L', name)
                                       .add("f", "gnu")
                                       .pax({{"path", name + "2"}, {"mtime", "1000000000.123456789"}})
                                       .add("g", "pax")
                                       .gnu_long('K', link)
                                       .symlink("s", "short")
                                       .pax({{"linkpath", link}})
                                       .symlink("t", "short")
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text(name) + text(name + "2"), "gnupax");
    EXPECT_EQ(info(name + "2").st_mtim.tv_nsec, 123'456'789);
    EXPECT_EQ(fs::read_symlink(at("s")), link);
    EXPECT_EQ(fs::read_symlink(at("t")), link);
}

TEST_F(Unpack, SparseFilesKeepTheirHoles) {
    // GNU format 1.0: the map stands before the data. 1 MiB of which the last byte is there.
    const auto with_end = [](std::size_t size) {
        auto map = std::string("1\n") + std::to_string(size - 1) + "\n1\n";
        return map + std::string(512 - map.size(), '\0') + "x";
    };
    const auto done = unpack_bytes(TarBytes()
                                       .pax({{"GNU.sparse.major", "1"},
                                             {"GNU.sparse.minor", "0"},
                                             {"GNU.sparse.name", "sparse"},
                                             {"GNU.sparse.realsize", "1048576"}})
                                       .add("GNUSparseFile.0/sparse", with_end(1 << 20))
                                       .pax({{"GNU.sparse.major", "1"},
                                             {"GNU.sparse.minor", "0"},
                                             {"GNU.sparse.name", "hole"},
                                             {"GNU.sparse.realsize", "1048576"}})
                                       .add("GNUSparseFile.0/hole", "1\n1048576\n0\n" + std::string(512 - 12, '\0'))
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(info("sparse").st_size, 1 << 20);
    EXPECT_LE(info("sparse").st_blocks * 512, 64 * 1024);
    EXPECT_EQ(text("sparse"), std::string((1 << 20) - 1, '\0') + "x");
    EXPECT_EQ(info("hole").st_size, 1 << 20);
    EXPECT_EQ(info("hole").st_blocks, 0);
    EXPECT_EQ(done->progress.written, 2U << 20);
}

TEST_F(Unpack, HardLinksThatCarryTheBytes) {
    const auto done = unpack_bytes(TarBytes()
                                       .add("a", "")
                                       .pax({{"comment", "x"}})
                                       .add("b", "content", {.type = '1', .link = "a", .mode = 0600})
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(info("a").st_ino, info("b").st_ino);
    EXPECT_EQ(text("a"), "content");
    EXPECT_EQ(mode("a"), 0600U);
}

TEST_F(Unpack, AttributesOfUsersAreKeptAndRightsAreNot) {
    const auto done =
        unpack_bytes(TarBytes()
                         .pax({{"SCHILY.xattr.user.note", "kept"},
                               {"SCHILY.xattr.security.capability", std::string("\1\0\0\2", 4)},
                               {"SCHILY.xattr.trusted.x", "y"},
                               {"SCHILY.acl.access", "user::rwx,user:1000:rwx,group::r--,mask::rwx,other::r--"}})
                         .add("f", "x")
                         .pax({{"SCHILY.xattr.user.on", "folder"}})
                         .folder("d")
                         .bytes());
    ASSERT_TRUE(done) << done.error().text();
    char value[16] = {};
    EXPECT_EQ(::getxattr(at("f").c_str(), "user.note", value, sizeof value), 4);
    EXPECT_STREQ(value, "kept");
    EXPECT_EQ(::getxattr(at("d").c_str(), "user.on", value, sizeof value), 6);
    EXPECT_LT(::getxattr(at("f").c_str(), "security.capability", value, sizeof value), 0);
    EXPECT_LT(::getxattr(at("f").c_str(), "system.posix_acl_access", value, sizeof value), 0);
    EXPECT_GE(done->tamed.xattrs, 3U);
    EXPECT_THAT(done->manifest, HasSubstr(" @user.note=6b657074"));
}

TEST_F(Unpack, ProgressIsToldAndMayEndIt) {
    auto with = options();
    std::uint64_t calls = 0, entries = 0;
    with.on_progress = [&](const Progress& progress) {
        ++calls;
        EXPECT_GE(progress.entries, entries);
        entries = progress.entries;
        return true;
    };
    ASSERT_TRUE(unpack_bytes(sample().bytes(), with));
    EXPECT_GE(calls, 6U);
    EXPECT_EQ(entries, 6U);
    clear();
    with.on_progress = [](const Progress& progress) { return progress.entries < 3; };
    EXPECT_THAT(refusal(sample().bytes(), with), HasSubstr("cancelled"));
}

TEST_F(Unpack, OwnersThatCannotBeGivenAreErrorsWhereTheyWereAskedFor) {
    if (::geteuid() == 0)
        GTEST_SKIP() << "root may give any owner";
    auto with = options();
    with.owners = Owners::kept;
    EXPECT_THAT(refusal(TarBytes().add("a", "x", {.uid = 12'345}).bytes(), with), HasSubstr("owner 12345:"));
}

TEST_F(Unpack, MoreThanAQueueFullOfBlocks) {
    std::string content;
    for (std::uint32_t i = 0; content.size() < 20'000'000; ++i)
        content += std::to_string(i * 2654435761U);
    const auto bytes = compressed(TarBytes().add("big", content).add("small", "x").bytes(), ARCHIVE_FILTER_ZSTD);
    const auto done = unpack_piped(bytes);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(*os::read_file(at("big"), 1 << 30) == content);
    EXPECT_EQ(text("small"), "x");
}

} // namespace
} // namespace squish::archive
