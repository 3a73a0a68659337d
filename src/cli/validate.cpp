// squish validate: everything that can be said about a squishfile without starting it.
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/progress_view.h"
#include "cli/ps_table.h"
#include "cli/squishfile_source.h"

#include "os/file.h"

#include <unistd.h>

namespace squish::cli {

namespace {

Result<Squishfile> check(const std::string& file) {
    const auto source = TRY(read_source(file));
    auto squishfile = TRY(parse_source(source));
    TRY(check_paths(source, squishfile));
    return squishfile;
}

// What the file's layers would be now: asked of squishd, which asks the sources where what is stored does not do.
Result<Json> resolve(const Squishfile& file) {
    const auto paths = TRY(find_paths());
    auto client = TRY(Client::connect(paths));
    const Json body{{"squishfile", Json::parse(to_json(file), nullptr, false)}, {"download", false}};
    const Call call{"POST", "/v1/layers/resolve?progress=true",
                    body.dump(-1, ' ', false, Json::error_handler_t::replace)};
    return call_with_progress(client, call);
}

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : printable(text);
}

std::string layers_table(const Json& resolved) {
    std::vector<std::vector<std::string>> rows{{"LAYER", "VERSION", "DIGEST", "MOUNT", "FROM", "WHY"}};
    constexpr std::size_t kShort = 12;
    const auto layers = resolved.find("layers");
    for (const auto& layer : layers != resolved.end() ? *layers : Json::array()) {
        std::vector<std::string> why;
        if (const auto found = layer.find("why"); found != layer.end() && found->is_array())
            for (const auto& one : *found)
                why.push_back(printable(one.is_string() ? one.get<std::string>() : ""));
        rows.push_back({printable(text_of(layer, "name")), or_dash(text_of(layer, "version")),
                        or_dash(text_of(layer, "digest").substr(0, kShort)), or_dash(text_of(layer, "target")),
                        or_dash(text_of(layer, "source").empty() ? text_of(layer, "origin") : text_of(layer, "source")),
                        join(why, "; ")});
    }
    return align(rows);
}

} // namespace

int validate_command(Words words) {
    std::vector<std::string> files;
    bool resolved = false, json = false;
    Options options("validate [OPTIONS] FILE…",
                    "Checks squishfiles: prints 'ok', or every error as FILE:LINE:COLUMN: message.");
    options.flag("--resolve", resolved, "show its layers: version, digest, mount, and who asks for each")
        .flag("--json", json, "with --resolve: as JSON")
        .positionals("FILE", files);
    if (const auto code = options.parse(words))
        return *code;
    int code = 0;
    for (const auto& file : files) {
        const auto checked = check(file);
        const auto label = files.size() > 1 ? printable(file) + ": ok\n" : std::string("ok\n");
        if (checked && resolved) {
            const auto layers = resolve(*checked);
            if (!layers)
                return give_up(layers.error());
            if (!print(json ? layers->dump(2) + "\n" : layers_table(*layers)))
                return 1;
            continue;
        }
        if (checked) {
            if (!print(label))
                return 1;
            continue;
        }
        // As compilers do: the place first, so that an editor can jump to it.
        code = 2;
        const auto text = checked.error().text();
        std::string out;
        for (const auto line : split(text, '\n'))
            out += printable(line) + "\n";
        if (!os::write_all(STDERR_FILENO, out))
            return 1;
    }
    return code;
}

} // namespace squish::cli
