// Archives that try to lead out, to overwhelm or to confuse. Each: nothing outside is written or read (the fixture
// looks), and the outcome is the one that docs/layers-unpacking.md promises.
#include "unpacking.h"

namespace squish::archive {
namespace {

class Hostile : public Unpacking {
protected:
    [[nodiscard]] std::string outside(const std::string& path = "") const { return base_ + "/outside" + path; }
};

TEST_F(Hostile, NamesThatLeadUpwardsAreRefused) {
    for (const auto* name : {"../x", "a/../../x", "a/..", "..", "./../x", "/../x", "a//../x"}) {
        const auto said = refusal(TarBytes().add(name, "x").bytes());
        EXPECT_THAT(said, AllOf(HasSubstr("leads upwards"), HasSubstr("'" + std::string(name) + "'")));
    }
    EXPECT_FALSE(fs::exists(base_ + "/x"));
}

TEST_F(Hostile, NamesInAZipThatLeadUpwardsAreRefused) {
    EXPECT_THAT(refusal(zipped({{"../x", "x"}}, ZipSizes::behind)), HasSubstr("leads upwards"));
}

TEST_F(Hostile, AbsoluteNamesLoseTheirSlash) {
    const auto done = unpack_bytes(TarBytes().add("/tmp/squish-hostile", "x").add("///b", "y").bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text("tmp/squish-hostile"), "x");
    EXPECT_EQ(text("b"), "y");
    EXPECT_EQ(done->tamed.absolute_names, 2U);
}

TEST_F(Hostile, NothingIsWrittenThroughALinkOut) {
    for (const auto& to :
         {outside(), std::string("../outside"), std::string("../../../../../../../../../..") + outside()}) {
        const auto said = refusal(TarBytes().symlink("out", to).add("out/new", "x").bytes());
        EXPECT_THAT(said, AllOf(HasSubstr("'out/new'"), HasSubstr("links are not followed")));
        EXPECT_TRUE(remove_tree(target().get(), "out"));
    }
}

TEST_F(Hostile, AFileOverALinkReplacesTheLink) {
    const auto done = unpack_bytes(TarBytes()
                                       .symlink("a", outside("/secret"))
                                       .add("a", "mine")
                                       .symlink("b", outside("/new"))
                                       .add("b", "b")
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text("a"), "mine");
    EXPECT_TRUE(S_ISREG(info("a").st_mode));
    EXPECT_FALSE(fs::exists(outside("/new")));
    EXPECT_EQ(done->tamed.duplicates, 2U);
}

TEST_F(Hostile, AFolderOverALinkReplacesTheLink) {
    const auto done =
        unpack_bytes(TarBytes().symlink("a", outside("/folder")).folder("a", 0700).add("a/new", "mine").bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(S_ISDIR(info("a").st_mode));
    EXPECT_EQ(text("a/new"), "mine");
}

TEST_F(Hostile, LinksChangedBetweenEntriesLeadNowhere) {
    // A folder, used, then a link in its place, then used again: what was remembered of the folder must not count.
    const auto said =
        refusal(TarBytes().folder("d").add("d/one", "1").symlink("d", outside("/folder")).add("d/two", "2").bytes());
    EXPECT_THAT(said, AllOf(HasSubstr("'d/two'"), HasSubstr("links are not followed")));
}

TEST_F(Hostile, ADeepLinkChangedBetweenEntriesLeadsNowhere) {
    const auto said =
        refusal(TarBytes().add("a/b/c/one", "1").symlink("a/b", outside()).add("a/b/folder/two", "2").bytes());
    EXPECT_THAT(said, HasSubstr("links are not followed"));
}

TEST_F(Hostile, HardLinksOutAreRefused) {
    EXPECT_THAT(refusal(TarBytes().hard_link("a", "../outside/secret").bytes()), HasSubstr("leads upwards"));
    // Absolute: the same file of the layer, which is not there.
    EXPECT_THAT(refusal(TarBytes().hard_link("b", outside("/secret")).bytes()), HasSubstr("No such file"));
    // Through a link.
    EXPECT_THAT(refusal(TarBytes().symlink("l", outside()).hard_link("c", "l/secret").bytes()), HasSubstr("link"));
    EXPECT_FALSE(exists("a") || exists("b") || exists("c"));
}

TEST_F(Hostile, AHardLinkToALinkOutIsThatLinkAndIsNeverWrittenThrough) {
    auto bytes = TarBytes().symlink("l", outside("/secret")).hard_link("h", "l");
    ASSERT_TRUE(unpack_bytes(bytes.bytes()));
    EXPECT_TRUE(S_ISLNK(info("h").st_mode));
    EXPECT_TRUE(remove_tree(target().get(), "l") && remove_tree(target().get(), "h"));
    // The same with bytes behind it, as pax archives may have.
    const auto said =
        refusal(bytes.pax({{"comment", "x"}}).add("h2", "overwritten", {.type = '1', .link = "l"}).bytes());
    EXPECT_THAT(said, HasSubstr("'h2'"));
}

TEST_F(Hostile, AHardLinkToAFolderIsRefused) {
    EXPECT_THAT(refusal(TarBytes().folder("d").hard_link("e", "d").bytes()), HasSubstr("no file"));
    EXPECT_TRUE(remove_tree(target().get(), "d"));
    EXPECT_THAT(refusal(TarBytes().hard_link("e", ".").bytes()), HasSubstr("'e'"));
}

TEST_F(Hostile, DevicesAndPipesAreLeftOutAndCounted) {
    const auto done = unpack_bytes(TarBytes()
                                       .add("dev/null", "", {.type = '3'})
                                       .add("dev/sda", "", {.type = '4'})
                                       .add("pipe", "", {.type = '6'})
                                       .hard_link("dev/also", "dev/sda")
                                       .add("file", "x")
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->tamed.devices, 3U);
    EXPECT_EQ(done->tamed.fifos, 1U);
    EXPECT_FALSE(exists("dev/null") || exists("dev/sda") || exists("dev/also") || exists("pipe"));
    EXPECT_EQ(text("file"), "x");
}

TEST_F(Hostile, SetuidAndItsLikeAreTakenAway) {
    const auto done = unpack_bytes(TarBytes()
                                       .add("su", "x", {.mode = 06755})
                                       .add("sticky", "x", {.mode = 01644})
                                       .folder("tmp", 01777)
                                       .folder("shared", 02775)
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(mode("su"), 0755U);
    EXPECT_EQ(mode("sticky"), 0644U);
    EXPECT_EQ(mode("tmp"), 01777U);
    EXPECT_EQ(mode("shared"), 0775U);
    EXPECT_GE(done->tamed.setuid, 2U);
}

TEST_F(Hostile, StrangeNamesAreKeptAndForgeNoLineOfTheManifest) {
    const std::string newline = "a\nf 0755 0 0 0 0.000000000 - evil", invalid = "b\xff\xfe\x80", escape = "c\x1b[2J",
                      blank = "d e\\x41";
    const auto done =
        unpack_bytes(TarBytes().add(newline, "1").add(invalid, "2").add(escape, "3").add(blank, "4").bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text(newline) + text(invalid) + text(escape) + text(blank), "1234");
    const auto records = read_manifest(done->manifest);
    ASSERT_TRUE(records) << records.error().text();
    ASSERT_EQ(records->size(), 5U);
    EXPECT_EQ((*records)[1].path, newline);
    EXPECT_EQ((*records)[2].path, invalid);
    EXPECT_EQ((*records)[4].path, blank);
    for (const char byte : done->manifest)
        ASSERT_TRUE(byte == '\n' || (byte >= 0x20 && byte < 0x7f));
}

TEST_F(Hostile, StrangeNamesInPaxAreKept) {
    const std::string decomposed = "e\xcc\x81", latin = "caf\xe9";
    const auto done = unpack_bytes(TarBytes()
                                       .pax({{"path", decomposed}})
                                       .add("x", "1")
                                       .pax({{"path", latin}})
                                       .add("y", "2")
                                       .pax({{"hdrcharset", "BINARY"}, {"path", "z\xff"}})
                                       .add("z", "3")
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text(decomposed) + text(latin) + text("z\xff"), "123");
}

TEST_F(Hostile, NamesInMessagesCannotSteerATerminal) {
    EXPECT_THAT(refusal(TarBytes().add("../\x1b[2J\n", "x").bytes()), HasSubstr("'../\\x1b[2J\\x0a'"));
}

TEST_F(Hostile, TheLastOfTwoEntriesCounts) {
    const auto done = unpack_bytes(TarBytes()
                                       .add("a", "first, which is longer")
                                       .add("a", "last")
                                       .folder("d")
                                       .add("d/x/y", "1")
                                       .folder("d", 0700)
                                       .add("d/x", "2")
                                       .symlink("s", "nowhere")
                                       .symlink("s", "a")
                                       .add("f", "x")
                                       .folder("f")
                                       .add("f/g", "in")
                                       .bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text("a") + text("d/x") + text("s") + text("f/g"), "last2lastin");
    EXPECT_EQ(mode("d"), 0700U);
}

TEST_F(Hostile, AFileThatReplacesALinkedOneLeavesTheOtherName) {
    const auto done =
        unpack_bytes(TarBytes().add("a", "old").hard_link("b", "a").add("a", "new").hard_link("b", "b").bytes());
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(text("a") + text("b"), "newold");
}

TEST_F(Hostile, AFileBelowAFileIsRefused) {
    EXPECT_THAT(refusal(TarBytes().add("a", "x").add("a/b", "y").bytes()), HasSubstr("'a/b'"));
}

TEST_F(Hostile, TheLayerItselfIsAFolder) {
    for (const auto* name : {".", "./", "/"}) {
        EXPECT_THAT(refusal(TarBytes().symlink(name, "/etc").bytes()), HasSubstr("no folder"));
        EXPECT_THAT(
            refusal(TarBytes().add(name, "x", {.type = name[0] == '.' && !name[1] ? '0' : '2', .link = "x"}).bytes()),
            HasSubstr("no folder"));
    }
    EXPECT_THAT(refusal(TarBytes().add("x", "x").hard_link(".", "x").bytes()), HasSubstr("no folder"));
}

// --- sizes

TEST_F(Hostile, TenGigabytesOfZerosInTenKilobytesAreRefusedEarly) {
    // 230 bzip2 streams, all the same, behind one with the header.
    auto bomb =
        compressed(TarBytes().add("zeros", "", {.size = 230ULL * 45'000'000}).unfinished(), ARCHIVE_FILTER_BZIP2);
    const auto zeros = compressed(std::string(45'000'000, '\0'), ARCHIVE_FILTER_BZIP2);
    for (int i = 0; i < 230; ++i)
        bomb += zeros;
    ASSERT_LT(bomb.size(), 12'000U);
    auto with = options();
    with.limits.file_bytes = 1ULL << 40; // or its header would be enough
    EXPECT_THAT(refusal(bomb, with), HasSubstr("limit 'ratio'"));
    EXPECT_LE(fs::exists(at("zeros")) ? fs::file_size(at("zeros")) : 0, 128U << 20);
    EXPECT_TRUE(remove_tree(target().get(), "zeros"));
}

TEST_F(Hostile, ABombOfZerosIsRefusedThroughEveryFilter) {
    auto with = options();
    with.limits.ratio_floor = 4 << 20;
    for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD}) {
        const auto bomb = compressed(TarBytes().add("zeros", std::string(20 << 20, '\0')).bytes(), filter);
        EXPECT_THAT(refusal(bomb, with), HasSubstr("limit 'ratio'")) << filter;
        EXPECT_TRUE(remove_tree(target().get(), "zeros"));
    }
}

TEST_F(Hostile, ABombBehindTheEndIsRefused) {
    Compressing bomb(ARCHIVE_FILTER_ZSTD);
    bomb.add(TarBytes().add("small", "x").bytes());
    const std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 200; ++i)
        bomb.add(zeros);
    EXPECT_THAT(refusal(bomb.finish()), HasSubstr("limit 'ratio'"));
}

TEST_F(Hostile, AnArchiveCompressedTwiceIsNoArchive) {
    auto bytes = TarBytes().add("x", "y").bytes();
    for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ})
        bytes = compressed(bytes, filter);
    EXPECT_THAT(refusal(bytes), HasSubstr("no archive"));
    auto with = options();
    with.plain_name = "nested";
    const auto done = unpack_bytes(bytes, with);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->kind, Kind::plain);
    EXPECT_EQ(text("nested"), bytes);
}

