// squish-fetch as squishd drives it: the jobs in this process, against web servers of the test.
#include "catalog/minisign.h"
#include "catalog/source_index.h"
#include "fetch/hasher.h"
#include "fetcher/jobs.h"
#include "testweb/testweb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <filesystem>
#include <thread>
#include <unistd.h>

namespace squish::fetcher {
namespace {

using squish::test::Fault;
using squish::test::TestWeb;
using ::testing::HasSubstr;
using Kind = Fault::Kind;
using wire::Json;

Json quick() {
    Json limits = Json::object();
    limits["connect_ms"] = 10'000;
    limits["stall_ms"] = 1500;
    limits["total_ms"] = 60'000;
    return limits;
}

class Jobs : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ =
            std::filesystem::temp_directory_path() / ("squish-jobs-" + std::to_string(::getpid()) + "-" +
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::filesystem::path folder_;
    TestWeb one_, two_;
};

class AlpineJobs : public Jobs {
protected:
    void publish(TestWeb& web, const std::string& version, const std::string& folder) {
        const auto branch = "v" + version.substr(0, version.rfind('.'));
        const auto file = "alpine-minirootfs-" + version + "-x86_64.tar.gz";
        web.add("/alpine/" + folder + "/releases/x86_64/latest-releases.yaml",
                "---\n- branch: " + branch + "\n  arch: x86_64\n  version: " + version +
                    "\n  flavor: alpine-minirootfs\n  file: " + file + "\n  size: 11\n  sha256: " +
                    fetch::sha256_of("the archive").value() + "\n  sha512: " + std::string(128, 'a') + "\n");
    }
    Result<Json> find(const std::string& requirement, bool stale = false) {
        Json request = wire::to_request("alpine.find");
        request["mirrors"] = {one_.url("/alpine"), two_.url("/alpine/")};
        request["requirement"] = requirement;
        request["arch"] = "x86_64";
        request["cache"] = folder_.string();
        request["stale"] = stale;
        request["limits"] = quick();
        return run_job(request, {}, [](const Json&) {});
    }
};

TEST_F(AlpineJobs, FindAReleaseAtAllMirrors) {
    publish(one_, "3.20.3", "v3.20");
    const auto found = find("3.20");
    ASSERT_TRUE(found) << found.error().text();
    const auto& candidate = (*found)["candidates"][0];
    EXPECT_EQ(candidate["version"], "3.20.3");
    EXPECT_EQ(candidate["branch"], "v3.20");
    EXPECT_EQ(candidate["size"], 11);
    const auto path = "/alpine/v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz";
    EXPECT_EQ(candidate["urls"], Json::array({one_.url(path), two_.url(path)}));
    EXPECT_EQ((*found)["from_cache"], false);
}

TEST_F(AlpineJobs, AskTheNextMirrorAndLittleTheSecondTime) {
    publish(two_, "3.20.3", "v3.20");
    one_.spoil({.kind = Kind::html});
    ASSERT_TRUE(find("3.20"));
    ASSERT_TRUE(find("3.20"));
    EXPECT_EQ(two_.seen().at(1).status, 304);
}

TEST_F(AlpineJobs, TakeAMalformedListForAMirrorThatFails) {
    publish(one_, "3.14.10", "v3.20"); // the list of another branch
    publish(two_, "3.20.3", "v3.20");
    EXPECT_EQ((*find("3.20"))["candidates"][0]["version"], "3.20.3");
}

TEST_F(AlpineJobs, FallBackOnWhatWasThereOnlyWhenAllowed) {
    publish(one_, "3.20.3", "latest-stable");
    ASSERT_TRUE(find("latest"));
    one_.spoil({.kind = Kind::reset});
    two_.spoil({.kind = Kind::silent});
    const auto refused = find("latest");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(refused.error().message,
                HasSubstr(one_.url("/alpine/latest-stable/releases/x86_64/latest-releases.yaml")));
    EXPECT_THAT(refused.error().message, HasSubstr("no answer within 1500 ms"));
    const auto stale = find("latest", true);
    ASSERT_TRUE(stale) << stale.error().text();
    EXPECT_EQ((*stale)["from_cache"], true);
}

// A mirror that is away must not make the search believe that a branch does not exist.
TEST_F(AlpineJobs, DoNotTakeSilenceForAbsence) {
    publish(two_, "3.19.1", "v3.19");
    one_.spoil({.kind = Kind::status, .amount = 503});
    const auto found = find(">=3.18 <3.21");
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("503 Service Unavailable"));
}

class SourceJobs : public Jobs {
protected:
    void publish(TestWeb& web, const std::string& layer, const std::vector<std::string>& versions,
                 const catalog::SecretKey* key = nullptr) {
        catalog::SourceIndex index{layer, {}};
        for (const auto& version : versions)
            ASSERT_TRUE(
                catalog::add_to_index(index, catalog::Version::parse(version).value(),
                                      {{"alpine", catalog::Requirement::parse(">=3.18").value()}},
                                      {"x86_64", layer + "-" + version + ".tar.zst", 11, std::string(64, 'a')}));
        const auto text = catalog::write_index(index);
        web.add("/layers/" + layer + "/index.json", text);
        if (key != nullptr)
            web.add("/layers/" + layer + "/index.json.minisig", key->sign(text, "test"));
    }
    Json source(const TestWeb& web, const std::string& key = {}) {
        Json out = Json::object();
        out["url"] = web.url("/layers");
        if (!key.empty())
            out["key"] = key;
        return out;
    }
    Result<Json> find(const std::string& layer, std::vector<Json> sources, const std::string& requirement = "*",
                      bool stale = false) {
        Json request = wire::to_request("source.find");
        request["sources"] = std::move(sources);
        request["layer"] = layer;
        request["arch"] = "x86_64";
        request["requirement"] = requirement;
        request["cache"] = folder_.string();
        request["stale"] = stale;
        request["limits"] = quick();
        return run_job(request, {}, [](const Json&) {});
    }
    catalog::SecretKey key_ = catalog::SecretKey::generate();
    std::string public_ = key_.public_key().text();
};

TEST_F(SourceJobs, FindTheVersionsOfALayer) {
    publish(one_, "python", {"3.11.2", "3.12.0", "3.11.9"});
    const auto found = find("python", {source(one_)}, "~3.11");
    ASSERT_TRUE(found) << found.error().text();
    const auto& candidates = (*found)["candidates"];
    ASSERT_EQ(candidates.size(), 2U);
    EXPECT_EQ(candidates[0]["version"], "3.11.9");
    EXPECT_EQ(candidates[0]["urls"], Json::array({one_.url("/layers/python/python-3.11.9.tar.zst")}));
    EXPECT_EQ(candidates[0]["requires"]["alpine"], ">=3.18");
    EXPECT_EQ(candidates[0]["sha256"], std::string(64, 'a'));
}

TEST_F(SourceJobs, AcceptWhatTheKeySigned) {
    publish(one_, "python", {"3.11.2"}, &key_);
    for (int run = 0; run < 2; ++run) {
        const auto found = find("python", {source(one_, public_)});
        ASSERT_TRUE(found) << found.error().text();
    }
    EXPECT_EQ(one_.seen().at(2).status, 304); // and the signature likewise
    EXPECT_EQ(one_.seen().at(3).status, 304);
    publish(one_, "python", {"3.11.3"}, &key_); // a new index and its new signature
    EXPECT_EQ((*find("python", {source(one_, public_)}))["candidates"][0]["version"], "3.11.3");
}

TEST_F(SourceJobs, RefuseAMissingOrWrongSignature) {
    publish(one_, "python", {"3.11.2"});
    auto found = find("python", {source(one_, public_)});
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("the index is not signed, and the source has a key"));

