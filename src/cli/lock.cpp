// squish lock: which layers a squishfile gets, by digest, in a file beside it.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/progress_view.h"
#include "cli/start_options.h"
#include "os/file.h"

#include <fcntl.h>

namespace squish::cli {

namespace {

Result<void> write_lock_file(const std::string& file, bool refresh) {
    const auto source = TRY(read_source(file));
    const auto squishfile = TRY(parse_source(source));
    TRY(check_paths(source, squishfile));
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    const Json body{{"squishfile", Json::parse(to_json(squishfile), nullptr, false)}, {"refresh", refresh}};
    const Call call{"POST", "/v1/layers/resolve?progress=true",
                    body.dump(-1, ' ', false, Json::error_handler_t::replace)};
    const auto resolved = TRY(call_with_progress(client, call));
    const auto text = text_of(resolved, "lock");
    const auto folder = TRY(os::open_file(source.folder, O_RDONLY | O_DIRECTORY));
    TRY(os::write_atomically(folder.get(), "squishfile.lock", text, 0644));
    if (!print(lock_path(source) + "\n"))
        return fail(ErrorKind::system, "write to standard output");
    return {};
}

} // namespace

int lock_command(Words words) {
    bool stored = false;
    std::vector<std::string> files;
    Options options("lock [OPTIONS] FILE…", "Writes squishfile.lock beside each squishfile: its layers, by digest.");
    options.flag("--stored", stored, "take what is stored where it will do, as a start does")
        .positionals("FILE", files);
    options.note("'squish run --locked' accepts no other layers.");
    if (const auto code = options.parse(words))
        return *code;
    for (const auto& file : files)
        if (const auto written = write_lock_file(file, !stored); !written)
            return give_up(written.error());
    return 0;
}

} // namespace squish::cli
