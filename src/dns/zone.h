// The names of one network: who has which addresses. Pure data.
#pragma once

#include "dns/message.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace squish::dns {

// A container on the network; `names` are its name and aliases, the first is the one that its address stands for.
struct Host {
    std::vector<std::string> names;
    std::string v4, v6; // 4 and 16 bytes; v6 may be empty
};

class Zone {
public:
    // Which addresses are containers': for those nobody else is asked, whether there is one or not.
    struct Reach {
        std::string v4; // the first bytes that all of them have
        std::string v6;
    };
    explicit Zone(Reach reach) : reach_(std::move(reach)) {}

    void replace(const std::vector<Host>& hosts);

    struct Answer {
        Status status = Status::no_error;
        std::vector<Record> records;
    };
    // Nothing where the question is not about this network. Several addresses of a name come in another order each
    // time.
    [[nodiscard]] std::optional<Answer> answer(const Query& query);

private:
    struct Name {
        std::vector<std::string> v4, v6;
        std::size_t turn = 0;
    };
    Reach reach_;
    std::map<std::string, Name, std::less<>> names_;                       // in lower case
    std::map<std::string, std::vector<std::string>, std::less<>> reverse_; // address bytes → names
};

// The address bytes of "4.3.2.1.in-addr.arpa" or "….ip6.arpa"; nothing where the name is none.
[[nodiscard]] std::optional<std::string> address_of_reverse_name(std::string_view name);

} // namespace squish::dns