TEST_F(Hostile, AHoleOfTenGigabytesIsRefusedFromItsHeader) {
    const auto gnu_sparse =
        TarBytes()
            .pax({{"GNU.sparse.major", "1"},
                  {"GNU.sparse.minor", "0"},
                  {"GNU.sparse.name", "hole"},
                  {"GNU.sparse.realsize", "10737418240"}})
            .add("GNUSparseFile.0/hole", std::string("1\n10737418239\n1\n") + std::string(512 - 16, '\0') + "x")
            .bytes();
    EXPECT_THAT(refusal(gnu_sparse), AllOf(HasSubstr("'hole'"), HasSubstr("limit 'file_bytes'")));
    auto with = options();
    with.limits.file_bytes = with.limits.total_bytes = 1ULL << 40;
    EXPECT_THAT(refusal(gnu_sparse, with), HasSubstr("limit 'ratio'"));
}

TEST_F(Hostile, AZipBombIsRefused) {
    const auto zip = zipped_small("zeros", std::string(100 << 20, '\0'));
    ASSERT_LT(zip.size(), 300'000U);
    EXPECT_THAT(refusal(zip), HasSubstr("limit 'ratio'"));
    EXPECT_TRUE(remove_tree(target().get(), "zeros"));
    EXPECT_THAT(
        [&] {
            const auto done = unpack_piped(zip);
            return done ? "" : done.error().text();
        }(),
        HasSubstr("limit 'ratio'"));
}

TEST_F(Hostile, TotalAndFileAreLimited) {
    auto with = options();
    with.limits.total_bytes = 1000;
    EXPECT_THAT(refusal(TarBytes().add("a", std::string(600, 'x')).add("b", std::string(600, 'x')).bytes(), with),
                AllOf(HasSubstr("'b'"), HasSubstr("limit 'total_bytes'")));
    EXPECT_TRUE(remove_tree(target().get(), "a"));
    with = options();
    with.limits.file_bytes = 500;
    EXPECT_THAT(refusal(TarBytes().add("a", std::string(600, 'x')).bytes(), with), HasSubstr("limit 'file_bytes'"));
    with.plain_name = "plain";
    EXPECT_THAT(refusal(std::string(600, 'x'), with), HasSubstr("limit 'file_bytes'"));
}

TEST_F(Hostile, AMillionEntriesAreRefused) {
    // Pipes are left out, so that this is a test of counting and not of the disk.
    Compressing many(ARCHIVE_FILTER_ZSTD);
    std::string thousand;
    {
        TarBytes pipes;
        for (int i = 0; i < 1000; ++i)
            pipes.add("p" + std::to_string(i), "", {.type = '6'});
        thousand = pipes.unfinished();
    }
    for (int i = 0; i < 1000; ++i)
        many.add(thousand);
    many.add(std::string(1024, '\0'));
    auto with = options();
    with.limits.ratio = 100'000;
    EXPECT_THAT(refusal(many.finish(), with), AllOf(HasSubstr("500000"), HasSubstr("limit 'entries'")));
}

TEST_F(Hostile, AsManyEntriesAsAreAllowedAreUnpacked) {
    auto with = options();
    with.limits.entries = 100;
    TarBytes tar;
    for (int i = 0; i < 100; ++i)
        tar.add("f" + std::to_string(i), "x");
    EXPECT_TRUE(unpack_bytes(tar.bytes(), with));
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(remove_tree(target().get(), "f" + std::to_string(i)));
    EXPECT_THAT(refusal(tar.add("f100", "x").bytes(), with), AllOf(HasSubstr("'f100'"), HasSubstr("limit 'entries'")));
}

TEST_F(Hostile, DepthAndLengthAreLimited) {
    std::string deep;
    for (int i = 0; i < 5000; ++i)
        deep += "d/";
    EXPECT_THAT(refusal(TarBytes().gnu_long('L', deep).folder("d").bytes()), HasSubstr("longer than 4096 bytes"));
    auto with = options();
    with.limits.path_bytes = 100'000;
    EXPECT_THAT(refusal(TarBytes().gnu_long('L', deep).folder("d").bytes(), with),
                HasSubstr("deeper than 128 folders"));
    EXPECT_THAT(refusal(TarBytes().gnu_long('L', std::string(300, 'n')).add("n", "x").bytes()),
                HasSubstr("longer than 255 bytes"));
    EXPECT_THAT(refusal(TarBytes().gnu_long('K', std::string(5000, 'k')).symlink("l", "k").bytes()),
                HasSubstr("4095 bytes"));
}

TEST_F(Hostile, NamesTogetherAreLimited) {
    auto with = options();
    with.limits.name_bytes = 100;
    EXPECT_THAT(refusal(TarBytes().add("a", "x").symlink("b", std::string(99, 'l')).bytes(), with),
                AllOf(HasSubstr("'b'"), HasSubstr("limit 'name_bytes'")));
}

TEST_F(Hostile, AFiveThousandLevelTreeBuiltStepByStepIsRefused) {
    TarBytes tar;
    std::string path;
    for (int i = 0; i < 5000; ++i) {
        path += "d/";
        tar.gnu_long('L', path).folder("d");
    }
    EXPECT_THAT(refusal(tar.bytes()), HasSubstr("deeper than 128 folders"));
    EXPECT_TRUE(remove_tree(target().get(), "d"));
}

// --- damage

TEST_F(Hostile, WhatIsCutOffIsRefusedAtEveryTenth) {
    std::string noise;
    for (std::uint32_t i = 1, state = 7; i < 40'000; ++i)
        noise += static_cast<char>((state = state * 1103515245 + 12345) >> 16);
    const auto tar = TarBytes().folder("d").add("d/a", noise).add("b", noise).symlink("c", "b").bytes();
    std::vector<std::string> whole = {tar};
    for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD})
        whole.push_back(compressed(tar, filter));
    for (const auto sizes : {ZipSizes::in_front, ZipSizes::behind})
        whole.push_back(zipped({{"d/a", noise}, {"b", noise}}, sizes));
    for (const auto& bytes : whole)
        for (std::size_t tenth = 1; tenth < 10; ++tenth) {
            const auto done = unpack_piped(std::string_view(bytes).substr(0, bytes.size() * tenth / 10));
            EXPECT_FALSE(done) << to_string(recognise(bytes)) << " at " << tenth << "/10";
            for (const auto* name : {"d", "b", "c"})
                EXPECT_TRUE(remove_tree(target().get(), name));
        }
}

