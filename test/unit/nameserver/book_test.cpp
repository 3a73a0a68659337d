#include "nameserver/book.h"

#include <gmock/gmock.h>

namespace squish::nameserver {
namespace {

using ::testing::HasSubstr;

dns::Host host(std::vector<std::string> names, const std::string& address, const std::string& address6 = "") {
    auto made = to_host({std::move(names), address, address6});
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : dns::Host{};
}

dns::Query question(std::string name, dns::Type type = dns::Type::a) {
    dns::Query query;
    query.name = std::move(name);
    query.type = type;
    return query;
}

Book book() {
    return Book(dns::Zone::Reach{.v4 = "\x0a\x59", .v6 = ""});
}

TEST(Book, KnowsWhoCameAndForgetsWhoWent) {
    auto names = book();
    EXPECT_FALSE(names.answer(question("db")));
    ASSERT_TRUE(names.add("one", host({"web", "db"}, "10.89.0.2")));
    ASSERT_TRUE(names.add("two", host({"db2", "db"}, "10.89.0.3")));
    EXPECT_EQ(names.answer(question("db"))->records.size(), 2U);
    EXPECT_EQ(names.answer(question("web"))->records.at(0).data, std::string("\x0a\x59\x00\x02", 4));
    EXPECT_TRUE(names.remove("one"));
    EXPECT_FALSE(names.remove("one"));
    EXPECT_EQ(names.answer(question("db"))->records.size(), 1U);
    EXPECT_FALSE(names.answer(question("web")));
}

TEST(Book, AContainerThatIsToldAgainHasWhatIsToldLast) {
    auto names = book();
    ASSERT_TRUE(names.add("one", host({"old"}, "10.89.0.2")));
    ASSERT_TRUE(names.add("one", host({"new"}, "10.89.0.9")));
    EXPECT_FALSE(names.answer(question("old")));
    EXPECT_TRUE(names.answer(question("new")));
    EXPECT_EQ(names.container_at(std::string("\x0a\x59\x00\x02", 4)), "");
    EXPECT_EQ(names.container_at(std::string("\x0a\x59\x00\x09", 4)), "one");
}

TEST(Book, AnAddressThatWasHandedOnBelongsToTheNewOne) {
    auto names = book();
    ASSERT_TRUE(names.add("one", host({"a"}, "10.89.0.2")));
    ASSERT_TRUE(names.add("two", host({"b"}, "10.89.0.2")));
    EXPECT_TRUE(names.remove("one"));
    EXPECT_EQ(names.container_at(std::string("\x0a\x59\x00\x02", 4)), "two");
}

TEST(Book, IsReplacedAsAWhole) {
    auto names = book();
    ASSERT_TRUE(names.add("one", host({"a"}, "10.89.0.2")));
    names.replace({{"two", host({"b"}, "10.89.0.3", "fd73::3")}});
    EXPECT_FALSE(names.has("one"));
    EXPECT_FALSE(names.answer(question("a")));
    EXPECT_EQ(names.answer(question("b", dns::Type::aaaa))->records.size(), 1U);
}

TEST(Book, RefusesWhatIsNoHost) {
    const std::pair<HostText, const char*> cases[] = {
        {{{}, "10.89.0.2", ""}, "1 to 80 names"},
        {{std::vector<std::string>(81, "a"), "10.89.0.2", ""}, "1 to 80 names"},
        {{{""}, "10.89.0.2", ""}, "'' is no host name"},
        {{{"a..b"}, "10.89.0.2", ""}, "no host name"},
        {{{"a b"}, "10.89.0.2", ""}, "no host name"},
        {{{"a\n"}, "10.89.0.2", ""}, "no host name"},
        {{{std::string(64, 'a')}, "10.89.0.2", ""}, "no host name"},
        {{{"a"}, "", ""}, "no IPv4 address"},
        {{{"a"}, "10.89.0", ""}, "no IPv4 address"},
        {{{"a"}, "10.89.0.2", "10.89.0.2"}, "no IPv6 address"},
    };
    for (const auto& [text, why] : cases) {
        const auto made = to_host(text);
        ASSERT_FALSE(made) << why;
        EXPECT_THAT(made.error().message, HasSubstr(why));
    }
}

} // namespace
} // namespace squish::nameserver
