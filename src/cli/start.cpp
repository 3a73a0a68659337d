// squish run and squish create.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/progress_view.h"
#include "cli/session.h"
#include "cli/start_options.h"

namespace squish::cli {

namespace {

void take_payload_words(const SplitWords& split, StartOptions& start) {
    start.has_args = split.split;
    start.args.assign(split.payload.begin(), split.payload.end());
}

// Stops and removes what this command has started: a command that fails leaves nothing half done.
void take_back(Client& client, const std::vector<std::string>& ids) {
    for (const auto& id : ids)
        if (const auto removed = client.call({"DELETE", "/v1/containers/" + id + "?force=true"}); !removed)
            complain(Error(removed.error()).within("remove '" + id + "' again"));
}

// The ids of all, or none of them is left.
Result<std::vector<std::string>> create_all(Client& client, const Paths& paths, const std::vector<Loaded>& files,
                                            const StartOptions& options) {
    std::vector<std::string> ids;
    for (const auto& file : files) {
        if (!ids.empty()) // a connection carries one stream
            client = TRY(Client::connect(paths));
        const Call call{"POST", "/v1/containers?progress=true",
                        create_body(file, options).dump(-1, ' ', false, Json::error_handler_t::replace)};
        auto created = call_with_progress(client, call);
        if (!created) {
            if (auto again = Client::connect(paths))
                take_back(*again, ids);
            return std::unexpected(std::move(created).error());
        }
        ids.push_back(text_of(*created, "id"));
        print_warnings(*created);
    }
    return ids;
}

} // namespace

int run_command(Words words) {
    StartOptions start;
    std::string file;
    Options options("run [OPTIONS] FILE [-- ARGS…]",
                    "Starts a container from the squishfile FILE and stays until it has ended.");
    start.declare(options);
    options.positional("FILE", file)
        .note("FILE may be a folder or an archive with a squishfile.toml. ARGS replace the squishfile's run.args.\n"
              "The exit code is the payload's own.");
    const auto split = split_words(words);
    if (const auto code = options.parse(split.ours))
        return *code;
    take_payload_words(split, start);
    if (const auto checked = check_terminal(start.terminal); !checked)
        return give_up(checked.error(), Doing::starting);
    const auto squishfile = load(file, start);
    if (!squishfile)
        return give_up(squishfile.error(), Doing::starting);
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error(), Doing::starting);
    return run_session(*paths, {.target = "/v1/containers?wait=exit&progress=true",
                                .body = create_body(*squishfile, start),
                                .resource = "/v1/containers/",
                                .interactive = start.interactive,
                                .terminal = start.terminal});
}

int create_command(Words words) {
    StartOptions start;
    std::vector<std::string> names;
    Options options("create [OPTIONS] FILE… [-- ARGS…]",
                    "Starts a container from each squishfile FILE in the background and prints their ids.");
    start.declare(options);
    options.positionals("FILE", names).note("If one of them cannot be started, none is left running.");
    const auto split = split_words(words);
    if (const auto code = options.parse(split.ours))
        return *code;
    take_payload_words(split, start);
    if (start.interactive || start.terminal)
        return give_up(Error{ErrorKind::invalid,
                             "create: a container in the background has neither our input nor a terminal",
                             "use 'squish run', or leave out -i and -t", 0});
    if (start.name && names.size() > 1)
        return give_up(Error{ErrorKind::invalid,
                             "create: one --name cannot name " + std::to_string(names.size()) + " containers", "", 0});
    std::vector<Loaded> files;
    for (const auto& name : names) { // all are checked before the first is started
        auto file = load(name, start);
        if (!file)
            return give_up(file.error(), Doing::starting);
        files.push_back(std::move(*file));
    }
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error(), Doing::starting);
    auto client = Client::connect(*paths);
    if (!client)
        return give_up(client.error(), Doing::starting);
    const auto ids = create_all(*client, *paths, files, start);
    if (!ids)
        return give_up(ids.error(), Doing::starting);
    return print(join(*ids, "\n") + "\n") ? 0 : 1;
}

} // namespace squish::cli
