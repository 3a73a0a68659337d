#include "store/store.h"

#include "os/file.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

namespace squish {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StoreTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "sqstore.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }
    Store open() {
        auto store = Store::open(folder_);
        EXPECT_TRUE(store) << store.error().text();
        return *std::move(store);
    }
    static StoredLayer layer(char digit) {
        StoredLayer out;
        out.digest = std::string(64, digit);
        out.tree_digest = std::string(64, 'f');
        out.bytes = 12;
        out.entries = 3;
        out.origin = "http://example.org/x.tar";
        out.added_at = digit;
        out.layer_toml = "name = \"x\"\n";
        out.has_bin = true;
        out.notes = {{"devices", 2}};
        return out;
    }
    static void put(Store& store, const StoredLayer& layer) {
        auto staging = store.stage();
        ASSERT_TRUE(staging) << staging.error().text();
        const auto committed = store.commit(*staging, layer);
        ASSERT_TRUE(committed) << committed.error().text();
    }
    std::string folder_;
};

TEST_F(StoreTest, ALayerIsThereOnceItIsCommitted) {
    auto store = open();
    EXPECT_FALSE(store.find(layer('a').digest));
    auto staging = store.stage();
    ASSERT_TRUE(staging);
    EXPECT_FALSE(store.find(layer('a').digest)) << "what is staged is no layer";
    EXPECT_THAT(store.list(), IsEmpty());
    ASSERT_TRUE(store.commit(*staging, layer('a')));
    auto again = open(); // from disk
    const auto found = again.find(layer('a').digest);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->bytes, 12U);
    EXPECT_EQ(found->origin, "http://example.org/x.tar");
    EXPECT_EQ(found->layer_toml, "name = \"x\"\n");
    EXPECT_TRUE(found->has_bin);
    EXPECT_EQ(found->notes.at("devices"), 2U);
    EXPECT_EQ(again.tree_path(*found), folder_ + "/layers/" + found->digest + "/tree");
    EXPECT_TRUE(again.open_tree(found->digest));
}

TEST_F(StoreTest, TheSecondOfTwoThatBringTheSameLayerIsContent) {
    auto store = open();
    put(store, layer('a'));
    auto staging = store.stage();
    ASSERT_TRUE(staging);
    EXPECT_TRUE(store.commit(*staging, layer('a')));
    EXPECT_FALSE(staging->name.empty()) << "it is still to be removed";
    store.discard(*std::move(staging));
    EXPECT_THAT(store.list(), SizeIs(1));
    EXPECT_TRUE(fs::is_empty(folder_ + "/staging"));
}

TEST_F(StoreTest, WhatIsNoLayerIsNotFound) {
    auto store = open();
    for (const char* digest : {"", "..", "../refs", "abc", "ABCDEF"})
        EXPECT_FALSE(store.find(digest)) << digest;
    auto staging = store.stage();
    auto bad = layer('a');
    bad.digest = "../../x";
    EXPECT_FALSE(store.commit(*staging, bad));
    // A record that belongs to another layer, or is none.
    put(store, layer('b'));
    fs::copy_file(folder_ + "/layers/" + layer('b').digest + "/layer.json", folder_ + "/x.json");
    put(store, layer('c'));
    fs::copy_file(folder_ + "/x.json", folder_ + "/layers/" + layer('c').digest + "/layer.json",
                  fs::copy_options::overwrite_existing);
    std::ofstream(folder_ + "/layers/" + layer('b').digest + "/layer.json") << "{\"format\": 1";
    auto again = open();
    EXPECT_FALSE(again.find(layer('c').digest));
    EXPECT_FALSE(again.find(layer('b').digest));
}

TEST_F(StoreTest, NamesAndVersionsReferToLayers) {
    auto store = open();
    put(store, layer('a'));
    put(store, layer('b'));
    ASSERT_TRUE(store.set_ref({"python", "3.11.2", layer('a').digest, "ours", 7}));
    ASSERT_TRUE(store.set_ref({"python", "3.12.0", layer('b').digest, "", 8}));
    ASSERT_TRUE(store.set_ref({"node", "20.1.0", layer('b').digest, "", 9}));
    const auto python = store.refs_of("python");
    EXPECT_THAT(python, SizeIs(2));
    EXPECT_THAT(store.refs(), SizeIs(3));
    EXPECT_EQ(store.refs()[0].name, "node");
    EXPECT_EQ(store.refs()[1].source, "ours");
    ASSERT_TRUE(store.set_ref({"python", "3.11.2", layer('b').digest, "", 10})); // moved on
    EXPECT_EQ(store.refs()[1].digest, layer('b').digest);
    ASSERT_TRUE(store.remove_ref("node", "20.1.0"));
    EXPECT_THAT(store.refs_of("node"), IsEmpty());
}

