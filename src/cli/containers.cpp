// squish ps, stop, kill, pause, unpause, wait, rm and inspect.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/each.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/ps_table.h"

#include <chrono>

namespace squish::cli {

namespace {

std::string ids_only(const Json& containers) {
    std::string out;
    for (const auto& container : containers)
        out += printable(text_of(container, "id")) + "\n";
    return out;
}

Result<Json> list_containers(bool all) {
    return ask_daemon({"GET", all ? "/v1/containers?all=true" : "/v1/containers"});
}

std::int64_t now_in_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace

int ps_command(Words words) {
    bool all = false, quiet = false, json = false;
    Options options("ps [OPTIONS]", "Lists the containers that run.");
    options.flag("-a,--all", all, "those that have ended, too")
        .flag("-q,--quiet", quiet, "ids only, without a header")
        .flag("--json", json, "as JSON");
    if (const auto code = options.parse(words))
        return *code;
    const auto containers = list_containers(all);
    if (!containers)
        return give_up(containers.error());
    const auto text = json    ? containers->dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                      : quiet ? ids_only(*containers)
                              : ps_table(*containers, now_in_seconds());
    return print(text) ? 0 : 1;
}

int stop_command(Words words) {
    std::optional<std::uint64_t> seconds;
    std::vector<std::string> ids;
    Options options("stop [OPTIONS] ID…", "Ends containers: SIGTERM, then SIGKILL. Prints their ids.");
    options.number("-t,--time", "SECONDS", seconds, "how long to wait before SIGKILL (10)").positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    const auto query = seconds ? "?timeout=" + std::to_string(*seconds) : std::string();
    return for_each_id(ids, {"POST", "/stop" + query}, print_id);
}

int kill_command(Words words) {
    std::optional<std::string> signal;
    std::vector<std::string> ids;
    Options options("kill [OPTIONS] ID…", "Sends a signal to the payload of containers. Prints their ids.");
    options.text("-s,--signal", "SIGNAL", signal, "a name or a number (KILL)").positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    const auto query = signal ? "?signal=" + percent_encode(*signal) : std::string();
    return for_each_id(ids, {"POST", "/kill" + query}, print_id);
}

int pause_command(Words words) {
    std::vector<std::string> ids;
    Options options("pause [OPTIONS] ID…", "Stops all processes of containers where they are. Prints their ids.");
    options.positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    return for_each_id(ids, {"POST", "/pause"}, print_id);
}

int unpause_command(Words words) {
    std::vector<std::string> ids;
    Options options("unpause [OPTIONS] ID…", "Lets the processes of paused containers go on. Prints their ids.");
    options.positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    return for_each_id(ids, {"POST", "/unpause"}, print_id);
}

int wait_command(Words words) {
    std::vector<std::string> ids;
    Options options("wait [OPTIONS] ID…",
                    "Waits until containers have ended. Prints their exit codes, and exits with the last one.");
    options.positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    int last = 0;
    const int failed = for_each_id(ids, {"GET", "/wait"}, [&](const Json& answer) {
        last = static_cast<int>(number_of(answer, "code"));
        return print(std::to_string(last) + "\n");
    });
    return failed != 0 ? failed : last;
}

int rm_command(Words words) {
    bool force = false;
    std::vector<std::string> ids;
    Options options("rm [OPTIONS] ID…", "Removes containers that have ended, with their logs. Prints their ids.");
    options.flag("-f,--force", force, "end those that run").positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    return for_each_id(ids, {"DELETE", force ? "?force=true" : ""}, print_id);
}

int inspect_command(Words words) {
    bool json = false;
    std::vector<std::string> ids;
    Options options("inspect [OPTIONS] ID…", "Shows everything that is known about containers, as a JSON array.");
    options.flag("--json", json, "as JSON, which it always is").positionals("ID", ids);
    if (const auto code = options.parse(words))
        return *code;
    Json all = Json::array();
    const int failed = for_each_id(ids, {"GET", ""}, [&](const Json& answer) {
        all.push_back(answer);
        return true;
    });
    const bool printed = print(all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return failed != 0 ? failed : printed ? 0 : 1;
}

} // namespace squish::cli
