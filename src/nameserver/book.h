// What the name server knows: for each network its gateway's address, at which it is asked, and its hosts.
#pragma once

#include "base/result.h"
#include "dns/zone.h"

#include <map>
#include <string>
#include <vector>

namespace squish::nameserver {

inline constexpr std::size_t kMaxHosts = 8192;
inline constexpr std::size_t kMaxNamesPerHost = 80;

// The hosts of one network, by the container that they stand for.
class Book {
public:
    explicit Book(dns::Zone::Reach reach) : zone_(std::move(reach)) {}

    // Replaces what is known of `container`. conflict where there are too many.
    [[nodiscard]] Result<void> add(const std::string& container, dns::Host host);
    // True where there was one.
    bool remove(const std::string& container);
    void replace(std::map<std::string, dns::Host> hosts);

    [[nodiscard]] std::optional<dns::Zone::Answer> answer(const dns::Query& query);
    [[nodiscard]] const std::map<std::string, dns::Host>& hosts() const { return hosts_; }
    // The container that has this address (4 bytes); empty where none has.
    [[nodiscard]] std::string container_at(const std::string& v4) const;
    [[nodiscard]] bool has(const std::string& container) const { return hosts_.contains(container); }

private:
    std::map<std::string, dns::Host> hosts_;
    std::map<std::string, std::string> containers_; // by v4
    dns::Zone zone_;
    bool changed_ = false; // the zone is made anew when somebody asks
};

// {"names": [text], "address": "10.89.0.2", "address6"?: "fd73:…"}
struct HostText {
    std::vector<std::string> names;
    std::string address, address6;
};
// Errors (invalid) name what is wrong: no name, too many, one that is no host name, an address that is none.
[[nodiscard]] Result<dns::Host> to_host(const HostText& text);

} // namespace squish::nameserver
