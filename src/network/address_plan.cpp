#include "network/address_plan.h"

#include "base/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>

namespace squish::network {

std::string to_string(Ipv4 address) {
    const auto part = [&](unsigned shift) { return std::to_string(address.value >> shift & 0xff); };
    return part(24) + "." + part(16) + "." + part(8) + "." + part(0);
}

std::string to_string(const Ipv6& address) {
    char text[INET6_ADDRSTRLEN];
    return ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
}

std::array<std::uint8_t, 6> mac_of(Ipv4 address) {
    const auto part = [&](unsigned shift) { return static_cast<std::uint8_t>(address.value >> shift & 0xff); };
    return {0x02, 0x73, part(24), part(16), part(8), part(0)};
}

std::string bridge_name(NetworkId network) {
    return "sqb" + std::to_string(network);
}

std::string link_name(std::uint32_t number) {
    return "sq" + std::to_string(number);
}

std::optional<std::uint32_t> number_of_link(std::string_view name) {
    if (!name.starts_with("sq"))
        return std::nullopt;
    const auto digits = name.substr(2);
    const auto number = parse_number(digits);
    if (!number || *number > number_in(kNamedNetworks, kLastNamedHost) || digits.starts_with('0'))
        return std::nullopt;
    const auto found = static_cast<std::uint32_t>(*number);
    const auto host = host_of(found);
    const bool between = found > kLastNumber && found < number_in(1, 0);
    const bool beyond = between || (network_of(found) != 0 && host > kLastNamedHost);
    if (host < kFirstNumber || beyond)
        return std::nullopt;
    return found;
}

std::optional<std::uint32_t> Numbers::take() {
    for (std::size_t tried = 0; tried < capacity(); ++tried) {
        const auto number = next_;
        next_ = number + 1 < states_.size() ? number + 1 : kFirstNumber;
        if (states_[number] == State::free) {
            states_[number] = State::ours;
            return number;
        }
    }
    return std::nullopt;
}

void Numbers::mark_elsewhere(std::uint32_t number) {
    if (number < states_.size())
        states_[number] = State::elsewhere;
}

void Numbers::mark_free(std::uint32_t number) {
    if (number < states_.size())
        states_[number] = State::free;
}

bool Numbers::keep_elsewhere(const std::vector<std::uint32_t>& existing) {
    bool freed = false;
    for (std::uint32_t number = kFirstNumber; number < states_.size(); ++number)
        if (states_[number] == State::elsewhere && std::ranges::find(existing, number) == existing.end()) {
            states_[number] = State::free;
            freed = true;
        }
    return freed;
}

} // namespace squish::network
