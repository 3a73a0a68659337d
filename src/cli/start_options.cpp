#include "cli/start_options.h"

#include "base/text.h"
#include "cli/squishfile_source.h"
#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace squish::cli {

namespace {

Result<void> apply_env(const std::string& given, Squishfile& file, Environment environment) {
    const auto equals = given.find('=');
    const auto name = given.substr(0, equals);
    if (!is_valid_env_name(name))
        return fail(ErrorKind::invalid, "--env '" + printable(given) + "' names no variable",
                    "--env NAME=VALUE, or NAME to pass ours on");
    std::string value;
    if (equals != std::string::npos) {
        value = given.substr(equals + 1);
    } else {
        const char* ours = environment(name.c_str());
        if (!ours)
            return {}; // as the field does it: what we do not have is not passed on
        value = ours;
    }
    const auto same = std::ranges::find(file.env, name, &std::pair<std::string, std::string>::first);
    if (same != file.env.end())
        same->second = std::move(value);
    else
        file.env.emplace_back(name, std::move(value));
    return {};
}

// NAME=VERSION: one more layer, or another version of one that is there.
Result<void> apply_with(const std::string& given, Squishfile& file) {
    const auto equals = given.find('=');
    const auto name = given.substr(0, equals);
    const auto version = equals == std::string::npos ? std::string("*") : given.substr(equals + 1);
    if (!is_valid_name(name) || !is_version_requirement(version))
        return fail(ErrorKind::invalid, "--with '" + printable(given) + "' is no layer and version",
                    "for example --with debug=latest or --with 'python=~3.11'");
    auto known = std::ranges::find(file.layers, name, &LayerSpec::name);
    if (known == file.layers.end()) {
        file.layers.emplace_back();
        known = file.layers.end() - 1;
        known->name = name;
        known->rootfs = name == "alpine" && std::ranges::none_of(file.layers, &LayerSpec::rootfs);
    } else if (known->source != LayerSpec::Source::version) {
        return fail(ErrorKind::conflict, "--with '" + printable(given) + "': the squishfile gives that layer by " +
                                             (known->source == LayerSpec::Source::url ? "url" : "path"));
    }
    known->source = LayerSpec::Source::version;
    known->version = version;
    if (const auto clashes = check_targets(file); !clashes.empty())
        return fail(ErrorKind::invalid, "--with '" + printable(given) + "': " + clashes.front().message);
    return {};
}

Result<void> check_name(const char* option, const std::string& name) {
    if (is_valid_name(name))
        return {};
    return fail(ErrorKind::invalid, std::string(option) + " '" + printable(name) + "' is no name",
                "letters, digits, '_', '.' and '-', 63 at most, the first a letter or digit");
}

Result<void> apply_networks(const StartOptions& options, Squishfile& file) {
    if (options.networks.empty() && options.aliases.empty())
        return {};
    if (file.network.mode != NetworkMode::bridge)
        return fail(ErrorKind::conflict, "--network and --network-alias need [network] mode = \"bridge\"");
    std::vector<std::string> networks;
    for (const auto& name : options.networks) {
        TRY(check_name("--network", name));
        if (std::ranges::find(networks, name) == networks.end())
            networks.push_back(name);
    }
    if (!networks.empty())
        file.network.networks = std::move(networks);
    auto& aliases = file.network.aliases;
    for (const auto& name : options.aliases) {
        TRY(check_name("--network-alias", name));
        if (std::ranges::find(aliases, name) == aliases.end())
            aliases.push_back(name);
    }
    if (file.network.networks.size() > kMaxNames || aliases.size() > kMaxNames)
        return fail(ErrorKind::invalid,
                    "a container has at most " + std::to_string(kMaxNames) + " networks and aliases");
    return {};
}

} // namespace

void StartOptions::declare(Options& options) {
    options.flag("--rm", remove, "remove the container when it has ended")
        .flag("-i,--interactive", interactive, "give it our standard input")
        .flag("-t,--tty", terminal, "give it a terminal of its own")
        .text("--name", "NAME", name, "name it; in place of the squishfile's name")
        .list("-e,--env", "NAME=VALUE", env, "set a variable; NAME alone passes ours on")
        .list("-p,--publish", "[ADDR:]HOST:CONTAINER[/udp]", publish, "publish one more port, or a range of them")
        .list("--network", "NAME", networks,
              "join this network, in place of those of the squishfile; more than once for several")
        .list("--network-alias", "NAME", aliases, "one more name on its networks")
        .list("--with", "LAYER=VERSION", with, "add a layer to those of the squishfile, or replace its version")
        .flag("--locked", locked, "only the layers that squishfile.lock names, by digest");
    limits.declare_common(options);
}

SplitWords split_words(Words words) {
    for (std::size_t i = 0; i < words.size(); ++i)
        if (std::string_view(words[i]) == "--")
            return {words.first(i), words.subspan(i + 1), true};
    return {words, {}, false};
}

Result<void> apply(const StartOptions& options, Squishfile& file, Environment environment) {
    if (options.name) {
        TRY(check_name("--name", *options.name));
        file.name = options.name;
    }
    for (const auto& given : options.with)
        TRY(apply_with(given, file));
    for (const auto& given : options.env)
        TRY(apply_env(given, file, environment));
    for (const auto& given : options.publish) {
        auto ports = parse_ports(given);
        if (!ports)
            return std::unexpected(std::move(ports).error().within("--publish '" + printable(given) + "'"));
        file.ports.insert(file.ports.end(), ports->begin(), ports->end());
    }
    TRY(apply_networks(options, file));
    if (options.limits.given()) {
        const auto edit = TRY(options.limits.edit());
        file.resources = TRY(merge(file.resources, edit));
    }
    if (options.has_args && file.run) // else they are for the command that squish puts together
        file.run->args = options.args;
    return {};
}

std::string lock_path(const SquishfileSource& source) {
    return source.folder + "/squishfile.lock";
}

Result<std::string> read_lock(const SquishfileSource& source) {
    constexpr std::size_t kMaxLock = 256 * 1024;
    auto text = os::read_file(lock_path(source), kMaxLock);
    if (!text && text.error().sys_errno == ENOENT)
        return std::string();
    return text;
}

Result<Loaded> load(const std::string& file, const StartOptions& options) {
    const auto source = TRY(read_source(file));
    Loaded loaded;
    loaded.file = TRY(parse_source(source));
    TRY(check_paths(source, loaded.file));
    TRY(apply(options, loaded.file, [](const char* name) -> const char* { return std::getenv(name); }));
    loaded.lock = TRY(read_lock(source));
    if (options.locked && loaded.lock.empty())
        return fail(ErrorKind::invalid, "--locked: there is no '" + printable(lock_path(source)) + "'",
                    "write it: squish lock " + file);
    return loaded;
}

Json create_body(const Loaded& loaded, const StartOptions& options) {
    Json body{{"squishfile", Json::parse(to_json(loaded.file), nullptr, false)}, {"remove", options.remove}};
    if (!loaded.lock.empty())
        body["lock"] = loaded.lock;
    if (options.locked)
        body["locked"] = true;
    if (options.has_args && !loaded.file.run)
        body["args"] = options.args;
    return body;
}

} // namespace squish::cli