TEST_F(Hostile, ATarWithoutItsEndIsRefused) {
    const auto tar = TarBytes().add("a", "x").add("b", "y");
    EXPECT_THAT(refusal(tar.unfinished()), HasSubstr("cut off"));
    for (const auto* name : {"a", "b"})
        EXPECT_TRUE(remove_tree(target().get(), name));
    EXPECT_THAT(refusal(compressed(tar.unfinished(), ARCHIVE_FILTER_GZIP)), HasSubstr("cut off"));
}

TEST_F(Hostile, MembersOfGzipAreReadAllAndWhatIsBehindThemIsNot) {
    const auto tar = TarBytes().add("a", std::string(5000, 'x')).bytes();
    const auto members =
        compressed(tar.substr(0, 700), ARCHIVE_FILTER_GZIP) + compressed(tar.substr(700), ARCHIVE_FILTER_GZIP);
    ASSERT_TRUE(unpack_bytes(members + std::string(512, '\0')));
    EXPECT_EQ(text("a"), std::string(5000, 'x'));
    EXPECT_TRUE(remove_tree(target().get(), "a"));
    EXPECT_THAT(refusal(members.substr(0, members.size() - 3)), HasSubstr("cut off"));
}

TEST_F(Hostile, AFlippedByteInCompressedDataIsSeen) {
    const auto tar = TarBytes().add("a", std::string(20'000, 'x') + "y").bytes();
    for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ}) {
        auto bytes = compressed(tar, filter);
        bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 0x10); // in the checksum at the end
        EXPECT_FALSE(unpack_bytes(bytes)) << filter;
        EXPECT_TRUE(remove_tree(target().get(), "a"));
    }
}

