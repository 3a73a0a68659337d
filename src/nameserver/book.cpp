#include "nameserver/book.h"

#include "base/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <utility>

namespace squish::nameserver {

namespace {

// The bytes of an address; nothing where the text is none.
template <int Family, std::size_t Size> std::optional<std::string> bytes_of(const std::string& text) {
    std::array<char, Size> bytes{};
    if (::inet_pton(Family, text.c_str(), bytes.data()) != 1)
        return std::nullopt;
    return std::string(bytes.data(), bytes.size());
}

// What a query can ask for: labels of 1 to 63 characters, 253 in all (RFC 1035, 2.3.4).
bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253)
        return false;
    return std::ranges::all_of(split(name, '.'), [](std::string_view label) {
        return !label.empty() && label.size() <= 63 && std::ranges::all_of(label, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        });
    });
}

} // namespace

Result<dns::Host> to_host(const HostText& text) {
    dns::Host host;
    if (text.names.empty() || text.names.size() > kMaxNamesPerHost)
        return fail(ErrorKind::invalid, "a host has 1 to " + std::to_string(kMaxNamesPerHost) + " names");
    for (const auto& name : text.names) {
        if (!is_host_name(name))
            return fail(ErrorKind::invalid, "'" + printable(name) + "' is no host name");
        host.names.push_back(name);
    }
    auto v4 = bytes_of<AF_INET, 4>(text.address);
    if (!v4)
        return fail(ErrorKind::invalid, "'" + printable(text.address) + "' is no IPv4 address");
    host.v4 = *std::move(v4);
    if (!text.address6.empty()) {
        auto v6 = bytes_of<AF_INET6, 16>(text.address6);
        if (!v6)
            return fail(ErrorKind::invalid, "'" + printable(text.address6) + "' is no IPv6 address");
        host.v6 = *std::move(v6);
    }
    return host;
}

Result<void> Book::add(const std::string& container, dns::Host host) {
    if (hosts_.size() >= kMaxHosts && !hosts_.contains(container))
        return fail(ErrorKind::conflict, "the network has " + std::to_string(kMaxHosts) + " hosts already");
    remove(container);
    containers_[host.v4] = container;
    hosts_[container] = std::move(host);
    changed_ = true;
    return {};
}

bool Book::remove(const std::string& container) {
    const auto found = hosts_.find(container);
    if (found == hosts_.end())
        return false;
    // An address may belong to the next container already.
    if (const auto at = containers_.find(found->second.v4); at != containers_.end() && at->second == container)
        containers_.erase(at);
    hosts_.erase(found);
    changed_ = true;
    return true;
}

void Book::replace(std::map<std::string, dns::Host> hosts) {
    hosts_ = std::move(hosts);
    containers_.clear();
    for (const auto& [container, host] : hosts_)
        containers_[host.v4] = container;
    changed_ = true;
}

std::string Book::container_at(const std::string& v4) const {
    const auto found = containers_.find(v4);
    return found == containers_.end() ? std::string() : found->second;
}

std::optional<dns::Zone::Answer> Book::answer(const dns::Query& query) {
    if (std::exchange(changed_, false)) {
        std::vector<dns::Host> all;
        all.reserve(hosts_.size());
        for (const auto& [container, host] : hosts_)
            all.push_back(host);
        zone_.replace(all);
    }
    return zone_.answer(query);
}

} // namespace squish::nameserver
