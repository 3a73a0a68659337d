// squish network: the networks that containers can join.
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/ps_table.h"

#include <ctime>

namespace squish::cli {

namespace {

constexpr std::string_view kHelp = R"(Usage: squish network COMMAND [OPTIONS] …

Containers on one network reach each other, by name; those of different networks do not.

Commands:
  ls                list the networks
  create NAME…      make some
  rm NAME…          remove some that no container uses
  inspect NAME…     show everything about some, as JSON

Options:
  -h, --help  print this help

A container joins the networks that its squishfile names, else the one called "default".
)";

std::string path_of(const std::string& name) {
    return "/v1/networks/" + percent_encode(name);
}

std::string containers_of(const Json& network) {
    std::vector<std::string> names;
    if (const auto found = network.find("containers"); found != network.end() && found->is_array())
        for (const auto& container : *found)
            names.push_back(printable(text_of(container, "name")));
    return names.empty() ? "-" : join(names, ", ");
}

std::string table_of(const Json& networks) {
    std::vector<std::vector<std::string>> rows{{"NAME", "SUBNET", "IPV6 SUBNET", "CREATED", "CONTAINERS"}};
    for (const auto& network : networks) {
        const auto created = text_of(network, "created_at");
        const auto age = std::max<std::int64_t>(0, ::time(nullptr) - seconds_of(created));
        const auto subnet6 = text_of(network, "subnet6");
        rows.push_back({printable(text_of(network, "name")), printable(text_of(network, "subnet")),
                        subnet6.empty() ? "-" : printable(subnet6), created.empty() ? "-" : age_text(age),
                        containers_of(network)});
    }
    return align(rows);
}

int list_networks(Words words) {
    bool json = false, quiet = false;
    Options options("network ls [OPTIONS]", "Lists the networks that containers can join.");
    options.flag("--json", json, "as JSON").flag("-q,--quiet", quiet, "names only");
    if (const auto code = options.parse(words))
        return *code;
    const auto networks = ask_daemon({"GET", "/v1/networks"});
    if (!networks)
        return give_up(networks.error());
    if (json)
        return print(networks->dump(2) + "\n") ? 0 : 1;
    if (!quiet)
        return print(table_of(*networks)) ? 0 : 1;
    std::string lines;
    for (const auto& network : *networks)
        lines += printable(text_of(network, "name")) + "\n";
    return print(lines) ? 0 : 1;
}

// What is asked of each of some networks; prints the names.
template <class CallFor> int each_network(const std::vector<std::string>& names, CallFor call_for) {
    int code = 0;
    for (const auto& name : names) {
        const auto done = ask_daemon(call_for(name));
        if (!done)
            code = give_up(done.error());
        else if (!print(printable(text_of(*done, "name")) + "\n"))
            return 1;
    }
    return code;
}

int create_networks(Words words) {
    std::vector<std::string> names;
    Options options("network create NAME…", "Makes networks, and prints their names.");
    options.positionals("NAME", names);
    if (const auto code = options.parse(words))
        return *code;
    return each_network(names, [](const std::string& name) -> Call {
        return {"POST", "/v1/networks", Json{{"name", name}}.dump(-1, ' ', false, Json::error_handler_t::replace)};
    });
}

int remove_networks(Words words) {
    std::vector<std::string> names;
    Options options("network rm NAME…", "Removes networks that no container uses, and prints their names.");
    options.positionals("NAME", names);
    if (const auto code = options.parse(words))
        return *code;
    return each_network(names, [](const std::string& name) -> Call { return {"DELETE", path_of(name)}; });
}

int inspect_networks(Words words) {
    bool json = false;
    std::vector<std::string> names;
    Options options("network inspect [OPTIONS] NAME…", "Shows everything about networks, as a JSON array.");
    options.flag("--json", json, "as JSON; it always is").positionals("NAME", names);
    if (const auto code = options.parse(words))
        return *code;
    Json all = Json::array();
    int code = 0;
    for (const auto& name : names) {
        auto network = ask_daemon({"GET", path_of(name)});
        if (network)
            all.push_back(std::move(*network));
        else
            code = give_up(network.error());
    }
    return print(all.dump(2) + "\n") ? code : 1;
}

} // namespace

int network_command(Words words) {
    const std::string_view what = words.empty() ? std::string_view() : words[0];
    if (what == "ls")
        return list_networks(words.subspan(1));
    if (what == "create")
        return create_networks(words.subspan(1));
    if (what == "rm")
        return remove_networks(words.subspan(1));
    if (what == "inspect")
        return inspect_networks(words.subspan(1));
    if (what == "--help" || what == "-h")
        return print(kHelp) ? 0 : 1;
    return give_up(
        Error{ErrorKind::invalid,
              what.empty() ? "network: a command is needed" : "network: unknown command '" + printable(what) + "'",
              "see 'squish network --help'", 0});
}

} // namespace squish::cli
