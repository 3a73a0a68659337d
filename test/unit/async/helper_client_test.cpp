// squishd as the client of a helper that has been taken over: it may say what it likes.
#include "async/helper_client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace squish {
namespace {

class Helper : public ::testing::Test {
protected:
    Helper() {
        auto pair = os::socket_pair();
        theirs_ = std::move(pair->first);
        client_.emplace(
            loop_.get_executor(), "the helper", std::move(pair->second), [this] { gone_ = true; },
            [this](const wire::Json& event) { events_.push_back(event); });
    }
    ~Helper() override {
        client_.reset();
        loop_.restart();
        loop_.run();
    }
    // And has it read: a socket holds but one of the long ones.
    void say(std::string_view bytes) {
        ASSERT_TRUE(os::send_message(theirs_.get(), bytes));
        loop_.restart();
        loop_.poll();
    }
    // Asks, and answers with these bytes.
    Result<wire::JsonMessage> ask(std::string_view answer) {
        std::optional<Result<wire::JsonMessage>> out;
        boost::asio::co_spawn(
            loop_, [&]() -> boost::asio::awaitable<void> { out = co_await client_->ask(wire::to_request("x")); },
            [](const std::exception_ptr& broken) { ASSERT_FALSE(broken); });
        loop_.restart();
        loop_.poll(); // the request goes out
        say(answer);
        for (int i = 0; i < 1000 && !out; ++i)
            loop_.run_one_for(std::chrono::milliseconds(10));
        return out ? std::move(*out) : fail(ErrorKind::unavailable, "no answer at all");
    }

    boost::asio::io_context loop_{1};
    UniqueFd theirs_;
    bool gone_ = false;
    std::vector<wire::Json> events_;
    std::optional<HelperClient> client_;
};

// Copying a JSON value goes as deep as it is: this one would take more stack than there is.
TEST_F(Helper, MaySendWhatIsNestedAsDeepAsAMessageIsLong) {
    const std::string half(wire::kMaxMessageBytes / 2 - 64, '[');
    const auto deep = half + std::string(half.size(), ']');
    say(R"({"event":)" + deep + "}");
    say(R"({"event":"progress","request":)" + deep + "}");
    say(R"({"event":"known"})");
    const auto answer = ask(R"({"seq":1,"ok":true,"fine":1})");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body["fine"], 1);
    ASSERT_EQ(events_.size(), 1U);
    EXPECT_EQ(events_[0]["event"], "known");
    EXPECT_FALSE(gone_);
}

TEST_F(Helper, MaySendWhatIsNoMessage) {
    for (const auto* nothing : {"[]", "null", "{", "\xff", R"({"seq":"1"})", R"({"seq":-1})", R"({"event":7})"})
        say(nothing);
    const auto answer = ask(R"({"seq":1,"ok":false,"error":{"kind":"conflict"}})");
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message, "no answer at all");
}

} // namespace
} // namespace squish