    const auto other = catalog::SecretKey::generate();
    publish(one_, "python", {"3.11.2"}, &other);
    found = find("python", {source(one_, public_)});
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("was made with key"));

    publish(one_, "python", {"3.11.2"}, &key_);
    publish(one_, "python", {"9.9.9"}); // the index is changed, the signature stays
    found = find("python", {source(one_, public_)});
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("the signature is wrong"));
    found = find("python", {source(one_, public_)}, "*", true);
    ASSERT_FALSE(found) << "and nothing of it was kept";
}

// Signed, but about something else: a mirror could offer an old node as python.
TEST_F(SourceJobs, RefuseTheSignedIndexOfAnotherLayer) {
    catalog::SourceIndex node{"node", {}};
    const auto text = catalog::write_index(node);
    one_.add("/layers/python/index.json", text);
    one_.add("/layers/python/index.json.minisig", key_.sign(text, "test"));
    const auto found = find("python", {source(one_, public_)});
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("'name' must be 'python'"));
}

TEST_F(SourceJobs, LetTheFirstSourceThatHasTheNameDecide) {
    publish(one_, "internal", {"1.0.0"});
    publish(two_, "internal", {"99.0.0"}); // somebody took the name of a private layer
    EXPECT_EQ((*find("internal", {source(one_), source(two_)}))["candidates"][0]["version"], "1.0.0");
    publish(two_, "node", {"20.11.1"});
    EXPECT_EQ((*find("node", {source(one_), source(two_)}))["candidates"][0]["version"], "20.11.1");
    one_.spoil({.kind = Kind::status, .amount = 503});
    const auto found = find("internal", {source(one_), source(two_)});
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, HasSubstr("503 Service Unavailable"));
    const auto stale = find("internal", {source(one_), source(two_)}, "*", true);
    ASSERT_TRUE(stale);
    EXPECT_EQ((*stale)["from_cache"], true);
}

