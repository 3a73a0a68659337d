#include "nameserver/service.h"

#include "base/text.h"

namespace squish::nameserver {

using wire::Json;

namespace {

constexpr std::size_t kMaxName = 128;

// An array of bytes, as it stands in a message.
Result<std::string> get_bytes(const Json& body, const char* member) {
    std::string out;
    const auto found = body.find(member);
    if (found == body.end() || !found->is_array() || found->size() > 16)
        return fail(ErrorKind::invalid, std::string("message without the bytes '") + member + "'");
    for (const auto& byte : *found) {
        if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 255)
            return fail(ErrorKind::invalid, std::string("'") + member + "' holds what is no byte");
        out += static_cast<char>(byte.get<std::uint64_t>());
    }
    return out;
}

Result<std::string> get_name(const Json& body, const char* member) {
    auto name = TRY(wire::get_string(body, member));
    if (name.empty() || name.size() > kMaxName)
        return fail(ErrorKind::invalid, std::string("'") + member + "' has 1 to 128 characters");
    return name;
}

Result<dns::Host> get_host(const Json& body) {
    HostText text;
    const auto names = body.find("names");
    if (names == body.end() || !names->is_array())
        return fail(ErrorKind::invalid, "message without the list 'names'");
    for (const auto& name : *names) {
        if (!name.is_string())
            return fail(ErrorKind::invalid, "a name is no text");
        text.names.push_back(name.get<std::string>());
    }
    text.address = TRY(wire::get_string(body, "address"));
    if (body.contains("address6"))
        text.address6 = TRY(wire::get_string(body, "address6"));
    return to_host(text);
}

} // namespace

Result<Json> Service::handle(const Json& request) {
    const auto op = TRY(wire::get_string(request, "op"));
    if (op == "network.up")
        return network_up(request);
    if (op == "network.down")
        return network_down(request);
    if (op == "host.add") {
        auto* const network = TRY(find(request));
        TRY(network->book().add(TRY(get_name(request, "container")), TRY(get_host(request))));
        return Json::object();
    }
    if (op == "host.remove") {
        auto* const network = TRY(find(request));
        network->book().remove(TRY(get_name(request, "container")));
        return Json::object();
    }
    if (op == "list") {
        Json networks = Json::object();
        for (const auto& [name, network] : networks_) {
            Json hosts = Json::object();
            for (const auto& [container, host] : network->book().hosts())
                hosts[container] = host.names;
            networks[name] = {{"address", network->place().address}, {"hosts", std::move(hosts)}};
        }
        return Json{{"networks", std::move(networks)}};
    }
    return fail(ErrorKind::invalid, "unknown request '" + printable(op) + "'");
}

Result<Answerer*> Service::find(const Json& request) {
    const auto name = TRY(get_name(request, "network"));
    const auto found = networks_.find(name);
    if (found == networks_.end())
        return fail(ErrorKind::not_found, "no network '" + printable(name) + "' is served");
    return found->second.get();
}

Result<Json> Service::network_up(const Json& request) {
    const auto name = TRY(get_name(request, "network"));
    std::map<std::string, dns::Host> hosts;
    const auto list = request.find("hosts");
    if (list == request.end() || !list->is_array())
        return fail(ErrorKind::invalid, "message without the list 'hosts'");
    for (const auto& one : *list) {
        if (!one.is_object())
            return fail(ErrorKind::invalid, "a host is no object");
        hosts[TRY(get_name(one, "container"))] = TRY(get_host(one));
    }
    Place place;
    place.address = TRY(wire::get_string(request, "address"));
    place.interface = TRY(wire::get_string(request, "interface"));
    place.upstream = upstream_;
    if (request.contains("port")) // tests
        place.port = static_cast<std::uint16_t>(TRY(wire::get_integer(request, "port")));
    dns::Zone::Reach reach{.v4 = TRY(get_bytes(request, "reach4")), .v6 = TRY(get_bytes(request, "reach6"))};
    auto& network = networks_[name];
    if (network && (network->place().address != place.address || !network->is_on_its_interface())) {
        network->close();
        network.reset();
    }
    if (!network) {
        auto opened = networks_.size() > kMaxNetworks
                          ? fail(ErrorKind::conflict, "more than " + std::to_string(kMaxNetworks) + " networks")
                          : Answerer::open(loop_, std::move(place), std::move(reach),
                                           [this](const std::string& container, const dns::Query& query) {
                                               return ask_others(container, query);
                                           });
        if (!opened) {
            networks_.erase(name);
            return std::unexpected(std::move(opened).error());
        }
        network = std::move(*opened);
    }
    network->book().replace(std::move(hosts));
    return Json{{"port", network->port()}};
}

std::optional<dns::Zone::Answer> Service::ask_others(const std::string& container, const dns::Query& query) {
    std::optional<dns::Zone::Answer> best;
    for (const auto& [name, network] : networks_) {
        if (!network->book().has(container))
            continue;
        auto answer = network->book().answer(query);
        if (answer && answer->status == dns::Status::no_error)
            return answer;
        if (answer)
            best = std::move(answer);
    }
    return best;
}

Result<Json> Service::network_down(const Json& request) {
    const auto name = TRY(get_name(request, "network"));
    const auto found = networks_.find(name);
    if (found != networks_.end()) {
        found->second->close();
        networks_.erase(found);
    }
    return Json::object();
}

} // namespace squish::nameserver
