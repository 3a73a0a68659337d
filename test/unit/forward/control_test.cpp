// The requests: what is refused and how, clients that come and go, and rubbish.

#include "forward/address.h"
#include "harness.h"
#include "os/socket.h"

#include <array>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <random>
#include <set>
#include <sys/socket.h>

namespace squish::forward::test {
namespace {

using testing::HasSubstr;
using wire::Json;

Json publish_request(int target_port) {
    return {{"op", "publish"},
            {"container", "c"},
            {"key", "p"},
            {"protocol", "tcp"},
            {"target", {{"address", "127.0.0.1"}, {"port", target_port}}}};
}

std::string error_of(const Json& answer) {
    EXPECT_EQ(answer["ok"], false);
    return answer["error"]["kind"].get<std::string>() + ": " + answer["error"]["message"].get<std::string>();
}

TEST(Control, NamesWhatIsWrongWithARequest) {
    ForwarderProcess forwarder;
    const auto listener = listen_tcp();
    const UniqueFd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const std::array fds = {listener.get(), own.get()};
    const auto refused = [&](const char* member, const Json& value) {
        auto request = publish_request(80);
        if (value.is_null())
            request.erase(member);
        else
            request[member] = value;
        return error_of(forwarder.call(request, fds));
    };
    EXPECT_THAT(refused("op", "publich"), HasSubstr("unknown request 'publich'"));
    EXPECT_THAT(refused("op", nullptr), HasSubstr("'op'"));
    EXPECT_THAT(refused("container", nullptr), HasSubstr("'container'"));
    EXPECT_THAT(refused("container", 5), HasSubstr("'container'"));
    EXPECT_THAT(refused("container", "two words"), HasSubstr("'container'"));
    EXPECT_THAT(refused("container", std::string(200, 'a')), HasSubstr("'container'"));
    EXPECT_THAT(refused("key", ""), HasSubstr("'key'"));
    EXPECT_THAT(refused("protocol", "sctp"), HasSubstr("unsupported: cannot publish protocol 'sctp'"));
    EXPECT_THAT(refused("target", "127.0.0.1:80"), HasSubstr("'target'"));
    EXPECT_THAT(refused("target", {{"address", "localhost"}, {"port", 80}}), HasSubstr("'localhost'"));
    EXPECT_THAT(refused("target", {{"address", "127.0.0.1"}, {"port", 0}}), HasSubstr("port"));
    EXPECT_THAT(refused("target", {{"address", "127.0.0.1"}, {"port", 65536}}), HasSubstr("port"));
    EXPECT_THAT(refused("target", {{"address", "127.0.0.1"}}), HasSubstr("'port'"));
    EXPECT_THAT(refused("max_connections", 0), HasSubstr("'max_connections'"));
    EXPECT_THAT(refused("max_connections", "many"), HasSubstr("'max_connections'"));
    EXPECT_THAT(error_of(forwarder.call({{"op", "release"}, {"container", "c"}, {"linger_ms", -1}})),
                HasSubstr("'linger_ms'"));
    EXPECT_THAT(error_of(forwarder.call({{"op", "list"}, {"after", 3}})), HasSubstr("'container'"));
    EXPECT_TRUE(forwarder.call({{"op", "list"}})["ports"].empty());
}

TEST(Control, ChecksTheDescriptorsOfAPublication) {
    ForwarderProcess forwarder;
    const auto listener = listen_tcp();
    const UniqueFd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const UniqueFd mounts(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const UniqueFd idle(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto refused = [&](std::vector<int> fds) { return error_of(forwarder.call(publish_request(80), fds)); };
    const auto before = forwarder.open_fds();
    EXPECT_THAT(refused({}), HasSubstr("two descriptors"));
    EXPECT_THAT(refused({listener.get()}), HasSubstr("two descriptors"));
    EXPECT_THAT(refused({listener.get(), own.get(), own.get()}), HasSubstr("two descriptors"));
    EXPECT_THAT(refused({listener.get(), mounts.get()}), HasSubstr("network namespace"));
    EXPECT_THAT(refused({listener.get(), file.get()}), HasSubstr("network namespace"));
    EXPECT_THAT(refused({file.get(), own.get()}), HasSubstr("listener"));
    EXPECT_THAT(refused({udp.get(), own.get()}), HasSubstr("listener"));
    EXPECT_THAT(refused({idle.get(), own.get()}), HasSubstr("listener"));
    EXPECT_EQ(forwarder.open_fds(), before) << "descriptors of refused requests are kept";
}

TEST(Control, KeepsItsStateWhenClientsComeAndGo) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("p", server.port());
    auto client = connect_tcp(port);
    ASSERT_TRUE(echoes(client.get(), "x"));
    const auto before = forwarder.open_fds();
    for (int i = 0; i < 100; ++i) {
        const auto control = forwarder.connect_control();
        ASSERT_TRUE(wire::send_json(control.get(), {{"op", "list"}, {"seq", i}}));
        const auto answer = wire::receive_json(control.get());
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->body["seq"], i);
        ASSERT_EQ(answer->body["ports"].size(), 1U);
        if (i % 2) { // some leave without waiting for their answer
            ASSERT_TRUE(wire::send_json(control.get(), {{"op", "list"}}));
        }
    }
    EXPECT_TRUE(echoes(client.get(), "y"));
    EXPECT_TRUE(eventually([&] { return forwarder.open_fds() == before; }));
}

TEST(Control, DropsAClientThatDoesNotReadItsAnswers) {
    ForwarderProcess forwarder;
    const auto rude = forwarder.connect_control();
    ASSERT_EQ(::fcntl(rude.get(), F_SETFL, O_NONBLOCK), 0);
    EXPECT_TRUE(eventually([&] {
        for (int i = 0; i < 200; ++i)
            if (const auto sent = wire::send_json(rude.get(), {{"op", "list"}}); !sent)
                return sent.error().sys_errno == EPIPE;
        return false;
    }));
    EXPECT_TRUE(forwarder.call({{"op", "list"}})["ok"]);
}

TEST(Control, ListsManyPortsInParts) {
    ForwarderProcess forwarder;
    const auto listener = listen_tcp();
    const UniqueFd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const std::array fds = {listener.get(), own.get()};
    constexpr int kContainers = 3, kPorts = 150;
    for (int i = 0; i < kContainers * kPorts; ++i) {
        auto request = publish_request(80);
        request["container"] = std::string(120, 'c') + std::to_string(i % kContainers);
        request["key"] = std::string(120, 'k') + std::to_string(i);
        ASSERT_EQ(forwarder.call(request, fds)["ok"], true);
    }
    std::set<std::string> seen;
    Json request = {{"op", "list"}};
    int parts = 0;
    for (bool more = true; more; ++parts) {
        const auto answer = forwarder.call(request);
        ASSERT_EQ(answer["ok"], true);
        ASSERT_FALSE(answer["ports"].empty());
        for (const auto& port : answer["ports"])
            EXPECT_TRUE(seen.insert(port["key"]).second) << "listed twice";
        request["after"] = {{"container", answer["ports"].back()["container"]}, {"key", answer["ports"].back()["key"]}};
        more = answer["more"];
    }
    EXPECT_EQ(seen.size(), std::size_t{kContainers * kPorts});
    EXPECT_EQ(parts, 3);
}

// Ten thousand requests with something changed, some with descriptors. Each is answered; the forwarder lives on.
TEST(Control, AnswersRubbish) {
    ForwarderProcess forwarder;
    EchoServer server;
    const int port = forwarder.publish("steady", server.port());
    auto client = connect_tcp(port);
    ASSERT_TRUE(echoes(client.get(), "x"));
    const auto listener = listen_tcp();
    const UniqueFd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const std::vector<std::string> seeds = {
        publish_request(80).dump(),
        R"({"op":"unpublish","seq":3,"container":"x","key":"p"})",
        R"({"op":"release","seq":4,"container":"x","linger_ms":5})",
        R"({"op":"list","seq":5,"after":{"container":"x","key":"y"}})",
    };
    const std::vector<std::string> pieces = {
        "null", "-1",     "1e400", "99999999999999999999", "[]", "{}", "\"", "\\u0000", "\xff", "[[[[[[[[",
        "true", "\"op\"", ",",     std::string(500, '[')};
    std::mt19937 random(20240601);
    const auto below = [&](std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
    };
    const auto control = forwarder.connect_control();
    int answered = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto text = seeds[below(seeds.size())];
        for (auto changes = below(4) + 1; changes > 0; --changes) {
            const auto at = below(text.size() + 1);
            switch (below(4)) {
            case 0:
                text.insert(at, pieces[below(pieces.size())]);
                break;
            case 1:
                text.erase(at, below(8));
                break;
            case 2:
                text.replace(at, std::min<std::size_t>(text.size() - at, below(6)), pieces[below(pieces.size())]);
                break;
            case 3:
                if (at < text.size())
                    text[at] = static_cast<char>(below(256));
                break;
            }
        }
        if (text.empty())
            text = " ";
        // "c" is the container of the steady port: rubbish is not to hit it by luck.
        for (auto at = text.find("\"c\""); at != std::string::npos; at = text.find("\"c\""))
            text[at + 1] = 'd';
        std::vector<int> fds;
        for (auto count = below(4); count > 0; --count)
            fds.push_back(std::array{listener.get(), own.get(), file.get()}[below(3)]);
        ASSERT_TRUE(os::send_message(control.get(), text, fds));
        const auto answer = wire::receive_json(control.get());
        ASSERT_TRUE(answer) << text;
        ASSERT_FALSE(answer->peer_closed) << text;
        ASSERT_TRUE(answer->body["ok"].is_boolean()) << text;
        ++answered;
    }
    EXPECT_EQ(answered, 10'000);
    EXPECT_TRUE(echoes(client.get(), "y"));
    // One that is too long.
    ASSERT_EQ(::send(control.get(), std::string(140'000, ' ').data(), 140'000, 0), 140'000);
    const auto answer = wire::receive_json(control.get());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body["ok"], false);
    EXPECT_EQ(forwarder.call({{"op", "list"}})["ok"], true);
}

TEST(Address, TakesNumbersOnly) {
    EXPECT_EQ(Address::parse("10.1.2.3", 80)->family(), AF_INET);
    EXPECT_EQ(Address::parse("fd00::2", 80)->family(), AF_INET6);
    for (const char* text :
         {"", "localhost", "10.1.2", "10.1.2.3:80", "10.1.2.3 ", "[::1]", "fe80::1%eth0", "1.2.3.256"})
        EXPECT_FALSE(Address::parse(text, 80)) << text;
    EXPECT_FALSE(Address::parse("10.1.2.3", 0));
    EXPECT_FALSE(Address::parse("10.1.2.3", -1));
    EXPECT_FALSE(Address::parse("10.1.2.3", 65536));
}

TEST(PipePool, GivesNobodyMoreThanHalfAndNothingBeyondItsLimit) {
    PipePool pool({.pages = 8, .highest_fd = 1 << 20, .pipe_bytes = 4096});
    PipeAccount one, two, three;
    std::vector<Pipe> of_one, of_two;
    while (auto pipe = pool.take(one))
        of_one.push_back(std::move(*pipe));
    while (auto pipe = pool.take(two))
        of_two.push_back(std::move(*pipe));
    EXPECT_EQ(of_one.size(), 4U);
    ASSERT_EQ(of_two.size(), 4U);
    EXPECT_FALSE(pool.take(three));
    pool.give_back(std::move(of_two.back()), two, false);
    EXPECT_EQ(pool.pages_in_use(), 7U);
    EXPECT_TRUE(pool.take(three));
    EXPECT_EQ(two.pages, 3U);
}

TEST(PipePool, UsesEmptyPipesAgainAndNeverFilledOnes) {
    PipePool pool({});
    PipeAccount account;
    auto first = pool.take(account);
    ASSERT_TRUE(first);
    const int number = first->reader.get();
    pool.give_back(std::move(*first), account, true);
    auto second = pool.take(account);
    EXPECT_EQ(second->reader.get(), number);
    ASSERT_EQ(::write(second->writer.get(), "x", 1), 1);
    pool.give_back(std::move(*second), account, false);
    auto third = pool.take(account);
    char byte = 0;
    EXPECT_EQ(::read(third->reader.get(), &byte, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST(PipePool, LeavesTheLastDescriptorsToOthers) {
    PipePool pool({.pages = 8192, .highest_fd = 3});
    PipeAccount account;
    EXPECT_FALSE(pool.take(account));
    EXPECT_EQ(account.pages, 0U);
}

} // namespace
} // namespace squish::forward::test
