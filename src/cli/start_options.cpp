#include "cli/start_options.h"

#include "base/text.h"
#include "cli/squishfile_source.h"
#include "plan/container_plan.h"

#include <algorithm>
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

} // namespace

void StartOptions::declare(Options& options) {
    options.flag("--rm", remove, "remove the container when it has ended")
        .flag("-i,--interactive", interactive, "give it our standard input")
        .flag("-t,--tty", terminal, "give it a terminal of its own")
        .text("--name", "NAME", name, "name it; in place of the squishfile's name")
        .list("-e,--env", "NAME=VALUE", env, "set a variable; NAME alone passes ours on")
        .list("-p,--publish", "[ADDR:]HOST:CONTAINER[/udp]", publish, "publish one more port, or a range of them")
        .list("--with", "LAYER=VERSION", with, "add a layer (not supported yet)");
}

SplitWords split_words(Words words) {
    for (std::size_t i = 0; i < words.size(); ++i)
        if (std::string_view(words[i]) == "--")
            return {words.first(i), words.subspan(i + 1), true};
    return {words, {}, false};
}

Result<void> apply(const StartOptions& options, Squishfile& file, Environment environment) {
    if (!options.with.empty())
        return fail(ErrorKind::unsupported, "--with is not supported yet");
    if (options.name) {
        if (!is_valid_name(*options.name))
            return fail(ErrorKind::invalid, "--name '" + printable(*options.name) + "' is no name",
                        "letters, digits, '_', '.' and '-', 63 at most, the first a letter or digit");
        file.name = options.name;
    }
    for (const auto& given : options.env)
        TRY(apply_env(given, file, environment));
    for (const auto& given : options.publish) {
        auto ports = parse_ports(given);
        if (!ports)
            return std::unexpected(std::move(ports).error().within("--publish '" + printable(given) + "'"));
        file.ports.insert(file.ports.end(), ports->begin(), ports->end());
    }
    if (options.has_args) {
        if (!file.run) // squish puts the command together; the arguments are for that
            file.run = TRY(plan::default_command(file));
        file.run->args = options.args;
    }
    return {};
}

Result<Squishfile> load(const std::string& file, const StartOptions& options) {
    const auto source = TRY(read_source(file));
    auto squishfile = TRY(parse_source(source));
    TRY(check_layers(source, squishfile));
    TRY(apply(options, squishfile, [](const char* name) -> const char* { return std::getenv(name); }));
    return squishfile;
}

Json create_body(const Squishfile& file, bool remove) {
    return {{"squishfile", Json::parse(to_json(file), nullptr, false)}, {"remove", remove}};
}

} // namespace squish::cli
