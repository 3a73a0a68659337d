#include "fetch/download.h"
#include "fetch/hasher.h"
#include "fetch/part_file.h"
#include "testweb/testweb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace squish::fetch {
namespace {

using squish::test::Fault;
using squish::test::TestWeb;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = Fault::Kind;

// Bytes in which every place differs from its neighbours, so that a piece in the wrong place shows.
std::string contents_of(std::size_t size) {
    std::string out;
    out.reserve(size);
    std::uint32_t state = 12345;
    while (out.size() < size) {
        state = state * 1664525 + 1013904223;
        out += static_cast<char>(state >> 24);
    }
    return out;
}

// Long enough for a busy machine; tests in which nobody answers wait for less.
constexpr Limits kPatient{std::chrono::seconds(10), std::chrono::seconds(10), 1024, std::chrono::seconds(60)};
constexpr Limits kImpatient{std::chrono::seconds(10), std::chrono::milliseconds(700), 2048, std::chrono::seconds(60)};

class Downloads : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ =
            std::filesystem::temp_directory_path() / ("squish-download-" + std::to_string(::getpid()) + "-" +
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
        one_.add("/file", file_);
        two_.add("/file", file_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string part() const { return folder_ / "file.part"; }
    [[nodiscard]] std::string on_disk() const {
        std::ifstream in(part(), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    [[nodiscard]] std::size_t files_left() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
    }
    [[nodiscard]] Wanted wanted() const {
        Wanted out;
        out.urls = {one_.url("/file"), two_.url("/file")};
        out.size = file_.size();
        out.sha256 = sha256_of(file_).value();
        out.max_bytes = 10 << 20;
        out.part = part();
        return out;
    }
    Result<Downloaded> run(const Wanted& what) {
        auto http = Http::open(limits_);
        if (!http)
            return std::unexpected(http.error());
        given_.clear();
        restarts_ = 0;
        Sink sink;
        sink.data = [this](std::string_view bytes) -> Result<void> {
            given_ += bytes;
            return {};
        };
        sink.restart = [this]() -> Result<void> {
            given_.clear();
            ++restarts_;
            return {};
        };
        return download(*http, what, sink);
    }
    // Everything is as it should be: on disk, at the sink, in the answer.
    void expect_whole(const Result<Downloaded>& done) {
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(done->size, file_.size());
        EXPECT_EQ(done->sha256, sha256_of(file_).value());
        EXPECT_TRUE(on_disk() == file_);
        EXPECT_TRUE(given_ == file_);
        EXPECT_EQ(files_left(), 1U);
    }
    void expect_failure(const Result<Downloaded>& done, const std::string& why) {
        ASSERT_FALSE(done);
        EXPECT_THAT(done.error().message, HasSubstr(why));
        EXPECT_THAT(done.error().message, HasSubstr(one_.url("/file")));
    }

    std::string file_ = contents_of(1'000'003);
    std::filesystem::path folder_;
    TestWeb one_, two_;
    std::string given_;
    int restarts_ = 0;
    Limits limits_ = kPatient;
};

TEST_F(Downloads, BringTheFile) {
    auto what = wanted();
    auto sha512 = Hasher::make(Hasher::Kind::sha512);
    ASSERT_TRUE(sha512 && sha512->add(file_));
    what.sha512 = sha512->finish().value();
    const auto done = run(what);
    expect_whole(done);
    EXPECT_EQ(done->url, one_.url("/file"));
    EXPECT_TRUE(two_.seen().empty());
    EXPECT_THAT(one_.seen().at(0).user_agent, ::testing::StartsWith("squish/"));
}

TEST_F(Downloads, GoOnWhereTheSameMirrorBrokeOffAtAnyTenth) {
    for (std::uint64_t tenth = 0; tenth < 10; ++tenth) {
        std::filesystem::remove(part());
        one_.spoil({.kind = Kind::break_at_tenth, .amount = tenth, .times = 1});
        one_.forget_seen();
        expect_whole(run(wanted()));
        EXPECT_EQ(restarts_, 0);
        const auto seen = one_.seen();
        if (tenth > 0) { // nothing is fetched twice
            ASSERT_EQ(seen.size(), 2U) << tenth;
            EXPECT_EQ(seen[1].range, "bytes=" + std::to_string(file_.size() * tenth / 10) + "-");
            EXPECT_EQ(seen[0].body_bytes + seen[1].body_bytes, file_.size());
        }
        one_.heal();
    }
}

TEST_F(Downloads, GoOnHoweverOftenItBreaksOff) {
    one_.spoil({.kind = Kind::break_off, .amount = 100'000});
    expect_whole(run(wanted()));
    EXPECT_EQ(one_.seen().size(), 11U);
}

TEST_F(Downloads, GoOnAtTheNextMirrorFromAnyTenth) {
    for (std::uint64_t tenth = 0; tenth < 10; ++tenth) {
        std::filesystem::remove(part());
        two_.forget_seen();
        one_.heal();
        one_.spoil({.kind = Kind::break_at_tenth, .amount = tenth, .times = 1});
        one_.spoil({.kind = Kind::status, .amount = 500, .skip = 1});
        expect_whole(run(wanted()));
        EXPECT_EQ(restarts_, 0);
        const auto seen = two_.seen();
        ASSERT_EQ(seen.size(), 1U);
        EXPECT_EQ(seen[0].body_bytes, file_.size() - file_.size() * tenth / 10);
        EXPECT_EQ(seen[0].if_range, ""); // the ETag is another mirror's: the digest decides
    }
}

TEST_F(Downloads, StartAnewWhereAnotherMirrorHasAnotherFile) {
    auto what = wanted();
    std::ofstream(part(), std::ios::binary) << contents_of(500'000).substr(1); // what came before was wrong
    expect_whole(run(what));
    EXPECT_EQ(restarts_, 1);
    EXPECT_EQ(one_.seen().size(), 2U);
}

TEST_F(Downloads, LeaveAMirrorThatServesAWrongByte) {
    one_.spoil({.kind = Kind::wrong_byte, .amount = 777'777});
    expect_whole(run(wanted()));
    EXPECT_EQ(restarts_, 1);
    EXPECT_EQ(one_.seen().size(), 1U);

    std::filesystem::remove(part());
    two_.spoil({.kind = Kind::wrong_byte, .amount = 3});
    expect_failure(run(wanted()), "sent wrong contents: sha256 ");
    EXPECT_EQ(files_left(), 0U);
}

TEST_F(Downloads, CheckBothDigests) {
    auto what = wanted();
    what.sha512 = std::string(128, '0');
    expect_failure(run(what), "sent wrong contents: sha512 ");
    EXPECT_EQ(files_left(), 0U);
}

TEST_F(Downloads, LeaveAMirrorThatLiesAboutTheSize) {
    for (const auto kind : {Kind::longer, Kind::shorter}) {
        std::filesystem::remove(part());
        one_.spoil({.kind = kind, .amount = 1000});
        expect_whole(run(wanted()));
        one_.heal();
    }
    one_.spoil({.kind = Kind::longer, .amount = 1000});
    two_.spoil({.kind = Kind::shorter, .amount = 1000});
    std::filesystem::remove(part());
    const auto done = run(wanted());
    expect_failure(done, "says that the file has 1001003 bytes instead of 1000003");
    EXPECT_THAT(done.error().message, HasSubstr("says that the file has 999003 bytes instead of 1000003"));
}

TEST_F(Downloads, NoticeAWrongSizeByTheDigestAlone) {
    auto what = wanted();
    what.size.reset();
    one_.spoil({.kind = Kind::shorter, .amount = 1000});
    expect_whole(run(what));
}

TEST_F(Downloads, StopAServerThatNeverEnds) {
    one_.spoil({.kind = Kind::endless});
    expect_whole(run(wanted()));
    auto what = wanted();
    what.urls.pop_back();
    what.size.reset();
    what.max_bytes = 2 << 20;
    std::filesystem::remove(part());
    expect_failure(run(what), "sends more than the 2097152 bytes that it should");
    EXPECT_EQ(files_left(), 0U);
}

TEST_F(Downloads, LeaveAMirrorThatAnswersWithAnythingElse) {
    const std::vector<std::pair<Fault, std::string>> faults = {
        {{.kind = Kind::status, .amount = 404}, "404 Not Found"},
        {{.kind = Kind::status, .amount = 403}, "403 Forbidden"},
        {{.kind = Kind::status, .amount = 500}, "500 Internal Server Error"},
        {{.kind = Kind::status, .amount = 204}, "status 204"},
        {{.kind = Kind::html}, "answers with an HTML page instead of the file"},
        {{.kind = Kind::redirect_loop}, "redirects more than 8 times"},
        {{.kind = Kind::reset}, "empty reply"},
        {{.kind = Kind::cut_headers}, ""},
        {{.kind = Kind::silent}, "no answer within 700 ms"},
        {{.kind = Kind::silent_body}, "only 0 bytes in 700 ms"},
        {{.kind = Kind::redirect, .text = "file:///etc/passwd"}, "redirects to something that is not allowed"},
        {{.kind = Kind::redirect, .text = "gopher://127.0.0.1/"}, "redirects to something that is not allowed"},
    };
    for (const auto& [fault, why] : faults) {
        limits_ = why.contains("700 ms") ? kImpatient : kPatient;
        std::filesystem::remove(part());
        one_.spoil(fault);
        expect_whole(run(wanted()));
        auto what = wanted();
        what.urls.pop_back();
        std::filesystem::remove(part());
        expect_failure(run(what), why);
        EXPECT_EQ(files_left(), 0U) << why;
        one_.heal();
    }
}

TEST_F(Downloads, LeaveAMirrorThatIsTooSlow) {
    limits_ = kImpatient;
    one_.spoil({.kind = Kind::slow, .amount = 2000});
    const auto done = run(wanted());
    expect_whole(done);
    EXPECT_EQ(done->url, two_.url("/file"));
    std::filesystem::remove(part());
    two_.spoil({.kind = Kind::slow, .amount = 2000});
    expect_failure(run(wanted()), "bytes in 700 ms");
    EXPECT_GT(on_disk().size(), 0U); // stays, for when they are well again
    one_.heal();
    two_.heal();
    expect_whole(run(wanted()));
}

TEST_F(Downloads, FollowARedirect) {
    one_.add("/elsewhere", file_);
    one_.spoil({.kind = Kind::redirect, .text = "/elsewhere", .only = "/file"});
    expect_whole(run(wanted()));
}

TEST_F(Downloads, GiveAwayNoPasswordToAnotherHost) {
    auto what = wanted();
    auto with_password = what.urls[0];
    with_password.replace(0, 7, "http://user:secret@");
    what.urls = {with_password};
    auto elsewhere = two_.url("/file");
    elsewhere.replace(elsewhere.find("127.0.0.1"), 9, "localhost");
    one_.spoil({.kind = Kind::redirect, .text = elsewhere});
    expect_whole(run(what));
    EXPECT_THAT(one_.seen().at(0).authorization, HasSubstr("Basic"));
    EXPECT_EQ(two_.seen().at(0).authorization, "");
    two_.spoil({.kind = Kind::status, .amount = 500});
    std::filesystem::remove(part());
    const auto done = run(what);
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().message, ::testing::Not(HasSubstr("secret")));
}

TEST_F(Downloads, ManageWithoutRanges) {
    one_.spoil({.kind = Kind::no_range});
    one_.spoil({.kind = Kind::break_off, .amount = 300'000, .times = 1});
    expect_whole(run(wanted()));
    EXPECT_EQ(restarts_, 1);
}

TEST_F(Downloads, StartAnewWhereTheFileHasChangedMeanwhile) {
    one_.spoil({.kind = Kind::new_etag});
    one_.spoil({.kind = Kind::break_off, .amount = 300'000, .times = 1});
    expect_whole(run(wanted()));
    EXPECT_EQ(restarts_, 1);
    EXPECT_EQ(one_.seen().at(1).if_range, "\"changing-1\"");
}

TEST_F(Downloads, RefuseAnotherPartThanWasAskedFor) {
    one_.spoil({.kind = Kind::wrong_range});
    one_.spoil({.kind = Kind::break_off, .amount = 300'000, .times = 1});
    expect_whole(run(wanted()));
}

TEST_F(Downloads, EndWhereAServerNeverGetsBeyondTheMiddle) {
    one_.spoil({.kind = Kind::no_range});
    one_.spoil({.kind = Kind::break_off, .amount = 500'000});
    auto what = wanted();
    what.urls.pop_back();
    expect_failure(run(what), "gave up: everything had to be fetched again 8 times");
}

TEST_F(Downloads, AreTakenUpByTheNextProcess) {
    one_.spoil({.kind = Kind::break_off, .amount = 300'000, .times = 1});
    one_.spoil({.kind = Kind::status, .amount = 500, .skip = 1});
    auto what = wanted();
    what.urls.pop_back();
    ASSERT_FALSE(run(what));
    const auto left = on_disk().size();
    ASSERT_GT(left, 0U);
    EXPECT_TRUE(std::filesystem::exists(part() + ".json"));
    one_.heal();
    one_.forget_seen();
    expect_whole(run(what));
    EXPECT_EQ(one_.seen().at(0).range, "bytes=" + std::to_string(left) + "-");
}

TEST_F(Downloads, AskNobodyForWhatIsWhole) {
    std::ofstream(part(), std::ios::binary) << file_;
    expect_whole(run(wanted()));
    EXPECT_TRUE(one_.seen().empty());
}

TEST_F(Downloads, ForgetWhatAPowerCutMadeOfThePart) {
    auto zeros = file_;
    std::fill(zeros.begin() + 500'000, zeros.end(), '\0');
    std::ofstream(part(), std::ios::binary) << zeros;
    std::ofstream(part() + ".json") << "{\"url\": 5, \"sha2";
    expect_whole(run(wanted()));
    EXPECT_EQ(restarts_, 1);
}

TEST_F(Downloads, WithoutADigestGoOnOnlyWithAValidator) {
    auto what = wanted();
    what.urls.pop_back();
    what.sha256.clear();
    what.size.reset();
    one_.spoil({.kind = Kind::break_off, .amount = 300'000, .times = 1});
    expect_whole(run(what));
    EXPECT_FALSE(one_.seen().at(1).if_range.empty());
    EXPECT_EQ(restarts_, 0);

    std::filesystem::remove(part());
    one_.heal();
    one_.forget_seen();
    one_.spoil({.kind = Kind::no_validators});
    one_.spoil({.kind = Kind::break_off, .amount = 300'000, .times = 1});
    expect_whole(run(what));
    EXPECT_EQ(one_.seen().at(1).range, "");
    EXPECT_EQ(restarts_, 1);

    std::ofstream(part(), std::ios::binary) << "left by somebody";
    expect_whole(run(what));
}

TEST_F(Downloads, WithoutADigestRefuseWhatHasNoEnd) {
    auto what = wanted();
    what.urls.pop_back();
    what.sha256.clear();
    what.size.reset();
    one_.spoil({.kind = Kind::unframed});
    expect_failure(run(what), "does not say how long the file is");
    what.sha256 = wanted().sha256;
    expect_whole(run(what));
}

TEST_F(Downloads, RefuseOtherAddresses) {
    for (const char* url : {"file:///etc/passwd", "ftp://x/y", "/etc/passwd", "http://", "http:///x", "http://a b/",
                            "https://x/\r\nX: y", "javascript:x", ""}) {
        auto what = wanted();
        what.urls = {url};
        const auto done = run(what);
        ASSERT_FALSE(done) << url;
        EXPECT_EQ(done.error().kind, ErrorKind::invalid) << url;
    }
    EXPECT_EQ(files_left(), 0U);
}

TEST_F(Downloads, SayWhatWasTriedAndWhy) {
    one_.spoil({.kind = Kind::status, .amount = 404});
    two_.spoil({.kind = Kind::status, .amount = 410});
    auto what = wanted();
    what.urls[0] += "?token=secret";
    const auto gone = run(what);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
    EXPECT_EQ(gone.error().message,
              "cannot download 'file': " + one_.url("/file") + ": 404 Not Found; " + two_.url("/file") + ": 410 Gone");
    two_.heal();
    two_.spoil({.kind = Kind::silent});
    limits_ = kImpatient;
    const auto away = run(what);
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().kind, ErrorKind::unavailable);
}

TEST_F(Downloads, RefuseToRunTwice) {
    const auto other = PartFile::open(part());
    ASSERT_TRUE(other);
    const auto done = run(wanted());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::conflict);
}

TEST_F(Downloads, EndWithTheSinksError) {
    auto http = Http::open(limits_);
    ASSERT_TRUE(http);
    Sink sink;
    sink.data = [](std::string_view) -> Result<void> { return fail(ErrorKind::system, "the unpacker has gone"); };
    const auto done = download(*http, wanted(), sink);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "the unpacker has gone");
    EXPECT_TRUE(two_.seen().empty());
}

// A sink that cannot forget (a pipe): each download ends there and the next one goes on. All mirrors get their turn.
TEST_F(Downloads, RestartByEndingAndBeginningAgain) {
    one_.spoil({.kind = Kind::wrong_byte, .amount = 5});
    auto http = Http::open(limits_);
    ASSERT_TRUE(http);
    Sink sink;
    sink.data = [this](std::string_view bytes) -> Result<void> {
        given_ += bytes;
        return {};
    };
    sink.restart = []() -> Result<void> { return fail(ErrorKind::unavailable, "again"); };
    auto done = download(*http, wanted(), sink);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "again");
    given_.clear();
    done = download(*http, wanted(), sink);
    expect_whole(done);
    EXPECT_EQ(done->url, two_.url("/file"));

    two_.spoil({.kind = Kind::wrong_byte, .amount = 5});
    std::filesystem::remove(part());
    int begun = 0;
    for (; begun < 10; ++begun) {
        done = download(*http, wanted(), sink);
        ASSERT_FALSE(done);
        if (done.error().message != "again")
            break;
    }
    EXPECT_LT(begun, 4);
    expect_failure(done, "sent wrong contents");
}

TEST_F(Downloads, WriteThroughNoLink) {
    std::ofstream(folder_ / "victim") << "precious";
    std::filesystem::create_symlink(folder_ / "victim", part());
    EXPECT_FALSE(run(wanted()));
    std::ifstream in(folder_ / "victim");
    std::string text;
    std::getline(in, text);
    EXPECT_EQ(text, "precious");
}

TEST(ContentRanges, AreParsedStrictly) {
    const auto range = parse_content_range("bytes 100-199/200");
    ASSERT_TRUE(range);
    EXPECT_EQ(range->first, 100U);
    EXPECT_EQ(range->last, 199U);
    EXPECT_EQ(range->total, 200U);
    EXPECT_FALSE(parse_content_range("bytes 0-9/*")->total);
    for (const char* text : {"", "bytes", "bytes */200", "bytes 9-0/10", "bytes 0-9", "bytes 0-10/10", "items 0-9/10",
                             "bytes -1-9/10", "bytes 0-9/1x", "bytes 0-99999999999999999999/*"})
        EXPECT_FALSE(parse_content_range(text)) << text;
}

} // namespace
} // namespace squish::fetch
