// Verifying, removing and packing trees.
#include "archive/pack.h"
#include "archive/remove.h"
#include "unpacking.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace squish::archive {
namespace {

class Tree : public Unpacking {
protected:
    std::string make() const {
        const auto done = unpack_bytes(TarBytes()
                                           .folder("a")
                                           .add("a/file", std::string(10'000, 'x'))
                                           .hard_link("a/link", "a/file")
                                           .symlink("s", "a/file")
                                           .add("tool", "tool", {.mode = 0755})
                                           .bytes());
        EXPECT_TRUE(done) << done.error().text();
        return done ? done->manifest : "";
    }
    std::vector<std::string> findings(const std::string& manifest, std::size_t most = 100) const {
        VerifyOptions with;
        with.max_findings = most;
        const auto done = verify(target().get(), manifest, with);
        EXPECT_TRUE(done) << done.error().text();
        std::vector<std::string> out;
        for (const auto& finding : done->findings)
            out.push_back(finding.path + ": " + finding.what);
        return out;
    }
    void keep_time(const std::string& path, const struct stat& before) const {
        const struct timespec times[2] = {before.st_mtim, before.st_mtim};
        EXPECT_EQ(::utimensat(AT_FDCWD, at(path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    }
    Packed pack_target(std::string& bytes) const {
        const UniqueFd out(::memfd_create("packed", MFD_CLOEXEC));
        const auto packed = pack(target().get(), out.get());
        EXPECT_TRUE(packed) << packed.error().text();
        EXPECT_EQ(::lseek(out.get(), 0, SEEK_SET), 0);
        bytes = *os::read_all(out.get(), 1 << 30);
        EXPECT_EQ(packed->size, bytes.size());
        EXPECT_EQ(packed->sha256, sha256_of(bytes));
        return *packed;
    }
    void clear() const {
        const auto names = list_names(target().get());
        for (const auto& name : *names)
            EXPECT_TRUE(remove_tree(target().get(), name));
    }
};

TEST_F(Tree, AnyFlippedByteIsFoundAndItsFileNamed) {
    const auto manifest = make();
    EXPECT_THAT(findings(manifest), ::testing::IsEmpty());
    for (const std::uint64_t place : {0U, 5'000U, 9'999U}) {
        const auto before = info("a/file");
        const auto flip = [&] {
            const UniqueFd file(::open(at("a/file").c_str(), O_RDWR | O_CLOEXEC));
            char byte = 0;
            EXPECT_EQ(::pread(file.get(), &byte, 1, static_cast<off_t>(place)), 1);
            byte = static_cast<char>(byte ^ 1);
            EXPECT_EQ(::pwrite(file.get(), &byte, 1, static_cast<off_t>(place)), 1);
        };
        flip();
        keep_time("a/file", before);
        EXPECT_THAT(findings(manifest), ::testing::ElementsAre("a/file: content differs"));
        flip();
        keep_time("a/file", before);
    }
    EXPECT_THAT(findings(manifest), ::testing::IsEmpty());
}

TEST_F(Tree, EveryKindOfChangeIsFound) {
    const auto manifest = make();
    const auto folder = info("a"), root = info(".");
    const auto expect = [&](const char* what, const std::vector<std::string>& found) {
        keep_time("a", folder);
        keep_time(".", root);
        EXPECT_EQ(findings(manifest), found) << what;
    };
    ASSERT_EQ(::chmod(at("tool").c_str(), 0777), 0);
    expect("mode", {"tool: mode is 0777, was 0755"});
    ASSERT_EQ(::chmod(at("tool").c_str(), 0755), 0);

    std::ofstream(at("a/more")) << "x";
    ASSERT_EQ(::symlink("x", at("zz").c_str()), 0);
    expect("added", {"a/more: not in the manifest", "zz: not in the manifest"});
    fs::remove(at("a/more"));
    fs::remove(at("zz"));

    ASSERT_EQ(::rename(at("a/link").c_str(), (base_ + "/moved").c_str()), 0);
    expect("missing", {"a/link: missing"});
    fs::copy_file(base_ + "/moved", at("a/link"));
    expect("no link any more", {"a/link: is a file, was a hard link"});
    fs::remove(at("a/link"));
    ASSERT_EQ(::rename((base_ + "/moved").c_str(), at("a/link").c_str()), 0);

    ASSERT_EQ(::link(at("tool").c_str(), (base_ + "/other").c_str()), 0);
    expect("linked from elsewhere", {"tool: has 2 names, had 1"});
    fs::remove(base_ + "/other");

    const auto link = info("s");
    fs::remove(at("s"));
    ASSERT_EQ(::symlink("../outside/secret", at("s").c_str()), 0);
    keep_time("s", link);
    expect("link", {"s: leads to '../outside/secret', was 'a/file'"});
    fs::remove(at("s"));
    fs::create_directory(at("s"));
    expect("kind", {"s: is a folder, was a symbolic link"});
    fs::remove(at("s"));
    ASSERT_EQ(::mkfifo(at("s").c_str(), 0600), 0);
    expect("fifo", {"s: it is neither a file nor a folder nor a link"});
    fs::remove(at("s"));
    ASSERT_EQ(::symlink("a/file", at("s").c_str()), 0);
    keep_time("s", link);
    expect("nothing", {});

    ASSERT_EQ(::setxattr(at("tool").c_str(), "user.new", "x", 1, 0), 0);
    expect("attribute", {"tool: extended attributes differ"});
    ASSERT_EQ(::removexattr(at("tool").c_str(), "user.new"), 0);

    const auto tool = info("tool");
    std::ofstream(at("tool"), std::ios::app) << "!";
    keep_time("tool", tool);
    expect("size", {"tool: has 5 bytes, had 4"});
}

TEST_F(Tree, NoMoreFindingsThanAsked) {
    const auto manifest = make();
    clear();
    EXPECT_EQ(findings(manifest, 2).size(), 2U);
    EXPECT_EQ(verify(target().get(), manifest)->found, 6U) << "five that are missing, and the folder's time";
    EXPECT_FALSE(verify(target().get(), "no manifest"));
}

TEST_F(Tree, TheDigestOfATreeIsThatOfItsManifest) {
    const auto manifest = make();
    EXPECT_EQ(*manifest_of(target().get()), manifest);
    EXPECT_EQ(*tree_digest_of(target().get()), sha256_of(manifest));
}

// --- remove

TEST_F(Tree, RemovesWhateverIsThere) {
    make();
    fs::create_directories(at("closed/within"));
    std::ofstream(at("closed/within/file")) << "x";
    ASSERT_EQ(::symlink("../../../outside", at("closed/within/out").c_str()), 0);
    ASSERT_EQ(::mkfifo(at("closed/pipe").c_str(), 0600), 0);
    ASSERT_EQ(::chmod(at("closed/within").c_str(), 0), 0);
    ASSERT_EQ(::chmod(at("closed").c_str(), 0), 0);
    for (const auto* name : {"closed", "a", "s", "tool", "not there"})
        EXPECT_TRUE(remove_tree(target().get(), name)) << name;
    EXPECT_TRUE(list_names(target().get())->empty());
}

TEST_F(Tree, RemovesTreesThatAreDeeperThanDescriptorsReach) {
    const auto top = target();
    UniqueFd here(::dup(top.get()));
    for (int i = 0; i < 5000; ++i) {
        ASSERT_EQ(::mkdirat(here.get(), "d", 0700), 0);
        if (i % 100 == 0) { // a name that the removal uses itself
            ASSERT_EQ(::symlinkat("/", here.get(), ".1"), 0);
        }
        here = *os::open_at(here.get(), "d", O_RDONLY | O_DIRECTORY);
    }
    here.reset();
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit few{64, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto removed = remove_tree(top.get(), "d");
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(removed) << removed.error().text();
    EXPECT_FALSE(exists("d"));
}

TEST_F(Tree, RemovesByNameOnly) {
    for (const auto* name : {"", ".", "..", "a/b", "/etc", "../outside"})
        EXPECT_FALSE(remove_tree(target().get(), name)) << name;
}

// --- pack

TEST_F(Tree, EqualContentGivesEqualBytes) {
    const auto build = [&](bool reversed) {
        std::vector<std::string> names = {"b", "a", "\xc3\xbc", "A", "z\xff", std::string(200, 'l')};
        if (reversed)
            std::ranges::reverse(names);
        for (const auto& name : names) {
            fs::create_directory(at("d" + name));
            std::ofstream(at("d" + name) + "/file") << name;
        }
        EXPECT_EQ(::link((at("da") + "/file").c_str(), at("db/linked").c_str()), 0);
        EXPECT_EQ(::symlink(std::string(150, 't').c_str(), at("link").c_str()), 0);
        EXPECT_EQ(::chmod((at("da") + "/file").c_str(), reversed ? 0700 : 0755), 0);
        EXPECT_EQ(::chmod((at("dA") + "/file").c_str(), reversed ? 0600 : 0666), 0);
        EXPECT_EQ(::setxattr((at("dA") + "/file").c_str(), "user.k", "v", 1, 0), 0);
    };
    std::string one, two;
    build(false);
    const auto packed = pack_target(one);
    EXPECT_EQ(packed.entries, 14U);
    clear();
    const auto mask = ::umask(077);
    build(true);
    pack_target(two);
    ::umask(mask);
    EXPECT_TRUE(one == two);

    clear();
    const auto again = unpack_bytes(one);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(again->kind, Kind::zstd);
    EXPECT_EQ(text("dz\xff/file"), "z\xff");
    EXPECT_EQ(text("d\xc3\xbc/file"), "\xc3\xbc");
    EXPECT_EQ(info("da/file").st_ino, info("db/linked").st_ino);
    EXPECT_EQ(mode("da/file"), 0755U);
    EXPECT_EQ(mode("dA/file"), 0644U);
    EXPECT_EQ(info("da/file").st_mtim.tv_sec, 0);
    EXPECT_EQ(fs::read_symlink(at("link")), std::string(150, 't'));
    EXPECT_THAT(again->manifest, HasSubstr("@user.k=76"));
    std::string three;
    pack_target(three);
    EXPECT_TRUE(one == three) << "packing what was unpacked gives the same archive";
}

TEST_F(Tree, WhatALayerCannotHoldIsNotPacked) {
    fs::create_directory(at("d"));
    ASSERT_EQ(::mkfifo(at("d/pipe").c_str(), 0600), 0);
    const UniqueFd out(::memfd_create("packed", MFD_CLOEXEC));
    const auto packed = pack(target().get(), out.get());
    ASSERT_FALSE(packed);
    EXPECT_THAT(packed.error().text(), AllOf(HasSubstr("'d/pipe'"), HasSubstr("a pipe")));
}

TEST_F(Tree, GnuTarReadsWhatIsPacked) {
    const auto folder = "d/" + std::string(150, 'e');
    fs::create_directories(at(folder));
    std::ofstream(at(folder + "/f")) << "content";
    std::string bytes;
    pack_target(bytes);
    std::ofstream(at("packed.tar")) << decompressed(bytes);
    ASSERT_EQ(std::system(("tar -tvf " + at("packed.tar") + " > " + at("list")).c_str()), 0);
    EXPECT_THAT(text("list"), AllOf(HasSubstr(folder + "/f"), HasSubstr("-rw-r--r-- 0/0")));
}

// --- copy

TEST_F(Tree, AFolderIsImportedByTheSameRules) {
    make();
    ASSERT_EQ(::chmod(at("tool").c_str(), 04711), 0);
    ASSERT_EQ(::setxattr(at("tool").c_str(), "user.k", "v", 1, 0), 0);
    ASSERT_EQ(::rename(at("a").c_str(), at("b").c_str()), 0);
    const auto source = base_ + "/source";
    ASSERT_EQ(::rename((base_ + "/target").c_str(), source.c_str()), 0);
    fs::create_directory(base_ + "/target");
    const auto from = os::open_file(source, O_RDONLY | O_DIRECTORY);
    const auto done = copy_tree(from->get(), target().get(), options());
    ASSERT_TRUE(done) << done.error().text();
    expect_true_manifest(done->manifest);
    EXPECT_EQ(done->progress.entries, 6U);
    EXPECT_EQ(mode("tool"), 0711U);
    EXPECT_EQ(done->tamed.setuid, 1U);
    EXPECT_EQ(info("b/file").st_ino, info("b/link").st_ino);
    struct stat original{};
    ASSERT_EQ(::lstat(source.c_str(), &original), 0);
    EXPECT_EQ(info(".").st_mtim.tv_nsec, original.st_mtim.tv_nsec) << "times are kept whole";
    EXPECT_THAT(done->manifest, HasSubstr("@user.k=76"));
    ASSERT_EQ(::mkfifo((source + "/pipe").c_str(), 0600), 0);
    clear();
    const auto refused = copy_tree(from->get(), target().get(), options());
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("'pipe'"));
    const auto parent = os::open_file(base_, O_RDONLY | O_DIRECTORY);
    EXPECT_TRUE(remove_tree(parent->get(), "source"));
}

TEST_F(Tree, AnImportThatIsRefusedEnds) {
    make();
    const auto source = base_ + "/source";
    ASSERT_EQ(::rename((base_ + "/target").c_str(), source.c_str()), 0);
    fs::create_directory(base_ + "/target");
    std::ofstream(source + "/big") << std::string(8 << 20, 'x'); // more than a pipe holds
    auto with = options();
    with.limits.entries = 2;
    const auto from = os::open_file(source, O_RDONLY | O_DIRECTORY);
    const auto refused = copy_tree(from->get(), target().get(), with);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("limit 'entries'"));
    const auto parent = os::open_file(base_, O_RDONLY | O_DIRECTORY);
    EXPECT_TRUE(remove_tree(parent->get(), "source"));
}

} // namespace
} // namespace squish::archive
