#include "fetch/document.h"
#include "testweb/testweb.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace squish::fetch {
namespace {

using squish::test::Fault;
using squish::test::TestWeb;
using ::testing::HasSubstr;
using Kind = Fault::Kind;

class DocumentCache : public ::testing::Test {
protected:
    void SetUp() override {
        cache_ =
            std::filesystem::temp_directory_path() / ("squish-documents-" + std::to_string(::getpid()) + "-" +
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::remove_all(cache_);
        one_.add("/index.json", "first");
        two_.add("/index.json", "first");
    }
    void TearDown() override { std::filesystem::remove_all(cache_); }

    // As a process of its own would.
    Result<Document> get(DocumentWanted::Stale stale = DocumentWanted::Stale::refuse,
                         decltype(DocumentWanted::check) check = {}) {
        auto http =
            Http::open({std::chrono::seconds(10), std::chrono::milliseconds(1500), 1, std::chrono::seconds(60)});
        if (!http)
            return std::unexpected(http.error());
        auto documents = Documents::open(*http, cache_);
        if (!documents)
            return std::unexpected(documents.error());
        return documents->get(
            {{one_.url("/index.json"), two_.url("/index.json")}, "the index", 1000, std::move(check), stale});
    }

    std::filesystem::path cache_;
    TestWeb one_, two_;
};

TEST_F(DocumentCache, LetsASecondRunAskLittle) {
    for (int run = 0; run < 3; ++run) {
        const auto document = get();
        ASSERT_TRUE(document) << document.error().text();
        EXPECT_EQ(document->bytes, "first");
        EXPECT_FALSE(document->from_cache);
    }
    const auto seen = one_.seen();
    ASSERT_EQ(seen.size(), 3U);
    // In whatever order the server's threads have written them down: each after its answer.
    EXPECT_EQ(std::ranges::count(seen, 200, &decltype(seen)::value_type::status), 1);
    EXPECT_EQ(std::ranges::count(seen, 304, &decltype(seen)::value_type::status), 2);
    for (const auto& one : seen)
        EXPECT_EQ(one.body_bytes == 0, one.status == 304);
    one_.add("/index.json", "second");
    EXPECT_EQ(get()->bytes, "second");
}

TEST_F(DocumentCache, AsksTheNextMirror) {
    for (const Fault& fault :
         {Fault{.kind = Kind::status, .amount = 500}, Fault{.kind = Kind::html}, Fault{.kind = Kind::silent},
          Fault{.kind = Kind::reset}, Fault{.kind = Kind::redirect_loop}, Fault{.kind = Kind::endless},
          Fault{.kind = Kind::longer, .amount = 5}, Fault{.kind = Kind::status, .amount = 404}}) {
        one_.spoil(fault);
        const auto document = get();
        ASSERT_TRUE(document) << document.error().text();
        EXPECT_EQ(document->url, two_.url("/index.json"));
        one_.heal();
    }
}

TEST_F(DocumentCache, ServesOnlyWhenAllowedAndNobodyAnswers) {
    ASSERT_TRUE(get());
    one_.spoil({.kind = Kind::reset});
    two_.spoil({.kind = Kind::status, .amount = 503});
    const auto refused = get();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(refused.error().message, HasSubstr(one_.url("/index.json") + ": "));
    EXPECT_THAT(refused.error().message, HasSubstr(two_.url("/index.json") + ": 503 Service Unavailable"));
    const auto stale = get(DocumentWanted::Stale::use);
    ASSERT_TRUE(stale) << stale.error().text();
    EXPECT_EQ(stale->bytes, "first");
    EXPECT_TRUE(stale->from_cache);

    one_.heal();
    two_.heal();
    one_.remove("/index.json");
    two_.remove("/index.json");
    const auto gone = get(DocumentWanted::Stale::use); // everybody answers: it is not there any more
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
}

TEST_F(DocumentCache, KeepsNothingThatWasRefused) {
    const auto only_first = [](std::string_view bytes, const std::string&) -> Result<void> {
        if (bytes != "first")
            return fail(ErrorKind::invalid, "not what it should be");
        return {};
    };
    ASSERT_TRUE(get(DocumentWanted::Stale::refuse, only_first));
    one_.add("/index.json", "Please accept our terms");
    const auto other = get(DocumentWanted::Stale::refuse, only_first);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->url, two_.url("/index.json"));
    two_.add("/index.json", "Please accept our terms");
    const auto refused = get(DocumentWanted::Stale::refuse, only_first);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("not what it should be"));
    EXPECT_EQ(get(DocumentWanted::Stale::use, only_first)->bytes, "first");
}

TEST_F(DocumentCache, AsksForTheWholeWhereWhatItHasIsRefused) {
    ASSERT_TRUE(get());
    int asked = 0;
    const auto second_time = [&asked](std::string_view, const std::string&) -> Result<void> {
        if (++asked == 1)
            return fail(ErrorKind::denied, "the signature is of another one");
        return {};
    };
    ASSERT_TRUE(get(DocumentWanted::Stale::refuse, second_time));
    const auto seen = one_.seen();
    ASSERT_EQ(seen.size(), 3U);
    EXPECT_EQ(seen[1].status, 304);
    EXPECT_EQ(seen[2].status, 200);
}

TEST_F(DocumentCache, BelievesNoDamagedEntry) {
    ASSERT_TRUE(get());
    for (const auto& entry : std::filesystem::directory_iterator(cache_)) {
        std::ofstream damaged(entry.path(), std::ios::binary | std::ios::app);
        damaged << "!";
    }
    EXPECT_EQ(get()->bytes, "first");
    EXPECT_EQ(one_.seen().at(1).status, 200);
    for (const auto& entry : std::filesystem::directory_iterator(cache_))
        std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << "";
    EXPECT_EQ(get()->bytes, "first");
}

} // namespace
} // namespace squish::fetch
