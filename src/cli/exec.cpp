// squish exec.
#include "base/text.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/session.h"

#include <cstdlib>

namespace squish::cli {

namespace {

struct ExecOptions {
    bool interactive = false, terminal = false;
    std::vector<std::string> env;
    std::optional<std::string> workdir, user;
    std::string id;
    std::vector<std::string> command;
};

Result<Json> body_of(const ExecOptions& options) {
    Json body{{"command", options.command}};
    Json env = Json::object();
    for (const auto& given : options.env) {
        const auto equals = given.find('=');
        const auto name = given.substr(0, equals);
        if (name.empty())
            return fail(ErrorKind::invalid, "--env '" + printable(given) + "' names no variable",
                        "--env NAME=VALUE, or NAME to pass ours on");
        if (equals != std::string::npos)
            env[name] = given.substr(equals + 1);
        else if (const char* ours = std::getenv(name.c_str()))
            env[name] = ours;
    }
    if (!env.empty())
        body["env"] = std::move(env);
    if (options.workdir)
        body["workdir"] = *options.workdir;
    if (options.user)
        body["user"] = *options.user;
    return body;
}

} // namespace

int exec_command(Words words) {
    ExecOptions exec;
    Options options("exec [OPTIONS] ID [--] COMMAND [ARGS…]",
                    "Runs a further program in a container and stays until it has ended.");
    options.flag("-i,--interactive", exec.interactive, "give it our standard input")
        .flag("-t,--tty", exec.terminal, "give it a terminal of its own")
        .list("-e,--env", "NAME=VALUE", exec.env, "set a variable; NAME alone passes ours on")
        .text("-w,--workdir", "FOLDER", exec.workdir, "its working folder, an absolute path")
        .text("-u,--user", "UID[:GID]", exec.user, "who it runs as, in numbers")
        .positional("ID", exec.id)
        .rest(exec.command)
        .note("What follows the ID is the program's own command line. The exit code is the program's own.");
    if (const auto code = options.parse(words))
        return *code;
    if (exec.command.empty())
        return give_up(Error{ErrorKind::invalid, "exec: a command is needed", "squish exec ID COMMAND", 0});
    if (const auto checked = check_terminal(exec.terminal); !checked)
        return give_up(checked.error(), Doing::starting);
    auto body = body_of(exec);
    if (!body)
        return give_up(body.error(), Doing::starting);
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error(), Doing::starting);
    return run_session(*paths, {.target = "/v1/containers/" + percent_encode(exec.id) + "/exec?wait=exit",
                                .body = std::move(*body),
                                .resource = "/v1/exec/",
                                .interactive = exec.interactive,
                                .terminal = exec.terminal});
}

} // namespace squish::cli
