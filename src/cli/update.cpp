// squish update: other limits for containers that run.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/each.h"
#include "cli/exit_code.h"
#include "cli/limit_options.h"

namespace squish::cli {

int update_command(Words words) {
    bool json = false;
    LimitOptions limits;
    std::vector<std::string> ids;
    Options options("update [OPTIONS] ID…", "Changes limits of containers that run, at once. Prints their ids.");
    limits.declare_all(options);
    options.flag("--json", json, "print the limits that are in effect, as a JSON array")
        .positionals("ID", ids)
        .note("What is not given stays as it is. The value \"max\" lifts a limit.");
    if (const auto code = options.parse(words))
        return *code;
    if (!limits.given())
        return give_up(
            Error{ErrorKind::invalid, "update: a limit to change is needed", "see 'squish update --help'", 0});
    if (const auto edit = limits.edit(); !edit) // before anything is asked for
        return give_up(Error(edit.error()).within("update"));
    Json all = Json::array();
    const auto body = limits.to_json().dump(-1, ' ', false, Json::error_handler_t::replace);
    const int failed = for_each_id(ids, {"POST", "/update", body}, [&](const Json& answer) {
        if (!json)
            return print_id(answer);
        all.push_back(answer);
        return true;
    });
    if (!json)
        return failed;
    const bool printed = print(all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return failed != 0 ? failed : printed ? 0 : 1;
}

} // namespace squish::cli
