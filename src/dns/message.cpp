#include "dns/message.h"

#include <algorithm>
#include <utility>

namespace squish::dns {

namespace {

// Bits of the header's third and fourth byte (RFC 1035, 4.1.1).
constexpr std::uint16_t kAnswer = 0x8000;
constexpr std::uint16_t kOpcode = 0x7800;
constexpr std::uint16_t kAuthoritative = 0x0400;
constexpr std::uint16_t kCut = 0x0200;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;

constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxName = 255;
constexpr std::uint16_t kInternet = 1;
constexpr std::uint16_t kAnyClass = 255;
constexpr std::uint16_t kNameOfQuestion = 0xC000 | kHeaderBytes; // a pointer to it

std::uint16_t u16(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                      static_cast<unsigned char>(bytes[at + 1]));
}

void put16(std::string& out, std::uint16_t value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xFF);
}

void set16(std::string& out, std::size_t at, std::uint16_t value) {
    out[at] = static_cast<char>(value >> 8);
    out[at + 1] = static_cast<char>(value & 0xFF);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The name at `at`, which moves behind it; false where it is none. A label with a dot in it is no name of ours: the dot
// becomes a character that no name has.
bool read_name(std::string_view message, std::size_t& at, std::string& name) {
    const std::size_t begin = at;
    for (;;) {
        if (at >= message.size())
            return false;
        const std::size_t length = static_cast<unsigned char>(message[at++]);
        if (length == 0)
            return at - begin <= kMaxName;
        if (length > kMaxLabel || length > message.size() - at || at + length - begin > kMaxName)
            return false; // a pointer (0xC0) is longer than any label
        if (!name.empty())
            name += '.';
        for (const char c : message.substr(at, length))
            name += c == '.' ? '\0' : lower(c);
        at += length;
    }
}

void write_name(std::string& out, std::string_view name) {
    while (!name.empty()) {
        const auto label = name.substr(0, std::min(name.find('.'), kMaxLabel));
        out += static_cast<char>(label.size());
        out += label;
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    out += '\0';
}

std::string header_for(std::string_view message, Status status, std::uint16_t more_flags) {
    std::string out(message.substr(0, 2));
    const std::uint16_t kept = u16(message, 2) & (kOpcode | kRecursionDesired);
    put16(out,
          static_cast<std::uint16_t>(kAnswer | kept | kRecursionAvailable | more_flags | std::to_underlying(status)));
    out.append(kHeaderBytes - 4, '\0');
    return out;
}

// Notes what an OPT record right behind the question says; others are of no interest.
void read_edns(std::string_view message, Query& query) {
    constexpr std::size_t kOptBytes = 11; // root name, type, class (the size), ttl, length
    const auto at = query.question_end;
    const bool first_is_additional = u16(message, 6) == 0 && u16(message, 8) == 0 && u16(message, 10) > 0;
    if (!first_is_additional || message.size() - at < kOptBytes || message[at] != '\0' ||
        u16(message, at + 1) != std::to_underlying(Type::opt))
        return;
    query.has_edns = true;
    query.udp_limit = std::max<std::size_t>(kPlainLimit, u16(message, at + 3));
}

} // namespace

std::expected<Query, NoQuery> parse_query(std::string_view message) {
    if (message.size() < kHeaderBytes || is_answer(message))
        return std::unexpected(NoQuery{.silent = true});
    if (u16(message, 2) & kOpcode)
        return std::unexpected(NoQuery{.status = Status::not_implemented});
    if (u16(message, 4) != 1)
        return std::unexpected(NoQuery{});
    Query query;
    query.id = u16(message, 0);
    std::size_t at = kHeaderBytes;
    if (!read_name(message, at, query.name) || message.size() - at < 4)
        return std::unexpected(NoQuery{});
    query.type = static_cast<Type>(u16(message, at));
    const auto asked_class = u16(message, at + 2);
    query.internet = asked_class == kInternet || asked_class == kAnyClass;
    query.question_end = at + 4;
    read_edns(message, query);
    return query;
}

std::string make_answer(std::string_view message, const Query& query, Status status, const std::vector<Record>& records,
                        std::size_t limit) {
    auto out = header_for(message, status, kAuthoritative);
    out += message.substr(kHeaderBytes, query.question_end - kHeaderBytes);
    std::string edns;
    if (query.has_edns) { // RFC 6891, 6.1.1: who is asked with it answers with it
        edns += '\0';
        put16(edns, std::to_underlying(Type::opt));
        put16(edns, 4096);
        edns.append(6, '\0');
    }
    std::uint16_t count = 0;
    bool cut = false;
    for (const auto& record : records) {
        std::string one;
        put16(one, kNameOfQuestion);
        put16(one, std::to_underlying(record.type));
        put16(one, kInternet);
        one.append(4, '\0'); // time to live
        std::string data;
        if (record.type == Type::ptr)
            write_name(data, record.data);
        else
            data = record.data;
        put16(one, static_cast<std::uint16_t>(data.size()));
        one += data;
        if (out.size() + one.size() + edns.size() > limit) {
            cut = true;
            break;
        }
        out += one;
        ++count;
    }
    out += edns;
    if (cut)
        set16(out, 2, u16(out, 2) | kCut);
    set16(out, 4, 1);
    set16(out, 6, count);
    set16(out, 10, query.has_edns ? 1 : 0);
    return out;
}

std::string make_refusal(std::string_view message, Status status) {
    return header_for(message, status, 0);
}

std::uint16_t id_of(std::string_view message) {
    return u16(message, 0);
}

void set_id(std::string& message, std::uint16_t id) {
    set16(message, 0, id);
}

bool is_answer(std::string_view message) {
    return message.size() >= kHeaderBytes && (u16(message, 2) & kAnswer) != 0;
}

} // namespace squish::dns