TEST_F(SourceJobs, SayThatNobodyHasIt) {
    const auto found = find("nothing", {source(one_), source(two_)});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, ErrorKind::not_found);
    EXPECT_EQ(found.error().message,
              "no layer source has 'nothing': asked were " + one_.url("/layers") + ", " + two_.url("/layers"));
    EXPECT_THAT(find("nothing", {}).error().message, HasSubstr("none is configured"));
}

TEST_F(SourceJobs, RefuseNamesThatLeadElsewhere) {
    for (const char* name : {"", "..", "../x", "a/b", ".hidden", "a b", "a?b"}) {
        const auto found = find(name, {source(one_)});
        ASSERT_FALSE(found) << name;
        EXPECT_EQ(found.error().kind, ErrorKind::invalid) << name;
    }
    EXPECT_TRUE(one_.seen().empty());
}

class DownloadJobs : public Jobs {
protected:
    Json request(std::vector<std::string> paths) {
        Json out = wire::to_request("download");
        out["urls"] = std::move(paths);
        out["part"] = (folder_ / "x.part").string();
        out["max_bytes"] = 1 << 20;
        out["sha256"] = fetch::sha256_of("the archive").value();
        out["size"] = 11;
        out["limits"] = quick();
        return out;
    }
};

TEST_F(DownloadJobs, StreamThroughAPipe) {
    one_.add("/x", "the archive");
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd out(ends[0]);
    std::vector<UniqueFd> fds;
    fds.emplace_back(ends[1]);
    std::vector<Json> told;
    const auto done =
        run_job(request({one_.url("/x")}), std::move(fds), [&](const Json& event) { told.push_back(event); });
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ((*done)["size"], 11);
    EXPECT_EQ((*done)["sha256"], fetch::sha256_of("the archive").value());
    char bytes[64];
    EXPECT_EQ(std::string(bytes, static_cast<std::size_t>(::read(out.get(), bytes, sizeof bytes))), "the archive");
    EXPECT_EQ(::read(out.get(), bytes, sizeof bytes), 0); // and it is closed
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(told[0]["event"], "progress");
    EXPECT_EQ(told[0]["received"], 11);
    EXPECT_EQ(told[0]["total"], 11);
}

TEST_F(DownloadJobs, SayWhenThePipeMustBeFilledAnew) {
    one_.add("/x", "the ARCHIVE");
    two_.add("/x", "the archive");
    const auto run = [&] {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        const UniqueFd out(ends[0]);
        std::vector<UniqueFd> fds;
        fds.emplace_back(ends[1]);
        return run_job(request({one_.url("/x"), two_.url("/x")}), std::move(fds), [](const Json&) {});
    };
    auto done = run();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ((*done)["restart"], true);
    done = run();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_FALSE(done->contains("restart"));
    EXPECT_EQ((*done)["url"], two_.url("/x"));
}

TEST_F(DownloadJobs, RefuseMalformedRequests) {
    const std::vector<std::pair<const char*, Json>> wrong = {
        {"urls", Json::array()},   {"urls", "http://x"}, {"urls", Json::array({5})},
        {"part", "x.part"},        {"part", "/"},        {"max_bytes", 0},
        {"size", 2 << 20},         {"size", -1},         {"sha256", "../../etc/pwd"},
        {"limits", "as you like"},
    };
    for (const auto& [member, value] : wrong) {
        auto bad = request({one_.url("/x")});
        bad[member] = value;
        const auto needs = needs_of(bad);
        if (!needs)
            continue;
        const auto done = run_job(bad, {}, [](const Json&) {});
        ASSERT_FALSE(done) << member << " " << value;
        EXPECT_EQ(done.error().kind, ErrorKind::invalid) << member << " " << value;
    }
    EXPECT_TRUE(one_.seen().empty());
    Json unknown = wire::to_request("upload");
    EXPECT_FALSE(needs_of(unknown));
}

} // namespace
} // namespace squish::fetcher
