// squish port: what is published. Changes at run time come with the network's own issue.
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/ps_table.h"

namespace squish::cli {

namespace {

constexpr std::string_view kHelp = R"(Usage: squish port COMMAND [OPTIONS] …

Shows the ports that a container publishes.

Commands:
  ls ID               list them
  add ID SPEC         publish one more (not supported yet)
  rm ID SPEC          take one back (not supported yet)
  rebind ID OLD NEW   replace one by another (not supported yet)

Options:
  -h, --help  print this help
)";

Result<Json> ports_of(const std::string& id) {
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    return client.call({"GET", "/v1/containers/" + percent_encode(id) + "/ports"});
}

std::string table_of(const Json& ports) {
    std::vector<std::vector<std::string>> rows{{"ADDRESS", "HOST", "CONTAINER", "PROTOCOL"}};
    for (const auto& port : ports)
        rows.push_back({printable(text_of(port, "address")), std::to_string(number_of(port, "host")),
                        std::to_string(number_of(port, "container")), printable(text_of(port, "protocol"))});
    return align(rows);
}

int list_ports(Words words) {
    bool json = false;
    std::string id;
    Options options("port ls [OPTIONS] ID", "Lists the ports that a container publishes.");
    options.flag("--json", json, "as JSON").positional("ID", id);
    if (const auto code = options.parse(words))
        return *code;
    const auto ports = ports_of(id);
    if (!ports)
        return give_up(ports.error());
    return print(json ? ports->dump(2) + "\n" : table_of(*ports)) ? 0 : 1;
}

} // namespace

int port_command(Words words) {
    const std::string_view what = words.empty() ? std::string_view() : words[0];
    if (what == "ls")
        return list_ports(words.subspan(1));
    if (what == "--help" || what == "-h")
        return print(kHelp) ? 0 : 1;
    if (what == "add" || what == "rm" || what == "rebind")
        return give_up(Error{ErrorKind::unsupported, "'port " + std::string(what) + "' is not supported yet",
                             "name the ports in the squishfile, or with --publish", 0});
    return give_up(Error{ErrorKind::invalid,
                         what.empty() ? "port: a command is needed" : "port: unknown command '" + printable(what) + "'",
                         "see 'squish port --help'", 0});
}

} // namespace squish::cli
