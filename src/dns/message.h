// DNS messages, as far as a server of a few names needs them (RFC 1035, RFC 6891): a query is read up to the end of its
// one question, an answer of ours is written; whatever else passes by is relayed byte for byte and not looked into.
//
// What comes from a container is not trusted: every length is checked against the bytes that are there, and there is no
// name compression in a question, hence no pointer to follow.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace squish::dns {

enum class Type : std::uint16_t { a = 1, ptr = 12, opt = 41, aaaa = 28, any = 255 };
enum class Status : std::uint8_t {
    no_error = 0,
    malformed = 1,
    failed = 2,
    no_such_name = 3,
    not_implemented = 4,
    refused = 5
};

inline constexpr std::size_t kHeaderBytes = 12;
inline constexpr std::size_t kPlainLimit = 512; // of an answer over UDP to somebody who says nothing else
inline constexpr std::size_t kLimit = 65535;

struct Query {
    std::uint16_t id = 0;
    std::string name; // lower case, labels joined by '.', no dot at the end; "" is the root
    Type type = Type::a;
    bool internet = true;                // class IN or ANY
    std::size_t question_end = 0;        // offset of what follows the question
    std::size_t udp_limit = kPlainLimit; // what the client takes over UDP (EDNS)
    bool has_edns = false;
};

// Why a message is no query that can be answered by itself: with that status, or (`silent`) not at all, because it is
// too short or an answer itself: two servers must not talk to each other for ever.
struct NoQuery {
    Status status = Status::malformed;
    bool silent = false;
    bool operator==(const NoQuery&) const = default;
};
[[nodiscard]] std::expected<Query, NoQuery> parse_query(std::string_view message);

// One record of an answer; all are for the name that was asked for.
struct Record {
    Type type = Type::a;
    std::string data; // 4 or 16 bytes of an address, or the name for ptr, as text
    bool operator==(const Record&) const = default;
};

// An answer to `message`, of which parse_query() has made `query`. Records that do not fit into `limit` are left out
// and the answer says that it is cut (TC). Time to live: 0, so that nobody remembers what may change at once.
[[nodiscard]] std::string make_answer(std::string_view message, const Query& query, Status status,
                                      const std::vector<Record>& records, std::size_t limit);
// An answer that has nothing but a status, to anything with a header.
[[nodiscard]] std::string make_refusal(std::string_view message, Status status);

// The two bytes that tell a client which of its queries an answer is for.
[[nodiscard]] std::uint16_t id_of(std::string_view message);
void set_id(std::string& message, std::uint16_t id);
[[nodiscard]] bool is_answer(std::string_view message);

} // namespace squish::dns
