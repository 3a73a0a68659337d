// squish port: what is published, and changing that while a container runs.
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

Shows the ports that a container publishes, and changes them while it runs.

Commands:
  ls ID               list them
  add ID SPEC         publish one more, or a range
  rm ID SPEC          take one back; its connections go on
  rebind ID OLD NEW   replace one by another; its connections go on

Options:
  -h, --help  print this help
)";

std::string ports_path(const std::string& id) {
    return "/v1/containers/" + percent_encode(id) + "/ports";
}

std::string table_of(const Json& ports) {
    std::vector<std::vector<std::string>> rows{{"ADDRESS", "HOST", "CONTAINER", "PROTOCOL"}};
    for (const auto& port : ports)
        rows.push_back({printable(text_of(port, "address")), std::to_string(number_of(port, "host")),
                        std::to_string(number_of(port, "container")), printable(text_of(port, "protocol"))});
    return align(rows);
}

// "127.0.0.1:8080:80/tcp", as it can be given back to us.
std::string spec_of(const Json& port) {
    const auto address = printable(text_of(port, "address"));
    return (address.contains(':') ? "[" + address + "]" : address) + ":" + std::to_string(number_of(port, "host")) +
           ":" + std::to_string(number_of(port, "container")) + "/" + printable(text_of(port, "protocol"));
}

int show(const Result<Json>& answer, bool json) {
    if (!answer)
        return give_up(answer.error());
    if (json)
        return print(answer->dump(2) + "\n") ? 0 : 1;
    std::string lines;
    if (answer->is_object())
        lines = spec_of(*answer) + "\n";
    else
        for (const auto& port : *answer)
            lines += spec_of(port) + "\n";
    return print(lines) ? 0 : 1;
}

int list_ports(Words words) {
    bool json = false;
    std::string id;
    Options options("port ls [OPTIONS] ID", "Lists the ports that a container publishes.");
    options.flag("--json", json, "as JSON").positional("ID", id);
    if (const auto code = options.parse(words))
        return *code;
    const auto ports = ask_daemon({"GET", ports_path(id)});
    if (!ports)
        return give_up(ports.error());
    return print(json ? ports->dump(2) + "\n" : table_of(*ports)) ? 0 : 1;
}

int add_ports(Words words) {
    bool json = false;
    std::string id, spec;
    Options options("port add [OPTIONS] ID [ADDR:]HOST:CONTAINER[/udp]",
                    "Publishes one more port of a container that runs, or a range of them. Prints what it became.");
    options.flag("--json", json, "as JSON").positional("ID", id).positional("SPEC", spec);
    options.note("Host port 0 lets the kernel choose. Ranges are written 8000-8010:8000-8010.");
    if (const auto code = options.parse(words))
        return *code;
    return show(ask_daemon({"POST", ports_path(id), Json{{"spec", spec}}.dump()}), json);
}

int remove_ports(Words words) {
    bool json = false;
    std::string id, spec;
    Options options("port rm [OPTIONS] ID [ADDR:]HOST[:CONTAINER][/udp]",
                    "Takes a published port back. Connections that are established go on. Prints what it was.");
    options.flag("--json", json, "as JSON").positional("ID", id).positional("SPEC", spec);
    if (const auto code = options.parse(words))
        return *code;
    return show(ask_daemon({"DELETE", ports_path(id) + "?spec=" + percent_encode(spec)}), json);
}

int rebind_port(Words words) {
    bool json = false;
    std::string id, old_spec, new_spec;
    Options options("port rebind [OPTIONS] ID OLD NEW",
                    "Replaces one published port by another: the new one is opened before the old one is closed, and "
                    "connections that are established go on. Prints the new one.");
    options.flag("--json", json, "as JSON")
        .positional("ID", id)
        .positional("OLD", old_spec)
        .positional("NEW", new_spec);
    options.note("OLD and NEW are [ADDR:]HOST[:CONTAINER][/udp]; what NEW leaves out is as in OLD.");
    if (const auto code = options.parse(words))
        return *code;
    return show(ask_daemon({"POST", ports_path(id) + "/rebind", Json{{"old", old_spec}, {"new", new_spec}}.dump()}),
                json);
}

} // namespace

int port_command(Words words) {
    const std::string_view what = words.empty() ? std::string_view() : words[0];
    if (what == "ls")
        return list_ports(words.subspan(1));
    if (what == "add")
        return add_ports(words.subspan(1));
    if (what == "rm")
        return remove_ports(words.subspan(1));
    if (what == "rebind")
        return rebind_port(words.subspan(1));
    if (what == "--help" || what == "-h")
        return print(kHelp) ? 0 : 1;
    return give_up(Error{ErrorKind::invalid,
                         what.empty() ? "port: a command is needed" : "port: unknown command '" + printable(what) + "'",
                         "see 'squish port --help'", 0});
}

} // namespace squish::cli
