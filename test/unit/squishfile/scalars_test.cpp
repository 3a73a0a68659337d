// Sizes, durations, versions, names, ports in one line.
#include "expectations.h"

#include <gtest/gtest.h>
#include <set>

namespace squish {
namespace {

using testing::HasSubstr;

TEST(Sizes, AreReadInBytesAndPowersOf1024) {
    struct Case {
        std::string_view text;
        std::uint64_t bytes;
    };
    constexpr Case kCases[] = {
        {"0", 0},
        {"1", 1},
        {"4096", 4096},
        {"4096B", 4096},
        {"1K", 1024},
        {"1k", 1024},
        {"1KB", 1024},
        {"1KiB", 1024},
        {"256M", 256ULL << 20},
        {"256m", 256ULL << 20},
        {"1.5G", 3ULL << 29},
        {"1.5GiB", 3ULL << 29},
        {"2T", 2ULL << 40},
        {"0.5K", 512},
        {"0.000000001K", 0},
        {"1.999999999K", 2047},
        {"007", 7},
        {"9223372036854775807", 9223372036854775807ULL},
        {"8388607.999999999T", 9223372036854774708ULL},
    };
    for (const auto& [text, bytes] : kCases) {
        const auto size = parse_size(text);
        ASSERT_TRUE(size) << text;
        EXPECT_EQ(*size, bytes) << text;
    }
}

TEST(Sizes, AreRefusedWithTheReason) {
    struct Case {
        std::string_view text, message;
    };
    constexpr Case kCases[] = {
        {"", "it does not start with a digit"},
        {"M", "it does not start with a digit"},
        {"-1", "it does not start with a digit"},
        {"+1", "it does not start with a digit"},
        {" 1", "it does not start with a digit"},
        {".5M", "it does not start with a digit"},
        {"1 M", "unknown unit ' M'"},
        {"1M ", "unknown unit 'M '"},
        {"1MM", "unknown unit 'MM'"},
        {"1iB", "unknown unit 'iB'"},
        {"1P", "unknown unit 'P'"},
        {"0x10", "unknown unit 'x10'"},
        {"1e3", "unknown unit 'e3'"},
        {"1.M", "digits are missing after the point"},
        {"1.5", "bytes come in whole numbers"},
        {"1.5B", "bytes come in whole numbers"},
        {"1.1234567890M", "more than nine digits"},
        {"1.5.5M", "unknown unit '.5M'"},
        {"9223372036854775808", "it is too large"},
        {"8388608T", "it is too large"},
        {"99999999999999999999999999", "it is too large"},
        {"18446744073709551615T", "it is too large"},
        {std::string_view("1\0", 2), "unknown unit '\\x00'"},
    };
    for (const auto& [text, message] : kCases) {
        const auto size = parse_size(text);
        ASSERT_FALSE(size) << text;
        EXPECT_EQ(size.error().kind, ErrorKind::invalid);
        EXPECT_THAT(size.error().message, HasSubstr(message)) << text;
        EXPECT_FALSE(size.error().remedy.empty());
    }
}

TEST(Durations, AreReadInFourUnits) {
    using namespace std::chrono_literals;
    EXPECT_EQ(*parse_duration("500ms"), 500ms);
    EXPECT_EQ(*parse_duration("1ms"), 1ms);
    EXPECT_EQ(*parse_duration("5s"), 5s);
    EXPECT_EQ(*parse_duration("2m"), 2min);
    EXPECT_EQ(*parse_duration("1h"), 1h);
    EXPECT_EQ(*parse_duration("24h"), 24h);
    EXPECT_EQ(*parse_duration("86400000ms"), 24h);
}

TEST(Durations, AreRefusedWithTheReason) {
    struct Case {
        std::string_view text, message;
    };
    constexpr Case kCases[] = {
        {"", "does not start with a digit"},
        {"s", "does not start with a digit"},
        {"-5s", "does not start with a digit"},
        {"5", "the unit is missing"},
        {"5 s", "unknown unit ' s'"},
        {"5S", "unknown unit 'S'"},
        {"1.5s", "unknown unit '.5s'"},
        {"1m30s", "unknown unit 'm30s'"},
        {"5d", "unknown unit 'd'"},
        {"0ms", "shorter than a millisecond"},
        {"25h", "longer than 24 hours"},
        {"86400001ms", "longer than 24 hours"},
        {"99999999999999999999s", "longer than 24 hours"},
        {"18446744073709551615h", "longer than 24 hours"},
    };
    for (const auto& [text, message] : kCases) {
        const auto duration = parse_duration(text);
        ASSERT_FALSE(duration) << text;
        EXPECT_THAT(duration.error().message, HasSubstr(message)) << text;
    }
}

TEST(Versions, AreRecognised) {
    for (const std::string_view text :
         {"3",      "3.20",      "3.20.3",  "1.2.3.4",    "~3.14",      ">=3.18", "<=3",     ">1",
          "<2",     "=1.2",      "^1.2",    ">=1.2 <2",   "latest",     "*",      "1.0-rc1", "3.x",
          "3.20.*", ">=1.2, <2", ">=1  <2", "3.20.0_rc2", "1.2-beta.3", "0",      "20240101"})
        EXPECT_TRUE(is_version_requirement(text)) << text;
}

TEST(Versions, AreNotSeenInOtherThings) {
    for (const std::string_view text : {"",
                                        " ",
                                        "3.",
                                        ".3",
                                        "3..2",
                                        "x.3",
                                        "3,",
                                        "v3",
                                        ">=",
                                        "~",
                                        "^",
                                        ">= 3",
                                        "3 ",
                                        " 3",
                                        ">=1 2",
                                        "3 *",
                                        "1,2",
                                        "1.2.3.4.5",
                                        "1-",
                                        "1.2-rc!",
                                        "Latest",
                                        "stable",
                                        "edge",
                                        "==1",
                                        "=>1",
                                        "~>1",
                                        "!1",
                                        "1234567890",
                                        "./3",
                                        "3/4",
                                        ">=1 >=1 >=1 >=1 >=1 >=1 >=1 >=1 >=1"})
        EXPECT_FALSE(is_version_requirement(text)) << text;
}

TEST(Names, FollowTheirRule) {
    for (const std::string_view name : {"a", "A", "0", "web", "quiet-otter-4821", "a_b.c-d", "a."})
        EXPECT_TRUE(is_valid_name(name)) << name;
    for (const std::string_view name : {"", ".", "..", "-a", "_a", "a b", "a/b", "ä", "a\n", "a:b"})
        EXPECT_FALSE(is_valid_name(name)) << name;
    EXPECT_TRUE(is_valid_name(std::string(63, 'a')));
    EXPECT_FALSE(is_valid_name(std::string(64, 'a')));
    EXPECT_FALSE(is_valid_name(std::string_view("a\0", 2)));
}

TEST(EnvNames, MayBeAnythingButEmptyOrAmbiguous) {
    EXPECT_TRUE(is_valid_env_name("PATH"));
    EXPECT_TRUE(is_valid_env_name("with space"));
    EXPECT_TRUE(is_valid_env_name("ü"));
    EXPECT_FALSE(is_valid_env_name(""));
    EXPECT_FALSE(is_valid_env_name("A=B"));
    EXPECT_FALSE(is_valid_env_name(std::string_view("A\0", 2)));
}

TEST(Ports, AreReadFromOneLine) {
    struct Case {
        std::string_view text, canonical;
    };
    constexpr Case kCases[] = {
        {"8080:80", "127.0.0.1:8080:80/tcp"},
        {"8080:80/tcp", "127.0.0.1:8080:80/tcp"},
        {"8080:80/udp", "127.0.0.1:8080:80/udp"},
        {"0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp"},
        {"127.0.0.1:8080:80/udp", "127.0.0.1:8080:80/udp"},
        {"[::1]:8080:80", "[::1]:8080:80/tcp"},
        {"[::]:1:65535/udp", "[::]:1:65535/udp"},
        {"[0:0::1]:1:1", "[::1]:1:1/tcp"},
        {"0:80", "127.0.0.1:0:80/tcp"},
    };
    for (const auto& [text, canonical] : kCases) {
        const auto port = parse_port(text);
        ASSERT_TRUE(port) << text;
        EXPECT_EQ(to_string(*port), canonical);
        EXPECT_EQ(*parse_port(canonical), *port) << "the canonical form must read the same";
    }
}

TEST(Ports, AreRefusedWithTheReason) {
    struct Case {
        std::string_view text, message;
    };
    constexpr Case kCases[] = {
        {"", "it must name the port of the host and that of the container"},
        {"80", "it must name the port of the host and that of the container"},
        {"8080:", "the container's port must be a number"},
        {":80", "the host's port must be a number"},
        {"8080:0", "the container's port must be a number from 1 to 65535"},
        {"65536:80", "the host's port must be a number from 0 to 65535"},
        {"8080:65536", "the container's port must be a number from 1 to 65535"},
        {"8080-8090:80", "the two ranges differ in length"},
        {"8080-8081:80-81", "one port is wanted, not a range"},
        {"8081-8080:80-81", "the host's port must be a number"},
        {"0-1:80-81", "the host's port must be a number"},
        {"8080-8081:0-1", "the container's port must be a number"},
        {"1-2-3:80-81", "the host's port must be a number"},
        {"1-2000:1-2000", "it is more than 1024 ports"},
        {"127.0.0.1:80", "it must name the port of the host and that of the container"},
        {"8080:80/sctp", "the protocol after '/' must be 'tcp' or 'udp'"},
        {"8080:80/", "the protocol after '/' must be 'tcp' or 'udp'"},
        {"8080:80/UDP", "the protocol after '/' must be 'tcp' or 'udp'"},
        {":8080:80", "'' is not a literal IPv4 or IPv6 address"},
        {"localhost:8080:80", "'localhost' is not a literal IPv4 or IPv6 address"},
        {"::1:8080:80", "an IPv6 address must stand in brackets"},
        {"[::1:8080:80", "an IPv6 address must stand in brackets"},
        {"[127.0.0.1]:8080:80", "is not a literal IPv4 or IPv6 address"},
        {"[]:8080:80", "'[]' is not a literal"},
        {"1.2.3.4.5:8080:80", "is not a literal IPv4 or IPv6 address"},
        {" 8080:80", "the host's port must be a number"},
        {"8080: 80", "the container's port must be a number"},
        {"8080:+80", "the container's port must be a number"},
        {"\x1b[31m:1:1", "is not a literal IPv4"},
    };
    for (const auto& [text, message] : kCases) {
        const auto port = parse_port(text);
        ASSERT_FALSE(port) << text;
        EXPECT_EQ(port.error().kind, ErrorKind::invalid);
        EXPECT_THAT(port.error().message, HasSubstr(message)) << text;
        EXPECT_EQ(port.error().message.find('\x1b'), std::string::npos);
    }
}

TEST(Ports, OfARangeAreReadOneByOne) {
    const auto ports = parse_ports("0.0.0.0:8000-8002:80-82/udp");
    ASSERT_TRUE(ports);
    ASSERT_EQ(ports->size(), 3U);
    EXPECT_EQ(to_string((*ports)[0]), "0.0.0.0:8000:80/udp");
    EXPECT_EQ(to_string((*ports)[2]), "0.0.0.0:8002:82/udp");
    const auto chosen = parse_ports("0:80-81");
    ASSERT_TRUE(chosen);
    ASSERT_EQ(chosen->size(), 2U);
    EXPECT_EQ(to_string((*chosen)[1]), "127.0.0.1:0:81/tcp");
    EXPECT_FALSE(ports_collide((*chosen)[0], (*chosen)[1])) << "the kernel chooses two";
}

TEST(Ports, AreChosenByWhatIsGiven) {
    const auto port = *parse_port("[::1]:8080:80/udp");
    for (const auto* text : {"8080", "8080/udp", "8080:80", "[::1]:8080", "[::1]:8080/udp", "[::1]:8080:80/udp"}) {
        const auto selector = parse_port_selector(text);
        ASSERT_TRUE(selector) << text;
        EXPECT_TRUE(matches(*selector, port)) << text;
    }
    for (const auto* text : {"0", "8081", "8080/tcp", "8080:81", "127.0.0.1:8080", "[::]:8080"}) {
        const auto selector = parse_port_selector(text);
        ASSERT_TRUE(selector) << text;
        EXPECT_FALSE(matches(*selector, port)) << text;
    }
    for (const auto* text : {"", "65536", "8080-8081", "8080:0", ":80", "8080:", "::1:80", "web"})
        EXPECT_FALSE(parse_port_selector(text)) << text;
}

TEST(Ports, CollideOnlyWithinOneFamilyAndProtocol) {
    const auto collide = [](std::string_view a, std::string_view b) {
        const bool forth = ports_collide(*parse_port(a), *parse_port(b));
        EXPECT_EQ(forth, ports_collide(*parse_port(b), *parse_port(a)));
        return forth;
    };
    EXPECT_TRUE(collide("80:1", "80:2"));
    EXPECT_TRUE(collide("80:1", "0.0.0.0:80:2"));
    EXPECT_TRUE(collide("[::1]:80:1", "[::]:80:2"));
    EXPECT_FALSE(collide("80:1", "81:1"));
    EXPECT_FALSE(collide("80:1", "80:1/udp"));
    EXPECT_FALSE(collide("80:1", "127.0.0.2:80:1"));
    EXPECT_FALSE(collide("0.0.0.0:80:1", "[::]:80:1"));
}

TEST(Addresses, AreRefusedWhenTheyAreTooLongOrHideANul) {
    EXPECT_FALSE(parse_address(std::string(1000, ':')));
    EXPECT_FALSE(parse_address(std::string_view("127.0.0.1\0", 10)));
    EXPECT_EQ(*parse_address("::ffff:1.2.3.4"), "::ffff:1.2.3.4");
}

TEST(GeneratedNames, AreValidAndSeldomTheSame) {
    std::set<std::string> names;
    for (int i = 0; i < 1000; ++i) {
        auto name = generate_name();
        EXPECT_TRUE(is_valid_name(name));
        EXPECT_THAT(name, testing::MatchesRegex("[a-z]+-[a-z]+-[1-9][0-9]{3}"));
        names.insert(std::move(name));
    }
    EXPECT_GT(names.size(), 990U);
}

} // namespace
} // namespace squish
