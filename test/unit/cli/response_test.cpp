#include "cli/client.h"
#include "cli/response.h"

#include <gmock/gmock.h>
#include <random>

namespace squish::cli {

namespace {

constexpr std::string_view kChunked =
    "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"}\r\n1\r\n\n\r\n0\r\n\r\n";

TEST(Responses, AreReadInOnePiece) {
    Response response;
    ASSERT_TRUE(response.feed("HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabcXX"));
    EXPECT_TRUE(response.complete());
    EXPECT_EQ(response.status(), 404U);
    EXPECT_EQ(response.take_body(), "abc");
}

TEST(Responses, AreReadByteByByte) {
    Response response;
    for (const char letter : kChunked) {
        EXPECT_FALSE(response.complete());
        ASSERT_TRUE(response.feed({&letter, 1}));
    }
    EXPECT_TRUE(response.complete());
    EXPECT_EQ(response.take_line(), "{\"a\"}");
    EXPECT_FALSE(response.take_line());
}

TEST(Responses, GiveALineAsSoonAsItIsWhole) {
    Response response;
    ASSERT_TRUE(response.feed("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab\n\r\n2\r\ncd"));
    EXPECT_EQ(response.take_line(), "ab");
    EXPECT_FALSE(response.take_line());
    EXPECT_FALSE(response.complete());
}

TEST(Responses, PassOverAnInvitation) {
    Response response;
    ASSERT_TRUE(response.feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    EXPECT_EQ(response.status(), 200U);
    EXPECT_TRUE(response.complete());
}

TEST(Responses, ThatAreNoHttpAreErrors) {
    for (const std::string_view bytes :
         {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        Response response;
        EXPECT_FALSE(response.feed(bytes)) << bytes;
    }
    Response endless;
    EXPECT_FALSE(endless.feed(std::string(100'000, 'x')));
}

TEST(Responses, SurviveRandomBytes) {
    std::mt19937 random(7);
    for (int round = 0; round < 10'000; ++round) {
        std::string bytes(kChunked);
        for (int edit = 0; edit < 3; ++edit)
            bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
        Response response;
        (void) response.feed(bytes);
        EXPECT_LE(response.take_body().size(), bytes.size());
    }
}

TEST(Errors, ComeBackAsTheyWereSent) {
    const auto error = error_of(409, R"({"error": {"kind": "conflict", "message": "taken", "remedy": "wait"}})");
    EXPECT_EQ(error.kind, ErrorKind::conflict);
    EXPECT_EQ(error.text(), "taken (wait)");
    EXPECT_EQ(error_of(500, "<html>").kind, ErrorKind::unavailable);
    EXPECT_EQ(error_of(500, R"({"error": 5})").kind, ErrorKind::unavailable);
}

TEST(Paths, AreEncoded) {
    EXPECT_EQ(percent_encode("a-b_c.d~9"), "a-b_c.d~9");
    EXPECT_EQ(percent_encode("../x y?\xc3\xa4"), "..%2Fx%20y%3F%C3%A4");
}

} // namespace

} // namespace squish::cli
