// The JSON channel: one object per message, errors that survive the way, nothing that a malformed message could break.
#include "wire/json_channel.h"

#include "os/socket.h"

#include <cerrno>
#include <fcntl.h>
#include <gmock/gmock.h>

namespace squish::wire {
namespace {

using ::testing::HasSubstr;

class JsonChannel : public ::testing::Test {
protected:
    void SetUp() override {
        auto pair = os::socket_pair();
        ASSERT_TRUE(pair);
        one_ = std::move(pair->first);
        two_ = std::move(pair->second);
    }
    Result<JsonMessage> pass(std::string_view raw) {
        if (auto sent = os::send_message(one_.get(), raw); !sent)
            return std::unexpected(sent.error());
        return receive_json(two_.get());
    }
    UniqueFd one_, two_;
};

TEST_F(JsonChannel, CarriesAnObjectAndItsDescriptors) {
    const int fds[] = {one_.get()};
    ASSERT_TRUE(send_json(one_.get(), {{"op", "x"}, {"list", {1, 2}}}, fds));
    const auto message = receive_json(two_.get());
    ASSERT_TRUE(message);
    EXPECT_EQ(message->body["op"], "x");
    EXPECT_EQ(message->fds.size(), 1U);
    EXPECT_FALSE(message->peer_closed);
}

TEST_F(JsonChannel, RefusesWhatIsNoObject) {
    for (const auto* text : {"{", "[]", "null", "1", "\"text\"", "{}{}", "{\"a\":}", "{\"a\":1,}", "nonsense",
                             "\xff\xfe", "{\"a\":\"\xff\"}"}) {
        const auto message = pass(text);
        ASSERT_FALSE(message) << text;
        EXPECT_EQ(message.error().kind, ErrorKind::invalid) << text;
    }
    EXPECT_TRUE(pass("{}")) << "and goes on";
}

TEST_F(JsonChannel, SurvivesDeepNesting) {
    const std::string deep = std::string(kMaxMessageBytes / 2, '[') + std::string(kMaxMessageBytes / 2, ']');
    EXPECT_FALSE(pass(deep));
    const std::string open_ended(kMaxMessageBytes, '[');
    EXPECT_FALSE(pass(open_ended));
}

TEST_F(JsonChannel, RefusesMessagesThatAreTooLongOnBothSides) {
    const auto sent = send_json(one_.get(), {{"text", std::string(kMaxMessageBytes, 'x')}});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().kind, ErrorKind::invalid);
    const auto received = pass("{\"text\":\"" + std::string(kMaxMessageBytes, 'x') + "\"}");
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().sys_errno, EMSGSIZE);
    EXPECT_TRUE(pass("{}"));
}

TEST_F(JsonChannel, TellsNothingYetFromGone) {
    ASSERT_EQ(::fcntl(two_.get(), F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(receive_json(two_.get()).error().sys_errno, EAGAIN);
    one_.reset();
    const auto message = receive_json(two_.get());
    ASSERT_TRUE(message);
    EXPECT_TRUE(message->peer_closed);
}

TEST_F(JsonChannel, TextThatIsNoUtf8IsSentReplacedNotRefused) {
    ASSERT_TRUE(send_json(one_.get(), {{"path", "/a\xff"
                                                "b"}}));
    const auto message = receive_json(two_.get());
    ASSERT_TRUE(message);
    EXPECT_EQ(message->body["path"], "/a\xEF\xBF\xBD"
                                     "b");
}

TEST_F(JsonChannel, AnswersRepeatTheNumberWhateverItWas) {
    EXPECT_EQ(answer({{"op", "x"}, {"seq", 12}})["seq"], 12);
    EXPECT_EQ(answer({{"op", "x"}})["seq"], 0);
    EXPECT_EQ(answer({{"seq", "twelve"}})["seq"], 0);
    EXPECT_EQ(answer({{"seq", nullptr}}, {{"a", 1}})["a"], 1);
    EXPECT_TRUE(check_answer(answer({{"seq", 1}})));
}

TEST_F(JsonChannel, ErrorsSurviveTheWay) {
    for (const auto kind : {ErrorKind::invalid, ErrorKind::not_found, ErrorKind::conflict, ErrorKind::denied,
                            ErrorKind::unsupported, ErrorKind::start_failed, ErrorKind::not_executable,
                            ErrorKind::no_command, ErrorKind::unavailable, ErrorKind::system}) {
        EXPECT_EQ(error_kind(to_string(kind)), kind);
        const auto body = error_answer({{"seq", 3}}, Error{kind, "cannot 'x'", "try y", EPERM});
        EXPECT_EQ(body["seq"], 3);
        const auto back = check_answer(body);
        ASSERT_FALSE(back);
        EXPECT_EQ(back.error().kind, kind);
        EXPECT_EQ(back.error().message, "cannot 'x'");
        EXPECT_EQ(back.error().remedy, "try y");
        EXPECT_EQ(back.error().sys_errno, EPERM);
    }
    EXPECT_EQ(error_kind("unheard of"), ErrorKind::system);
}

TEST_F(JsonChannel, AMalformedAnswerIsAnErrorNotASuccess) {
    const char* const bodies[] = {R"({})",
                                  R"({"ok":1})",
                                  R"({"ok":"true"})",
                                  R"({"ok":false})",
                                  R"({"ok":false,"error":null})",
                                  R"({"ok":false,"error":{}})",
                                  R"({"ok":false,"error":{"kind":"system","message":3,"remedy":"","errno":0}})",
                                  R"({"ok":false,"error":{"kind":"system","message":"","remedy":"","errno":"0"}})",
                                  R"([])"};
    for (const auto* body : bodies)
        EXPECT_FALSE(check_answer(Json::parse(body))) << body;
}

TEST_F(JsonChannel, MembersAreCheckedAndNamed) {
    const Json body = {{"text", "x"}, {"number", -5}, {"fraction", 1.5}, {"none", nullptr}};
    EXPECT_EQ(*get_string(body, "text"), "x");
    EXPECT_EQ(*get_integer(body, "number"), -5);
    for (const auto* member : {"number", "fraction", "none", "missing"}) {
        const auto text = get_string(body, member);
        ASSERT_FALSE(text);
        EXPECT_THAT(text.error().message, HasSubstr(member));
    }
    for (const auto* member : {"text", "fraction", "none", "missing"})
        EXPECT_FALSE(get_integer(body, member)) << member;
    EXPECT_FALSE(get_string(Json::array(), "text")) << "of something that is no object";
}

} // namespace
} // namespace squish::wire
