// What squishd asks of squish-dns, over the JSON channel.
//
//   {"op": "network.up", "network": NAME, "address": IP, "interface": BRIDGE, "reach": {"v4": prefix bytes as an array,
//    "v6": likewise}, "hosts": [{"container": ID, "names": […], "address": IP, "address6"?: IP}]}
//        listens for it where it does not yet, and knows these hosts and no others
//   {"op": "network.down", "network": NAME}
//   {"op": "host.add", "network": NAME, "container": ID, "names": […], "address": IP, "address6"?: IP}
//   {"op": "host.remove", "network": NAME, "container": ID}
//   {"op": "list"} → "networks": {NAME: {"address", "hosts": {ID: [names]}}}
//
// Each answer comes after the change: whoever asks from then on gets the new answer.
#pragma once

#include "nameserver/answerer.h"
#include "wire/json_channel.h"

#include <map>

namespace squish::nameserver {

inline constexpr std::size_t kMaxNetworks = 256;

class Service {
public:
    Service(boost::asio::io_context& loop, std::string upstream) : loop_(loop), upstream_(std::move(upstream)) {}

    [[nodiscard]] Result<wire::Json> handle(const wire::Json& request);

private:
    [[nodiscard]] Result<wire::Json> network_up(const wire::Json& request);
    [[nodiscard]] Result<wire::Json> network_down(const wire::Json& request);
    // What the other networks of a container know.
    [[nodiscard]] std::optional<dns::Zone::Answer> ask_others(const std::string& container, const dns::Query& query);
    [[nodiscard]] Result<Answerer*> find(const wire::Json& request);

    boost::asio::io_context& loop_;
    std::string upstream_;
    std::map<std::string, std::shared_ptr<Answerer>> networks_;
};

} // namespace squish::nameserver
