// squish layer: the layers that are stored for this user.
#include "base/text.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/progress_view.h"
#include "cli/ps_table.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <unistd.h>

namespace squish::cli {

namespace {

constexpr std::size_t kShortDigest = 12;

constexpr std::string_view kHelp = R"(Usage: squish layer COMMAND [OPTIONS] …

Layers are stored once, whoever uses them.

Commands:
  ls                    list what is stored
  pull NAME@VERSION…    get the newest version that is allowed
  import PATH|URL       store an archive or a folder
  build DIR             make an archive of a folder, for a layer source
  rm LAYER…             remove layers that no container uses
  verify [LAYER…]       compare what is stored with what was unpacked
  prune                 remove every layer that no container uses
  attach ID NAME@VERSION
                        mount a layer in a running container, at /sdk/NAME
  detach ID NAME        take it away again

Options:
  -h, --help  print this help

A LAYER is NAME@VERSION, a NAME with one stored version, or the beginning of a digest.
)";

Result<Client> connect() {
    static Result<Paths> paths = find_paths(); // the client refers to it
    if (!paths)
        return std::unexpected(paths.error());
    return Client::connect(*paths);
}

std::string text(const Json& body) {
    return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string absolute(const std::string& path) {
    char buffer[PATH_MAX];
    if (path.starts_with('/') || !::getcwd(buffer, sizeof buffer))
        return path;
    return std::string(buffer) + "/" + path;
}

struct NameAndVersion {
    std::string name, version;
};
NameAndVersion split_reference(const std::string& reference) {
    const auto at = reference.find('@');
    if (at == std::string::npos)
        return {reference, "*"};
    return {reference.substr(0, at), reference.substr(at + 1)};
}

std::string table_of(const Json& layers) {
    std::vector<std::vector<std::string>> rows{{"DIGEST", "NAME", "VERSION", "SIZE", "FILES", "ADDED", "USED BY"}};
    for (const auto& layer : layers) {
        const auto digest = text_of(layer, "digest").substr(0, kShortDigest);
        const auto size = size_text(static_cast<std::uint64_t>(number_of(layer, "bytes")));
        const auto files = std::to_string(number_of(layer, "entries"));
        const auto added =
            age_text(std::max<std::int64_t>(0, ::time(nullptr) - seconds_of(text_of(layer, "added_at"))));
        std::string users = "-";
        if (const auto found = layer.find("containers"); found != layer.end() && found->is_array() && !found->empty()) {
            std::vector<std::string> names;
            for (const auto& name : *found)
                names.push_back(printable(name.get<std::string>()));
            users = join(names, ", ");
        }
        const auto refs = layer.find("refs");
        if (refs == layer.end() || !refs->is_array() || refs->empty()) {
            rows.push_back({digest, "-", "-", size, files, added, users});
            continue;
        }
        for (const auto& ref : *refs)
            rows.push_back({digest, printable(text_of(ref, "name")), printable(text_of(ref, "version")), size, files,
                            added, users});
    }
    return align(rows);
}

int list_layers(Words words) {
    bool json = false, quiet = false;
    Options options("layer ls [OPTIONS]", "Lists the layers that are stored.");
    options.flag("--json", json, "as JSON").flag("-q,--quiet", quiet, "digests only");
    if (const auto code = options.parse(words))
        return *code;
    auto client = connect();
    if (!client)
        return give_up(client.error());
    const auto layers = client->call({"GET", "/v1/layers"});
    if (!layers)
        return give_up(layers.error());
    if (json)
        return print(layers->dump(2) + "\n") ? 0 : 1;
    if (!quiet)
        return print(table_of(*layers)) ? 0 : 1;
    std::string out;
    for (const auto& layer : *layers)
        out += text_of(layer, "digest") + "\n";
    return print(out) ? 0 : 1;
}

// What unpacking left out or changed, so that nobody looks for it in vain.
void print_notes(const Json& layer) {
    const auto notes = layer.find("notes");
    if (notes == layer.end() || !notes->is_object())
        return;
    for (const auto& [name, count] : notes->items())
        if (count.is_number_unsigned() && count != 0)
            warn("note: " + printable(name) + ": " + std::to_string(count.get<std::uint64_t>()) +
                 " (see ARCHIVES in squishfile.toml(5))");
}

int pull_layers(Words words) {
    bool json = false;
    std::vector<std::string> names;
    Options options("layer pull [OPTIONS] NAME@VERSION…",
                    "Gets the newest version of a layer that is allowed, and prints NAME@VERSION DIGEST.");
    options.flag("--json", json, "as JSON").positionals("NAME@VERSION", names);
    options.note("VERSION is a requirement such as 3.20, ~3.11 or '>=3.18 <4'; without it the newest.");
    if (const auto code = options.parse(words))
        return *code;
    for (const auto& name : names) {
        auto client = connect();
        if (!client)
            return give_up(client.error());
        const auto [layer, version] = split_reference(name);
        const Json body{{"name", layer}, {"version", version}};
        const auto pulled = call_with_progress(*client, {"POST", "/v1/layers/pull?progress=true", text(body)});
        if (!pulled)
            return give_up(pulled.error());
        print_notes(*pulled);
        const auto line = json ? pulled->dump(2)
                               : printable(text_of(*pulled, "name")) + "@" + printable(text_of(*pulled, "version")) +
                                     " " + text_of(*pulled, "digest");
        if (!print(line + "\n"))
            return 1;
    }
    return 0;
}

int import_layer(Words words) {
    bool json = false;
    std::optional<std::string> name, version, sha256;
    std::string from;
    Options options("layer import [OPTIONS] PATH|URL",
                    "Stores an archive (tar.*, zip) or a folder as a layer, and prints its digest.");
    options.text("--name", "NAME", name, "what squishfiles call it; else as its .squish/layer.toml says")
        .text("--version", "VERSION", version, "its version; likewise")
        .text("--sha256", "DIGEST", sha256, "refuse anything else")
        .flag("--json", json, "as JSON")
        .positional("PATH|URL", from);
    if (const auto code = options.parse(words))
        return *code;
    Json body = Json::object();
    if (from.starts_with("http://") || from.starts_with("https://"))
        body["url"] = from;
    else
        body["path"] = absolute(from);
    if (name)
        body["name"] = *name;
    if (version)
        body["version"] = *version;
    if (sha256)
        body["sha256"] = *sha256;
    auto client = connect();
    if (!client)
        return give_up(client.error());
    const auto imported = call_with_progress(*client, {"POST", "/v1/layers/import?progress=true", text(body)});
    if (!imported)
        return give_up(imported.error());
    print_notes(*imported);
    return print(json ? imported->dump(2) + "\n" : text_of(*imported, "digest") + "\n") ? 0 : 1;
}

int remove_layers(Words words) {
    std::vector<std::string> layers;
    Options options("layer rm [OPTIONS] LAYER…", "Removes layers that no container uses; prints their digests.");
    options.positionals("LAYER", layers);
    if (const auto code = options.parse(words))
        return *code;
    auto client = connect();
    if (!client)
        return give_up(client.error());
    int code = 0;
    for (const auto& layer : layers) { // as `rm`: what can be removed is
        const auto removed = client->call({"DELETE", "/v1/layers/" + percent_encode(layer)});
        if (!removed)
            code = give_up(removed.error());
        else if (!print(text_of(*removed, "digest") + "\n"))
            return 1;
    }
    return code;
}

int verify_layers(Words words) {
    bool json = false;
    std::vector<std::string> layers;
    Options options(
        "layer verify [OPTIONS] [LAYER…]",
        "Compares stored layers, all where none is named, with what was unpacked; names every file that differs.");
    options.flag("--json", json, "as JSON").rest(layers);
    if (const auto code = options.parse(words))
        return *code;
    auto client = connect();
    if (!client)
        return give_up(client.error());
    if (layers.empty()) {
        const auto all = client->call({"GET", "/v1/layers"});
        if (!all)
            return give_up(all.error());
        for (const auto& layer : *all)
            layers.push_back(text_of(layer, "digest"));
    }
    int code = 0;
    Json results = Json::array();
    for (const auto& layer : layers) {
        client = connect();
        if (!client)
            return give_up(client.error());
        const auto verified =
            call_with_progress(*client, {"POST", "/v1/layers/" + percent_encode(layer) + "/verify?progress=true"});
        if (!verified) {
            code = give_up(verified.error());
            continue;
        }
        const auto findings = verified->find("findings");
        const bool good = findings != verified->end() && findings->is_array() && findings->empty();
        if (!good)
            code = 1;
        if (json) {
            results.push_back(*verified);
            continue;
        }
        std::string out = printable(layer) + ": " + (good ? "ok" : "damaged") + "\n";
        if (!good)
            for (const auto& finding : *findings)
                out += "  " + printable(finding.is_string() ? finding.get<std::string>() : "") + "\n";
        if (!print(out))
            return 1;
    }
    if (json && !print(results.dump(2) + "\n"))
        return 1;
    return code;
}

int prune_layers(Words words) {
    Options options("layer prune [OPTIONS]", "Removes every layer that no container uses; prints their digests.");
    if (const auto code = options.parse(words))
        return *code;
    auto client = connect();
    if (!client)
        return give_up(client.error());
    const auto removed = client->call({"POST", "/v1/layers/prune"});
    if (!removed)
        return give_up(removed.error());
    std::string out;
    std::uint64_t bytes = 0;
    for (const auto& layer : *removed) {
        out += text_of(layer, "digest") + "\n";
        bytes += static_cast<std::uint64_t>(number_of(layer, "bytes"));
    }
    if (!print(out))
        return 1;
    warn(std::to_string(removed->size()) + (removed->size() == 1 ? " layer" : " layers") + " removed, " +
         size_text(bytes));
    return 0;
}

// By a program of its own: it reads and writes the user's files as the user, and needs no daemon.
int build_layer(Words words) {
    std::optional<std::string> name, version, arch, source, output, key;
    bool replace = false, json = false;
    std::string folder;
    Options options("layer build [OPTIONS] DIR",
                    "Makes a reproducible archive of the folder DIR, and enters it into a layer source.");
    options.text("--name", "NAME", name, "what squishfiles call it; else as its .squish/layer.toml says")
        .text("--version", "VERSION", version, "its version; likewise")
        .text("--arch", "ARCH", arch, "for this architecture, or 'any'; else this machine's")
        .text("--to", "SOURCE", source, "the folder of the layer source")
        .text("-o,--output", "FILE", output, "the archive, where there is no source")
        .text("--sign", "KEY", key, "sign the source's index with this minisign key")
        .flag("--replace", replace, "a version that the source has with other contents")
        .flag("--json", json, "as JSON")
        .positional("DIR", folder);
    options.note("A source is a folder that any web server can serve; see squishd(8).");
    if (const auto code = options.parse(words))
        return *code;
    const auto paths = find_paths();
    if (!paths)
        return give_up(paths.error());
    std::vector<std::string> order{"squish layer build"};
    const std::pair<const char*, const std::optional<std::string>*> given[] = {
        {"--name", &name}, {"--version", &version}, {"--arch", &arch},
        {"--to", &source}, {"--output", &output},   {"--sign", &key}};
    for (const auto& [option, value] : given)
        if (*value)
            order.push_back(std::string(option) + "=" + **value);
    if (replace)
        order.emplace_back("--replace");
    if (json)
        order.emplace_back("--json");
    order.insert(order.end(), {"--", folder});
    std::vector<char*> arguments;
    for (auto& word : order)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const auto program = paths->libexec + "/squish-build";
    ::execv(program.c_str(), arguments.data());
    const auto error = fail_errno("start '" + program + "'");
    return give_up(error.error());
}

int attach_layer(Words words) {
    std::string id, reference;
    Options options("layer attach [OPTIONS] ID NAME@VERSION",
                    "Mounts a layer, read-only, in a container that runs: at /sdk/NAME.");
    options.positional("ID", id).positional("NAME@VERSION", reference);
    if (const auto code = options.parse(words))
        return *code;
    const auto [name, version] = split_reference(reference);
    auto client = connect();
    if (!client)
        return give_up(client.error());
    const Json body{{"name", name}, {"version", version}};
    const auto attached = call_with_progress(
        *client, {"POST", "/v1/containers/" + percent_encode(id) + "/layers?progress=true", text(body)});
    if (!attached)
        return give_up(attached.error());
    return print(printable(text_of(*attached, "name")) + "@" + printable(text_of(*attached, "version")) + " " +
                 printable(text_of(*attached, "target")) + "\n")
               ? 0
               : 1;
}

int detach_layer(Words words) {
    std::string id, name;
    Options options("layer detach [OPTIONS] ID NAME", "Takes a layer away that was attached to a container.");
    options.positional("ID", id).positional("NAME", name);
    if (const auto code = options.parse(words))
        return *code;
    auto client = connect();
    if (!client)
        return give_up(client.error());
    const auto detached =
        client->call({"DELETE", "/v1/containers/" + percent_encode(id) + "/layers/" + percent_encode(name)});
    return detached ? 0 : give_up(detached.error());
}

struct Subcommand {
    std::string_view name;
    int (*run)(Words words);
};
constexpr std::array kSubcommands{
    Subcommand{"ls", list_layers},     Subcommand{"pull", pull_layers},    Subcommand{"import", import_layer},
    Subcommand{"build", build_layer},  Subcommand{"rm", remove_layers},    Subcommand{"verify", verify_layers},
    Subcommand{"prune", prune_layers}, Subcommand{"attach", attach_layer}, Subcommand{"detach", detach_layer},
};

} // namespace

int layer_command(Words words) {
    const std::string_view what = words.empty() ? std::string_view() : words[0];
    for (const auto& command : kSubcommands)
        if (command.name == what)
            return command.run(words.subspan(1));
    if (what == "--help" || what == "-h")
        return print(kHelp) ? 0 : 1;
    std::vector<std::string_view> names;
    for (const auto& command : kSubcommands)
        names.push_back(command.name);
    const auto guess = what.empty() ? std::nullopt : nearest(what, names);
    return give_up(
        Error{ErrorKind::invalid,
              what.empty() ? "layer: a command is needed" : "layer: unknown command '" + printable(what) + "'",
              guess ? "did you mean '" + std::string(*guess) + "'?" : "see 'squish layer --help'", 0});
}

} // namespace squish::cli
