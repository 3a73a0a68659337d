// squish daemon and squish version.
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "start/start.h"
#include "version.h"

namespace squish::cli {

namespace {

constexpr std::string_view kHelp = R"(Usage: squish daemon COMMAND [OPTIONS]

Starts, stops or shows the daemon, which every command starts on demand.

Commands:
  start   start it, if it does not run
  stop    end it; containers run on
  status  show whether it runs, and what it serves

Options:
  -h, --help  print this help
)";

int start_daemon(Words words) {
    Options options("daemon start [OPTIONS]", "Starts the daemon, if it does not run.");
    if (const auto code = options.parse(words))
        return *code;
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    const auto started = Client::connect(*paths);
    return started ? 0 : give_up(started.error());
}

Result<void> stop(bool containers) {
    const auto paths = TRY(find_paths());
    auto client = Client::connect_running(paths);
    if (!client && client.error().kind == ErrorKind::not_found && !containers)
        return {};
    if (!client && client.error().kind == ErrorKind::not_found)
        client = Client::connect(paths); // only a daemon can end the containers that an earlier one left
    if (!client)
        return std::unexpected(std::move(client).error());
    (void) TRY(client->call({"POST", containers ? "/v1/daemon/stop?containers=true" : "/v1/daemon/stop"}));
    while (TRY(client->receive())) { // to the end of the connection: then it is gone
    }
    return {};
}

int stop_daemon(Words words) {
    bool containers = false;
    Options options("daemon stop [OPTIONS]", "Ends the daemon. Containers run on, and the next command finds them.");
    options.flag("--containers", containers, "stop all containers and every helper first");
    if (const auto code = options.parse(words))
        return *code;
    const auto stopped = stop(containers);
    return stopped ? 0 : give_up(stopped.error());
}

std::string status_text(const Json& status) {
    const auto& containers = status.contains("containers") ? status["containers"] : Json::object();
    return "squishd " + printable(text_of(status, "version")) + " runs as process " +
           std::to_string(number_of(status, "pid")) + " since " + printable(text_of(status, "started_at")) + "\n" +
           std::to_string(number_of(containers, "running")) + " containers run, of " +
           std::to_string(number_of(containers, "all")) + "\n";
}

// Exit code 1 where it does not run, so that scripts can ask.
int show_status(Words words) {
    bool json = false;
    Options options("daemon status [OPTIONS]", "Shows whether the daemon runs; exits with 1 where it does not.");
    options.flag("--json", json, "as JSON");
    if (const auto code = options.parse(words))
        return *code;
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    auto client = Client::connect_running(*paths);
    if (!client && client.error().kind == ErrorKind::not_found) {
        (void) print(json ? "{\"running\": false}\n" : "squishd does not run\n");
        return 1;
    }
    const auto status = client ? client->call({"GET", "/v1/status"}) : Result<Json>(std::unexpected(client.error()));
    if (!status)
        return give_up(status.error());
    Json whole{{"running", true}};
    whole.update(*status);
    return print(json ? whole.dump(2) + "\n" : status_text(*status)) ? 0 : 1;
}

} // namespace

int daemon_command(Words words) {
    const std::string_view what = words.empty() ? std::string_view() : words[0];
    if (what == "start")
        return start_daemon(words.subspan(1));
    if (what == "stop")
        return stop_daemon(words.subspan(1));
    if (what == "status")
        return show_status(words.subspan(1));
    if (what == "--help" || what == "-h")
        return print(kHelp) ? 0 : 1;
    return give_up(
        Error{ErrorKind::invalid,
              what.empty() ? "daemon: a command is needed" : "daemon: unknown command '" + printable(what) + "'",
              "see 'squish daemon --help'", 0});
}

int version_command(Words words) {
    bool json = false;
    Options options("version [OPTIONS]", "Shows the version of squish, and of the daemon where it runs.");
    options.flag("--json", json, "as JSON");
    if (const auto code = options.parse(words))
        return *code;
    Json versions{{"squish", SQUISH_VERSION}, {"squishd", nullptr}};
    if (const auto paths = find_paths())
        if (auto client = Client::connect_running(*paths)) {
            client->limit_waiting(2);
            if (const auto answer = client->call({"GET", "/v1/version"}))
                versions["squishd"] = text_of(*answer, "version");
        }
    if (json)
        return print(versions.dump(2) + "\n") ? 0 : 1;
    std::string text = "squish " SQUISH_VERSION "\n";
    text += versions["squishd"].is_string() ? "squishd " + printable(text_of(versions, "squishd")) + "\n"
                                            : "squishd does not run\n";
    return print(text) ? 0 : 1;
}

} // namespace squish::cli