TEST_F(StoreTest, NamesThatLeadElsewhereAreRefused) {
    auto store = open();
    for (const char* name : {"", ".", "..", "../x", "a/b", ".hidden"}) {
        EXPECT_FALSE(store.set_ref({name, "1", layer('a').digest, "", 0})) << name;
        EXPECT_FALSE(store.set_ref({"x", name, layer('a').digest, "", 0})) << name;
        EXPECT_FALSE(store.remove_ref(name, "1")) << name;
        EXPECT_FALSE(store.try_lock(name)) << name;
        EXPECT_THAT(store.refs_of(name), IsEmpty()) << name;
    }
}

TEST_F(StoreTest, WhatIsTakenOutIsGoneWithItsNames) {
    auto store = open();
    put(store, layer('a'));
    ASSERT_TRUE(store.set_ref({"x", "1", layer('a').digest, "", 0}));
    auto staging = store.take_out(layer('a').digest);
    ASSERT_TRUE(staging) << staging.error().text();
    EXPECT_FALSE(store.find(layer('a').digest));
    EXPECT_THAT(store.refs(), IsEmpty());
    EXPECT_TRUE(fs::exists(folder_ + "/staging/" + staging->name + "/tree")) << "the worker removes it";
    EXPECT_FALSE(store.take_out(layer('a').digest));
}

TEST_F(StoreTest, OnlyWhatNobodyHoldsIsAbandoned) {
    auto store = open();
    auto held = store.stage();
    std::string left;
    {
        auto staging = store.stage();
        left = staging->name;
    }
    auto other = open();
    const auto found = other.abandoned();
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_EQ(found[0].name, left);
    EXPECT_THAT(store.abandoned(), IsEmpty()) << "they are held now";
}

TEST_F(StoreTest, OneAtATimeHoldsAKey) {
    auto store = open(), other = open();
    auto lock = store.try_lock("sha256-x");
    ASSERT_TRUE(lock);
    EXPECT_TRUE(lock->valid());
    const auto second = other.try_lock("sha256-x");
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->valid());
    lock->reset();
    EXPECT_TRUE(other.try_lock("sha256-x")->valid());
}

TEST_F(StoreTest, AFileIsKnownAgainUntilItChanges) {
    auto store = open();
    const auto path = folder_ + "/file.zip";
    std::ofstream(path) << "content";
    const auto file = os::open_file(path, O_RDWR);
    ASSERT_TRUE(file);
    store.remember_seen(file->get(), {layer('a').digest, false});
    EXPECT_FALSE(store.seen(file->get())) << "it changed just now, and may do so again unseen";
    std::this_thread::sleep_for(std::chrono::milliseconds(2100));
    store.remember_seen(file->get(), {layer('a').digest, true});
    auto again = open(); // from disk
    const auto seen = again.seen(file->get());
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->digest, layer('a').digest);
    EXPECT_TRUE(seen->plain);
    ASSERT_TRUE(os::write_all(file->get(), "other"));
    EXPECT_FALSE(again.seen(file->get()));
}

TEST_F(StoreTest, AUrlWithoutDigestIsRemembered) {
    auto store = open();
    EXPECT_EQ(store.url_digest("http://x/y"), "");
    ASSERT_TRUE(store.remember_url("http://x/y", layer('a').digest));
    EXPECT_EQ(open().url_digest("http://x/y"), layer('a').digest);
    EXPECT_EQ(store.url_digest("http://x/z"), "");
}

TEST_F(StoreTest, DownloadsThatNobodyTookUpForADayAreRemoved) {
    open();
    const auto part = [&](const char* name) { return folder_ + "/downloads/" + name; };
    std::ofstream(part("new.part")) << "x";
    std::ofstream(part("old.part")) << "x";
    fs::last_write_time(part("old.part"), fs::file_time_type::clock::now() - std::chrono::hours(25));
    open();
    EXPECT_TRUE(fs::exists(part("new.part")));
    EXPECT_FALSE(fs::exists(part("old.part")));
}

TEST_F(StoreTest, KnowsItsOwnPaths) {
    auto store = open();
    put(store, layer('a'));
    EXPECT_EQ(store.digest_of(store.tree_path(layer('a')) + "/bin/x"), layer('a').digest);
    EXPECT_EQ(store.digest_of("/etc/passwd"), "");
    EXPECT_EQ(store.digest_of(folder_ + "/layers/short"), "");
}

TEST_F(StoreTest, IsClosedToOthers) {
    open();
    struct stat info{};
    ASSERT_EQ(::stat(folder_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST(Digests, OfTexts) {
    EXPECT_EQ(text_digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); // FIPS 180-4
    EXPECT_TRUE(is_digest(text_digest("x")));
    EXPECT_FALSE(is_digest(std::string(64, 'G')));
    EXPECT_FALSE(is_digest(std::string(63, 'a')));
}

} // namespace
} // namespace squish
