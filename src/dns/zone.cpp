#include "dns/zone.h"

#include "base/text.h"

#include <algorithm>

namespace squish::dns {

namespace {

constexpr std::string_view kReverse4 = ".in-addr.arpa";
constexpr std::string_view kReverse6 = ".ip6.arpa";

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

std::optional<std::string> reverse4(std::string_view name) {
    const auto parts = split(name, '.');
    if (parts.size() != 4)
        return std::nullopt;
    std::string bytes;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        const auto number = parse_number(*part);
        if (!number || *number > 255 || (part->size() > 1 && part->front() == '0'))
            return std::nullopt;
        bytes += static_cast<char>(*number);
    }
    return bytes;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<std::string> reverse6(std::string_view name) {
    constexpr std::size_t kNibbles = 32;
    if (name.size() != 2 * kNibbles - 1)
        return std::nullopt;
    std::string bytes(kNibbles / 2, '\0');
    for (std::size_t i = 0; i < kNibbles; ++i) {
        const int digit = hex_digit(name[2 * i]);
        if (digit < 0 || (i + 1 < kNibbles && name[2 * i + 1] != '.'))
            return std::nullopt;
        auto& byte = bytes[(kNibbles - 1 - i) / 2]; // the last nibble comes first
        byte = static_cast<char>(static_cast<unsigned char>(byte) | digit << (i % 2 ? 4 : 0));
    }
    return bytes;
}

void add(std::vector<std::string>& addresses, const std::string& address) {
    if (!address.empty() && std::ranges::find(addresses, address) == addresses.end())
        addresses.push_back(address);
}

void append(std::vector<Record>& records, Type type, const std::vector<std::string>& addresses, std::size_t turn) {
    for (std::size_t i = 0; i < addresses.size(); ++i)
        records.push_back({type, addresses[(i + turn) % addresses.size()]});
}

} // namespace

std::optional<std::string> address_of_reverse_name(std::string_view name) {
    if (name.ends_with(kReverse4))
        return reverse4(name.substr(0, name.size() - kReverse4.size()));
    if (name.ends_with(kReverse6))
        return reverse6(name.substr(0, name.size() - kReverse6.size()));
    return std::nullopt;
}

void Zone::replace(const std::vector<Host>& hosts) {
    std::map<std::string, Name, std::less<>> names;
    reverse_.clear();
    for (const auto& host : hosts) {
        for (const auto& given : host.names) {
            auto& name = names[lower(given)];
            add(name.v4, host.v4);
            add(name.v6, host.v6);
        }
        if (host.names.empty())
            continue;
        for (const auto* address : {&host.v4, &host.v6})
            if (!address->empty())
                reverse_[*address].push_back(host.names.front());
    }
    for (auto& [text, name] : names) // whose turn it is survives
        if (const auto before = names_.find(text); before != names_.end())
            name.turn = before->second.turn;
    names_ = std::move(names);
}

std::optional<Zone::Answer> Zone::answer(const Query& query) {
    if (!query.internet)
        return std::nullopt;
    if (const auto found = names_.find(query.name); found != names_.end()) {
        auto& name = found->second;
        Answer out; // a type that the name does not have: no error and no record
        if (query.type == Type::a || query.type == Type::any)
            append(out.records, Type::a, name.v4, name.turn);
        if (query.type == Type::aaaa || query.type == Type::any)
            append(out.records, Type::aaaa, name.v6, name.turn);
        if (!out.records.empty())
            ++name.turn;
        return out;
    }
    const auto address = address_of_reverse_name(query.name);
    if (!address || !(address->size() == 4 ? address->starts_with(reach_.v4) : address->starts_with(reach_.v6)))
        return std::nullopt;
    const auto found = reverse_.find(*address);
    if (found == reverse_.end())
        return Answer{Status::no_such_name, {}};
    Answer out;
    if (query.type == Type::ptr || query.type == Type::any)
        for (const auto& name : found->second)
            out.records.push_back({Type::ptr, name});
    return out;
}

} // namespace squish::dns
