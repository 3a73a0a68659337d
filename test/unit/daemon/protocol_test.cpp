// What an HTTP server must bear: requests in pieces, too large, too slow, malformed, and random.
#include "served.h"

#include <gmock/gmock.h>
#include <random>

namespace squish::daemon {

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Limits impatient() {
    Limits limits;
    limits.busy = 4;
    limits.total = 6;
    limits.read = std::chrono::milliseconds(150);
    limits.idle = std::chrono::milliseconds(300);
    return limits;
}

class Protocol : public Served {};
class ImpatientProtocol : public Served {
protected:
    ImpatientProtocol() : Served(impatient()) {}
};

TEST_F(Protocol, TakesARequestByteByByte) {
    auto client = connect();
    for (const char letter : std::string_view("GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n"))
        client.send({&letter, 1});
    EXPECT_THAT(client.read("}\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Protocol, KeepsAConnectionForFurtherRequests) {
    auto client = connect();
    for (int i = 0; i < 3; ++i) {
        client.send("GET /v1/version HTTP/1.1\r\n\r\n");
        EXPECT_THAT(client.read("}\n"), StartsWith("HTTP/1.1 200"));
    }
}

TEST_F(Protocol, AnswersPipelinedRequestsInTurn) {
    auto client = connect();
    client.send("GET /v1/version HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nGET /v1/version HTTP/1.1\r\nConnection: "
                "close\r\n\r\n");
    const auto answers = client.read();
    EXPECT_THAT(answers, HasSubstr("HTTP/1.1 404"));
    EXPECT_LT(answers.find("404"), answers.rfind("200 OK"));
    EXPECT_TRUE(client.closed);
}

TEST_F(Protocol, TakesAChunkedBody) {
    auto client = connect();
    client.send("POST /containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                "10\r\n{\"layers\":{\"app\"\r\n");
    client.send("d\r\n:\"/bin/true\"}\r\n1\r\n}\r\n0\r\n\r\n");
    EXPECT_THAT(client.read(), HasSubstr("[\"id0\"]"));
}

TEST_F(Protocol, InvitesABodyThatWaitsForIt) {
    auto client = connect();
    client.send("POST /containers/create HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 31\r\n\r\n");
    EXPECT_THAT(client.read("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
    client.send("{\"layers\":{\"app\":\"/bin/true\"}}\n");
    EXPECT_THAT(client.read("]\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Protocol, AnswersAClientThatSendsNoMore) {
    auto client = connect();
    client.send("GET /v1/version HTTP/1.1\r\n\r\n");
    client.finish_sending();
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 200"));
}

TEST_F(Protocol, RefusesAHeaderThatIsTooLong) {
    auto client = connect();
    client.send("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a'));
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 431"));
    EXPECT_TRUE(client.closed);
}

TEST_F(Protocol, RefusesABodyThatIsTooLong) {
    auto client = connect();
    client.send("POST /v1/containers HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n");
    EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 413"));
    auto chunked = connect();
    chunked.send("POST /v1/containers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    const auto chunk = "10000\r\n" + std::string(65536, ' ') + "\r\n";
    for (int i = 0; i < 40 && chunked.send(chunk); ++i) {
    }
    EXPECT_THAT(chunked.read(), StartsWith("HTTP/1.1 413"));
}

// What stands between the pieces of a body is no body: nothing else limits it.
TEST_F(Protocol, RefusesAChunkThatNeverBegins) {
    for (const std::string_view beginning : {"1;", "1\r\na\r\n0;", "0\r\nTrailer: "}) {
        auto client = connect();
        client.send("POST /v1/containers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(beginning);
        const std::string filler(16 << 10, 'a');
        std::size_t sent = 0;
        while (sent < 4 << 20 && client.send(filler))
            sent += filler.size();
        EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 4")) << beginning;
        EXPECT_TRUE(client.closed);
        EXPECT_LT(sent, 4U << 20) << "squishd keeps all of it";
    }
}

// Two of them could be taken for the body of one by whoever stands between.
TEST_F(Protocol, RefusesARequestOfTwoLengths) {
    for (const std::string_view lines :
         {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
          "Content-Length: 4\r\nContent-Length: 5\r\n", "Content-Length: 4, 5\r\n", "Content-Length: +4\r\n",
          "Content-Length: 0x4\r\n"}) {
        auto client = connect();
        client.send("POST /v1/networks HTTP/1.1\r\n" + std::string(lines) +
                    "\r\n0\r\n\r\nGET /v1/version HTTP/1.1\r\n\r\n");
        client.finish_sending();
        const auto answer = client.read();
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 4")) << lines;
        EXPECT_THAT(answer, ::testing::Not(HasSubstr(" 200 ")))
            << "the second request was hidden in the first: " << lines;
        EXPECT_TRUE(client.closed);
    }
}

TEST_F(Protocol, RefusesABodyOfUnendingDepth) {
    constexpr std::size_t kDepth = 900'000;
    const auto brackets = std::string(kDepth, '[') + std::string(kDepth, ']');
    for (const auto* key : {"squishfile", "args", "env", "lock", "terminal", "command", "unknown"}) {
        const auto inner = std::string(R"({"squishfile":{"run":{"command":"/x"}},")") + key + "\":" + brackets + "}";
        const auto body = std::string_view(key) == "squishfile" ? R"({"squishfile":{"x":)" + brackets + "}}" : inner;
        auto client = connect();
        client.send("POST /v1/containers HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
        client.send(body);
        EXPECT_THAT(client.read("}\n"), StartsWith("HTTP/1.1 400")) << key;
    }
    EXPECT_THAT(ask("GET", "/v1/version"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Protocol, RefusesWhatIsNoHttp) {
    for (const std::string_view bytes :
         {"nonsense\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
          "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET * HTTP/1.1\r\n\r\n", "GET /%zz?%zz HTTP/1.1\r\n\r\n"}) {
        auto client = connect();
        client.send(bytes);
        client.finish_sending();
        const auto answer = client.read();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 4")) << bytes << " → " << answer;
        EXPECT_TRUE(client.closed);
    }
    EXPECT_THAT(ask("GET", "/v1/version"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Protocol, DoesNotCutAPathAtAnEncodedNul) {
    on_loop([&] { fake_.add("a", "one"); });
    EXPECT_THAT(ask("GET", "/v1/containers/a%00b"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(ask("GET", "/v1/containers/%2e%2e%2fa"), StartsWith("HTTP/1.1 404"));
}

TEST_F(ImpatientProtocol, GivesUpOnASlowRequest) {
    auto header = connect();
    header.send("GET /v1/ver");
    EXPECT_THAT(header.read(), StartsWith("HTTP/1.1 408"));
    EXPECT_TRUE(header.closed);
    auto body = connect();
    body.send("POST /v1/containers HTTP/1.1\r\nContent-Length: 10\r\n\r\n{");
    EXPECT_THAT(body.read(), StartsWith("HTTP/1.1 408"));
}

TEST_F(ImpatientProtocol, ClosesAConnectionThatIdles) {
    auto fresh = connect();
    EXPECT_EQ(fresh.read(), "");
    EXPECT_TRUE(fresh.closed);
    auto used = connect();
    used.send("GET /v1/version HTTP/1.1\r\n\r\n");
    EXPECT_THAT(used.read(), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(used.closed);
}

TEST_F(ImpatientProtocol, LetsAWaitingRequestTakeItsTime) {
    on_loop([&] { fake_.add("a", "one"); });
    auto client = connect();
    client.send("GET /v1/containers/a/wait HTTP/1.1\r\n\r\n");
    EXPECT_EQ(client.read({}, 600), "");
    EXPECT_FALSE(client.closed);
    on_loop([&] { fake_.end("a", {0, 0, "exited"}); });
    EXPECT_THAT(client.read("}\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ImpatientProtocol, TellsClientsThatThereAreTooMany) {
    std::vector<Client> busy;
    for (int i = 0; i < 4; ++i) {
        busy.push_back(connect());
        busy.back().send("GET /v1/version HTTP/1.1\r\n\r\n");
        EXPECT_THAT(busy.back().read("}\n"), StartsWith("HTTP/1.1 200"));
    }
    auto refused = connect();
    EXPECT_THAT(refused.read(), StartsWith("HTTP/1.1 503"));
    EXPECT_TRUE(refused.closed);
    busy.pop_back();
    std::string answer;
    for (int i = 0; i < 100 && !answer.starts_with("HTTP/1.1 200"); ++i)
        answer = ask("GET", "/v1/version");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
}

TEST_F(ImpatientProtocol, DoesNotCountThoseThatWaitAsBusy) {
    on_loop([&] { fake_.add("a", "one"); });
    std::vector<Client> waiting;
    for (int i = 0; i < 5; ++i) {
        waiting.push_back(connect());
        waiting.back().send("GET /v1/containers/a/wait HTTP/1.1\r\n\r\n");
        EXPECT_EQ(waiting.back().read({}, 20), "");
    }
    EXPECT_THAT(ask("GET", "/v1/version"), StartsWith("HTTP/1.1 200"));
    on_loop([&] { fake_.end("a", {0, 0, "exited"}); });
    for (auto& client : waiting)
        EXPECT_THAT(client.read("}\n"), StartsWith("HTTP/1.1 200"));
}

// Ten thousand mutations of good requests: whatever is answered, the server goes on.
TEST_F(Protocol, SurvivesRandomRequests) {
    on_loop([&] { fake_.add("a", "one"); });
    const std::array<std::string, 4> seeds{
        "GET /v1/containers/a?x=%41 HTTP/1.1\r\nHost: h\r\nSquish-Fds: stdin\r\n\r\n",
        "POST /v1/containers HTTP/1.1\r\nContent-Length: "
        "45\r\n\r\n{\"squishfile\":{\"layers\":{\"app\":\"/bin/true\"}}}",
        "POST /v1/containers/a/exec HTTP/1.1\r\nTransfer-Encoding: "
        "chunked\r\n\r\n10\r\n{\"command\":[\"x\"]\r\n1\r\n}\r\n0\r\n\r\n",
        "POST /v1/containers/a/kill?signal=0x7f&signal=%zz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"};
    std::mt19937 random(20'240'613);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    for (int round = 0; round < 10'000; ++round) {
        auto bytes = seeds[below(seeds.size())];
        for (auto edits = 1 + below(4); edits-- > 0 && !bytes.empty();) {
            const auto at = below(bytes.size());
            switch (below(4)) {
            case 0:
                bytes[at] = static_cast<char>(below(256));
                break;
            case 1:
                bytes.erase(at, 1 + below(8));
                break;
            case 2:
                bytes.insert(at, bytes.substr(below(bytes.size()), below(32)));
                break;
            default:
                bytes.insert(at, 1, "\r\n\0 :,{}\"%"[below(10)]);
            }
        }
        auto client = connect();
        const std::array fds{0, 1};
        client.send(bytes, round % 7 == 0 ? std::span<const int>(fds) : std::span<const int>());
        client.finish_sending();
        if (round % 16 == 0)
            client.read();
    }
    EXPECT_THAT(ask("GET", "/v1/version"), StartsWith("HTTP/1.1 200"));
}

} // namespace

} // namespace squish::daemon
