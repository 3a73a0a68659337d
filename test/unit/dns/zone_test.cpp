// Who is called what on a network.
#include "dns/zone.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>

namespace squish::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::string address(const std::string& text) {
    std::string out(text.contains(':') ? 16 : 4, '\0');
    EXPECT_EQ(::inet_pton(text.contains(':') ? AF_INET6 : AF_INET, text.c_str(), out.data()), 1) << text;
    return out;
}

Zone two_databases() {
    Zone zone({address("10.89.0.0").substr(0, 2), address("fd73:7175:6973::").substr(0, 6)});
    zone.replace({{{"one", "db"}, address("10.89.16.2"), address("fd73:7175:6973:1::2")},
                  {{"two", "DB"}, address("10.89.16.3"), ""}});
    return zone;
}

Query ask(std::string name, Type type) {
    Query query;
    query.name = std::move(name);
    query.type = type;
    return query;
}

TEST(DnsZone, AnswersWhatItKnows) {
    auto zone = two_databases();
    EXPECT_THAT(zone.answer(ask("one", Type::a))->records, ElementsAre(Record{Type::a, address("10.89.16.2")}));
    EXPECT_THAT(zone.answer(ask("one", Type::aaaa))->records,
                ElementsAre(Record{Type::aaaa, address("fd73:7175:6973:1::2")}));
    EXPECT_EQ(zone.answer(ask("one", Type::any))->records.size(), 2U);
    const auto none = zone.answer(ask("two", Type::aaaa));
    ASSERT_TRUE(none) << "somebody else must not be asked for a name of ours";
    EXPECT_TRUE(none->records.empty());
    EXPECT_EQ(none->status, Status::no_error);
    EXPECT_EQ(zone.answer(ask("three", Type::a)), std::nullopt);
    EXPECT_EQ(zone.answer(ask("one.example.org", Type::a)), std::nullopt);
    auto chaos = ask("one", Type::a);
    chaos.internet = false;
    EXPECT_EQ(zone.answer(chaos), std::nullopt);
}

TEST(DnsZone, SeveralAddressesTakeTurns) {
    auto zone = two_databases();
    const Record one{Type::a, address("10.89.16.2")}, two{Type::a, address("10.89.16.3")};
    EXPECT_THAT(zone.answer(ask("db", Type::a))->records, ElementsAre(one, two));
    EXPECT_THAT(zone.answer(ask("db", Type::a))->records, ElementsAre(two, one));
    EXPECT_THAT(zone.answer(ask("db", Type::a))->records, ElementsAre(one, two));
}

TEST(DnsZone, AChangeTakesEffectAtOnce) {
    auto zone = two_databases();
    zone.replace({{{"three"}, address("10.89.16.2"), ""}});
    EXPECT_EQ(zone.answer(ask("one", Type::a)), std::nullopt);
    EXPECT_TRUE(zone.answer(ask("three", Type::a)));
    EXPECT_THAT(zone.answer(ask("2.16.89.10.in-addr.arpa", Type::ptr))->records,
                ElementsAre(Record{Type::ptr, "three"}));
}

TEST(DnsZone, AddressesHaveNames) {
    auto zone = two_databases();
    EXPECT_THAT(zone.answer(ask("2.16.89.10.in-addr.arpa", Type::ptr))->records, ElementsAre(Record{Type::ptr, "one"}));
    EXPECT_THAT(zone.answer(ask("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.3.7.9.6.5.7.1.7.3.7.d.f.ip6.arpa", Type::ptr))
                    ->records,
                ElementsAre(Record{Type::ptr, "one"}));
    EXPECT_EQ(zone.answer(ask("9.16.89.10.in-addr.arpa", Type::ptr))->status, Status::no_such_name)
        << "nobody outside is asked about the containers' addresses";
    EXPECT_EQ(zone.answer(ask("1.0.168.192.in-addr.arpa", Type::ptr)), std::nullopt);
}

TEST(DnsZone, OneNameOfSeveralOfAContainerIsEnoughOnce) {
    Zone zone({"", ""});
    zone.replace({{{"web", "web", "WEB"}, address("10.89.16.2"), ""}});
    EXPECT_EQ(zone.answer(ask("web", Type::a))->records.size(), 1U);
}

TEST(DnsZone, ReverseNamesThatAreNone) {
    for (const auto* name :
         {"in-addr.arpa", ".in-addr.arpa", "1.2.3.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "1.2.3.256.in-addr.arpa",
          "1.2.3.x.in-addr.arpa", "01.2.3.4.in-addr.arpa", "1.2.3.4", "ip6.arpa", "1.2.ip6.arpa",
          "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.3.7.9.6.5.7.1.7.3.7.d.f.ip6.arpa",
          "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.3.7.9.6.5.7.1.7.3.7.dxf.ip6.arpa"})
        EXPECT_EQ(address_of_reverse_name(name), std::nullopt) << name;
    EXPECT_EQ(address_of_reverse_name("4.3.2.1.in-addr.arpa"), address("1.2.3.4"));
}

} // namespace
} // namespace squish::dns
