// squish-fetch, the program: started as squishd starts it, confined, killed at any moment.
#include "fetch/hasher.h"
#include "os/process.h"
#include "os/socket.h"
#include "testweb/testweb.h"
#include "wire/json_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <random>
#include <unistd.h>

namespace squish {
namespace {

using squish::test::Fault;
using squish::test::TestWeb;
using ::testing::HasSubstr;
using wire::Json;

const char* const kProgram = SQUISH_BUILD_DIR "/libexec/squish/squish-fetch";

struct Running {
    os::Child child;
    UniqueFd channel;
    Running() = default;
    Running(Running&&) = default;
    Running& operator=(Running&&) = default;
    ~Running() {
        if (child.pidfd) {
            (void) os::send_signal(child.pidfd.get(), SIGKILL);
            (void) os::wait_ended(child.pidfd.get(), 5000);
            (void) os::reap(child.pidfd.get());
        }
    }
};

class Fetcher : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ =
            std::filesystem::temp_directory_path() / ("squish-fetcher-" + std::to_string(::getpid()) + "-" +
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_ / "parts");
        for (std::uint32_t state = 1; file_.size() < 4'000'000;) {
            state = state * 1664525 + 1013904223;
            file_ += static_cast<char>(state >> 24);
        }
        web_.add("/file", file_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    Running start() {
        Running out;
        auto pair = os::socket_pair();
        EXPECT_TRUE(pair);
        os::Spawn spawn;
        spawn.program = kProgram;
        spawn.args = {"squish-fetch"};
        spawn.keep = {pair->second.get()};
        spawn.stderr_fd = STDERR_FILENO;
        auto child = os::spawn_child(spawn);
        EXPECT_TRUE(child) << child.error().text();
        out.child = std::move(*child);
        out.channel = std::move(pair->first);
        return out;
    }
    Json download() {
        Json request = wire::to_request("download");
        request["seq"] = 7;
        request["urls"] = Json::array({web_.url("/file")});
        request["part"] = (folder_ / "parts/file").string();
        request["max_bytes"] = 100 << 20;
        request["size"] = file_.size();
        request["sha256"] = fetch::sha256_of(file_).value();
        return request;
    }
    // The answer, past the events; an empty object where the program ended without one.
    static Json answer_of(const Running& running) {
        for (;;) {
            pollfd waiting{running.channel.get(), POLLIN, 0};
            if (::poll(&waiting, 1, 20'000) != 1)
                return Json::object();
            auto message = wire::receive_json(running.channel.get());
            if (!message || message->peer_closed)
                return Json::object();
            if (!message->body.contains("event"))
                return message->body;
        }
    }
    static int wait(const Running& running) {
        EXPECT_TRUE(os::wait_ended(running.child.pidfd.get(), 5000));
        const auto reaped = os::reap(running.child.pidfd.get());
        return reaped && reaped->changed ? os::exit_code(reaped->status) : -1;
    }
    [[nodiscard]] bool is_whole() const {
        std::ifstream in(folder_ / "parts/file", std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(in), {}} == file_;
    }

    std::filesystem::path folder_;
    std::string file_;
    TestWeb web_;
};

TEST_F(Fetcher, DoesOneJobAndEnds) {
    const auto running = start();
    ASSERT_TRUE(wire::send_json(running.channel.get(), download()));
    const auto answer = answer_of(running);
    EXPECT_EQ(answer["ok"], true) << answer;
    EXPECT_EQ(answer["seq"], 7);
    EXPECT_EQ(answer["size"], file_.size());
    EXPECT_EQ(wait(running), 0);
    EXPECT_TRUE(is_whole());
}

TEST_F(Fetcher, TellsWhatWentWrong) {
    web_.spoil({.kind = Fault::Kind::status, .amount = 404});
    const auto running = start();
    ASSERT_TRUE(wire::send_json(running.channel.get(), download()));
    const auto error = wire::check_answer(answer_of(running));
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().kind, ErrorKind::not_found);
    EXPECT_THAT(error.error().message, HasSubstr(web_.url("/file") + ": 404 Not Found"));
    EXPECT_EQ(wait(running), 0);
}

TEST_F(Fetcher, EndsWhenNobodyWaitsForIt) {
    web_.spoil({.kind = Fault::Kind::silent});
    auto running = start();
    ASSERT_TRUE(wire::send_json(running.channel.get(), download()));
    running.channel.reset();
    EXPECT_EQ(wait(running), 0);
    auto idle = start();
    idle.channel.reset();
    EXPECT_EQ(wait(idle), 0);
}

// A link in place of the record beside the part: what it leads to is left alone, and the download is right.
TEST_F(Fetcher, WritesThroughNoLink) {
    std::ofstream(folder_ / "victim") << "precious";
    std::filesystem::create_symlink(folder_ / "victim", folder_ / "parts/file.json");
    const auto running = start();
    ASSERT_TRUE(wire::send_json(running.channel.get(), download()));
    EXPECT_EQ(answer_of(running)["ok"], true);
    EXPECT_TRUE(is_whole());
    std::ifstream in(folder_ / "victim");
    std::string text;
    std::getline(in, text);
    EXPECT_EQ(text, "precious");
}

TEST_F(Fetcher, GoesOnWhereAKilledOneStopped) {
    std::mt19937 random(20240906); // the same moments every time, as far as a machine allows
    web_.spoil({.kind = Fault::Kind::slow, .amount = 40'000'000});
    int killed = 0;
    for (int round = 0; round < 50; ++round) {
        const auto running = start();
        ASSERT_TRUE(wire::send_json(running.channel.get(), download()));
        // after so many events, or so soon that there was none
        int events = static_cast<int>(random() % 3);
        pollfd waiting{running.channel.get(), POLLIN, 0};
        while (events-- > 0 && ::poll(&waiting, 1, static_cast<int>(random() % 60)) == 1) {
            const auto message = wire::receive_json(running.channel.get());
            ASSERT_TRUE(message);
            if (!message->body.contains("event"))
                break;
        }
        ASSERT_TRUE(os::send_signal(running.child.pidfd.get(), SIGKILL));
        killed += wait(running) == 128 + SIGKILL ? 1 : 0;
        if (round % 10 == 9) { // and then one that is left alone
            const auto last = start();
            ASSERT_TRUE(wire::send_json(last.channel.get(), download()));
            const auto answer = answer_of(last);
            ASSERT_EQ(answer["ok"], true) << answer;
            ASSERT_TRUE(is_whole());
            ASSERT_FALSE(std::filesystem::exists(folder_ / "parts/file.json"));
            std::filesystem::remove(folder_ / "parts/file");
        }
    }
    EXPECT_GT(killed, 0);
}

TEST_F(Fetcher, RefusesAMalformedRequest) {
    const auto running = start();
    Json request = wire::to_request("download");
    request["part"] = 5;
    ASSERT_TRUE(wire::send_json(running.channel.get(), request));
    const auto error = wire::check_answer(answer_of(running));
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().kind, ErrorKind::invalid);
}

} // namespace
} // namespace squish