TEST_F(Hostile, AWrongByteInAZipIsSeen) {
    auto zip = zipped({{"a", "some content that is stored"}}, ZipSizes::in_front);
    zip[zip.find("content")] = 'C';
    EXPECT_THAT(refusal(zip), HasSubstr("damaged"));
}

TEST_F(Hostile, AnEncryptedOrEmptyInputIsRefused) {
    EXPECT_THAT(refusal(""), HasSubstr("empty"));
    auto zip = zipped({{"a", "some content"}}, ZipSizes::in_front);
    zip[6] = static_cast<char>(zip[6] | 1); // general purpose bit 0 of the file and of the list
    const auto list = zip.find("PK\x01\x02");
    zip[list + 8] = static_cast<char>(zip[list + 8] | 1);
    EXPECT_FALSE(unpack_bytes(zip));
}

TEST_F(Hostile, ASilentWriterCannotHoldUpARefusal) {
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const UniqueFd reader(fds[0]), writer(fds[1]); // the writer stays open, and says no more
    std::string bytes = TarBytes().add("../x", "x").unfinished() + std::string(130 * 1024, 'x');
    ASSERT_EQ(::fcntl(writer.get(), F_SETPIPE_SZ, 1 << 20), 1 << 20);
    ASSERT_EQ(::write(writer.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    const auto done = unpack_from(reader.get(), options());
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().text(), HasSubstr("leads upwards"));
}

TEST_F(Hostile, FilesOfOtherFormatsAreNoArchives) {
    for (const auto& bytes : {std::string("070701") + std::string(200, '0'), std::string("#mtree\n./x type=file\n"),
                              std::string("!<arch>\ndebian-binary   "), std::string("Rar!\x1a\x07\x01\x00", 8),
                              std::string("7z\xbc\xaf\x27\x1c"),
                              std::string("\x7f"
                                          "ELF") +
                                  zipped({{"a", "b"}}, ZipSizes::in_front),
                              std::string(2048, '\0')})
        EXPECT_THAT(refusal(bytes), HasSubstr("no archive"));
}

} // namespace
} // namespace squish::archive
