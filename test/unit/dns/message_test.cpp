// DNS messages: what a query may be, and what an answer looks like on the wire.
#include "dns/message.h"

#include <gmock/gmock.h>
#include <random>

namespace squish::dns {
namespace {

std::string bytes(std::initializer_list<int> values) {
    std::string out;
    for (const int value : values)
        out += static_cast<char>(value);
    return out;
}

// A query with the id 0x1234 that wants recursion.
std::string query_for(std::string_view name, int type, int asked_class = 1) {
    auto out = bytes({0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0});
    for (std::size_t at = 0; at < name.size();) {
        const auto label = name.substr(at, name.find('.', at) - at);
        out += static_cast<char>(label.size());
        out += label;
        at += label.size() + 1;
    }
    return out + bytes({0, type >> 8, type & 255, asked_class >> 8, asked_class & 255});
}

TEST(DnsQuery, IsReadWithItsNameInLowerCase) {
    const auto query = parse_query(query_for("Web.Example.ORG", 28));
    ASSERT_TRUE(query);
    EXPECT_EQ(query->id, 0x1234);
    EXPECT_EQ(query->name, "web.example.org");
    EXPECT_EQ(query->type, Type::aaaa);
    EXPECT_TRUE(query->internet);
    EXPECT_EQ(query->udp_limit, 512U);
    EXPECT_EQ(query->question_end, query_for("web.example.org", 28).size());
    EXPECT_EQ(parse_query(query_for("", 2))->name, "");
    EXPECT_FALSE(parse_query(query_for("version.bind", 16, 3))->internet);
}

TEST(DnsQuery, SaysHowMuchItsSenderTakes) {
    auto message = query_for("web", 1);
    message[11] = 1;
    message += bytes({0, 0, 41, 0x10, 0x00, 0, 0, 0, 0, 0, 0});
    const auto query = parse_query(message);
    ASSERT_TRUE(query);
    EXPECT_TRUE(query->has_edns);
    EXPECT_EQ(query->udp_limit, 4096U);
    message[message.size() - 8] = 0; // less than everybody takes
    EXPECT_EQ(parse_query(message)->udp_limit, 512U);
    message.resize(message.size() - 1); // cut off: not looked at
    EXPECT_FALSE(parse_query(message)->has_edns);
}

TEST(DnsQuery, WhatIsNoneIsRefusedOrPassedOver) {
    constexpr NoQuery kSilent{.silent = true}, kMalformed{};
    EXPECT_EQ(parse_query("").error(), kSilent);
    EXPECT_EQ(parse_query(std::string(11, '\0')).error(), kSilent);
    auto answer = query_for("web", 1);
    answer[2] = static_cast<char>(0x81);
    EXPECT_EQ(parse_query(answer).error(), kSilent) << "two servers would talk for ever";
    auto update = query_for("web", 1);
    update[2] = 0x28;
    EXPECT_EQ(parse_query(update).error(), (NoQuery{.status = Status::not_implemented}));
    for (const int count : {0, 2, 255}) {
        auto other = query_for("web", 1);
        other[5] = static_cast<char>(count);
        EXPECT_EQ(parse_query(other).error(), kMalformed) << count;
    }
    const auto whole = query_for("a.web", 1);
    for (std::size_t size = kHeaderBytes; size < whole.size(); ++size)
        EXPECT_EQ(parse_query(std::string_view(whole).substr(0, size)).error(), kMalformed) << size;
    const auto header = whole.substr(0, kHeaderBytes);
    EXPECT_EQ(parse_query(header + bytes({0xC0, 0x0C, 0, 1, 0, 1})).error(), kMalformed) << "a pointer to itself";
    EXPECT_EQ(parse_query(header + bytes({0x40, 0, 0, 1, 0, 1})).error(), kMalformed);
    std::string longest;
    for (int i = 0; i < 5; ++i)
        longest += "." + std::string(62, 'x');
    EXPECT_EQ(parse_query(query_for(longest.substr(1), 1)).error(), kMalformed) << "315 bytes";
}

TEST(DnsQuery, ADotInALabelIsNotTheDotBetweenTwo) {
    auto message = query_for("aXb", 1);
    message[14] = '.';
    EXPECT_NE(parse_query(message)->name, "a.b");
}

TEST(DnsQuery, NothingThatComesIsTooMuch) {
    std::mt19937 random(5351);
    for (int i = 0; i < 200'000; ++i) {
        auto message = query_for("some.name.of.ours", 1);
        for (int hits = static_cast<int>(random() % 4); hits >= 0; --hits)
            message[random() % message.size()] = static_cast<char>(random());
        message.resize(random() % (message.size() + 1));
        if (const auto query = parse_query(message)) {
            EXPECT_LE(query->question_end, message.size());
            EXPECT_LE(query->name.size(), 255U);
        }
    }
}

TEST(DnsAnswer, HasTheQuestionAndTheRecords) {
    const auto message = query_for("web", 1);
    const auto query = *parse_query(message);
    const auto answer =
        make_answer(message, query, Status::no_error, {{Type::a, bytes({10, 89, 16, 2})}}, query.udp_limit);
    EXPECT_EQ(answer, bytes({0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 3, 'w', 'e', 'b', 0,  0, 1,
                             0,    1,    0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4,   10,  89,  16, 2}));
    EXPECT_TRUE(is_answer(answer));
}

TEST(DnsAnswer, NamesAreWrittenAsLabels) {
    const auto message = query_for("2.16.89.10.in-addr.arpa", 12);
    const auto answer = make_answer(message, *parse_query(message), Status::no_error, {{Type::ptr, "db.one"}}, 512);
    EXPECT_THAT(answer, ::testing::EndsWith(bytes({0, 8, 2, 'd', 'b', 3, 'o', 'n', 'e', 0})));
}

TEST(DnsAnswer, WhatDoesNotFitIsLeftOutAndSaid) {
    auto message = query_for("web", 1);
    const std::vector<Record> many(100, {Type::a, bytes({10, 89, 16, 2})});
    auto answer = make_answer(message, *parse_query(message), Status::no_error, many, 512);
    EXPECT_LE(answer.size(), 512U);
    EXPECT_GT(answer.size(), 490U);
    EXPECT_EQ(answer[2] & 0x02, 0x02);
    EXPECT_EQ(static_cast<unsigned char>(answer[7]), (answer.size() - 21) / 16);
    answer = make_answer(message, *parse_query(message), Status::no_error, many, kLimit);
    EXPECT_EQ(answer.size(), 21U + 100 * 16);
    EXPECT_EQ(answer[2] & 0x02, 0);
}

TEST(DnsAnswer, WhoAsksWithEdnsIsAnsweredWithIt) {
    auto message = query_for("web", 28);
    message[11] = 1;
    message += bytes({0, 0, 41, 0x10, 0x00, 0, 0, 0, 0, 0, 0});
    const auto answer = make_answer(message, *parse_query(message), Status::no_error, {}, 4096);
    EXPECT_EQ(answer[11], 1);
    EXPECT_THAT(answer, ::testing::EndsWith(bytes({0, 0, 41, 0x10, 0x00, 0, 0, 0, 0, 0, 0})));
}

TEST(DnsAnswer, ARefusalIsAHeader) {
    const auto refusal = make_refusal(query_for("web", 1), Status::failed);
    EXPECT_EQ(refusal, bytes({0x12, 0x34, 0x81, 0x82, 0, 0, 0, 0, 0, 0, 0, 0}));
}

} // namespace
} // namespace squish::dns
