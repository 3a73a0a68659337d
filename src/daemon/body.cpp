#include "daemon/body.h"

#include "base/text.h"
#include "daemon/signals.h"
#include "wire/json_channel.h"

#include <algorithm>
#include <csignal>
#include <sys/stat.h>

namespace squish::daemon {

namespace {

constexpr int kMaxBodyDepth = 64; // a squishfile's own limit is lower, and tells the place

std::unexpected<Error> bad(std::string message, std::string remedy = {}) {
    return fail(ErrorKind::invalid, std::move(message), std::move(remedy));
}

Result<Json> read_object(std::string_view text, std::initializer_list<std::string_view> known) {
    if (!wire::is_shallow(text, kMaxBodyDepth))
        return bad("the request's body is nested too deeply: at most " + std::to_string(kMaxBodyDepth) +
                   " levels are read");
    auto body = Json::parse(text, nullptr, false);
    if (!body.is_object())
        return bad("the request's body is no JSON object");
    for (const auto& [key, value] : body.items()) {
        if (std::ranges::find(known, key) != known.end())
            continue;
        const auto guess = nearest(key, std::span(known.begin(), known.size()));
        return bad("unknown key '" + printable(key.substr(0, 64)) + "' in the request",
                   guess ? "did you mean '" + std::string(*guess) + "'?" : "");
    }
    return body;
}

Result<std::uint16_t> read_size(const Json& terminal, const char* key, std::uint16_t standard) {
    const auto found = terminal.find(key);
    if (found == terminal.end())
        return standard;
    if (!found->is_number_unsigned() || found->get<std::uint64_t>() > 65535)
        return bad(std::string("'terminal.") + key + "' must be a whole number up to 65535");
    return static_cast<std::uint16_t>(found->get<std::uint64_t>());
}

Result<AttachedIo> read_io(const Json& body, RequestFds fds) {
    AttachedIo io;
    io.in = std::move(fds.in);
    io.out = std::move(fds.out);
    io.err = std::move(fds.err);
    io.console = std::move(fds.console);
    struct stat info{};
    if (io.console && (::fstat(io.console.get(), &info) < 0 || !S_ISSOCK(info.st_mode)))
        return bad("the descriptor 'console' is no socket");
    const auto terminal = body.find("terminal");
    if (terminal == body.end() || terminal->is_null())
        return io;
    if (!terminal->is_object())
        return bad("'terminal' must be an object with 'rows' and 'columns'");
    if (!io.console)
        return bad("'terminal' needs the descriptor 'console'",
                   "send a unix socket and name it in the header Squish-Fds");
    io.rows = TRY(read_size(*terminal, "rows", io.rows));
    io.columns = TRY(read_size(*terminal, "columns", io.columns));
    return io;
}

Result<std::vector<std::string>> read_command(const Json& body) {
    const auto found = body.find("command");
    std::vector<std::string> command;
    if (found == body.end() || !found->is_array() || found->empty() || found->size() > kMaxArgs)
        return bad("'command' must be an array of 1 to " + std::to_string(kMaxArgs) + " strings");
    for (const auto& part : *found) {
        if (!part.is_string() || part.get_ref<const std::string&>().contains('\0') ||
            part.get_ref<const std::string&>().size() >= kMaxStringBytes)
            return bad("'command' must be an array of strings without NUL, each shorter than 128 KiB");
        command.push_back(part.get<std::string>());
    }
    if (command[0].empty())
        return bad("'command' begins with an empty string");
    return command;
}

Result<std::vector<std::pair<std::string, std::string>>> read_env(const Json& body) {
    std::vector<std::pair<std::string, std::string>> env;
    const auto found = body.find("env");
    if (found == body.end())
        return env;
    if (!found->is_object() || found->size() > kMaxEnv)
        return bad("'env' must be an object of at most " + std::to_string(kMaxEnv) + " strings");
    for (const auto& [key, value] : found->items()) {
        if (!is_valid_env_name(key) || !value.is_string() || value.get_ref<const std::string&>().contains('\0') ||
            key.size() + value.get_ref<const std::string&>().size() + 2 > kMaxStringBytes)
            return bad("'env' has a variable '" + printable(key.substr(0, 64)) + "' that no program could be given");
        env.emplace_back(key, value.get<std::string>());
    }
    return env;
}

Result<UserSpec> read_user(std::string_view text) {
    const auto parts = split(text, ':');
    const auto uid = parse_number(parts[0]);
    const auto gid = parts.size() > 1 ? parse_number(parts[1]) : uid;
    constexpr std::uint64_t kMost = 0xFFFF'FFFE;
    if (parts.size() > 2 || !uid || !gid || *uid > kMost || *gid > kMost)
        return bad("'user' must be UID or UID:GID, in numbers");
    return UserSpec{static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid)};
}

bool is_relative(std::string_view path) {
    return !path.starts_with('/');
}

} // namespace

Result<Squishfile> read_squishfile(std::string_view json) {
    auto parsed = parse_json(json);
    if (!parsed) {
        std::string message = "the squishfile is not valid";
        for (const auto& diagnostic : parsed.error())
            message.append(message.ends_with("valid") ? ": " : "; ").append(diagnostic.message);
        return bad(std::move(message));
    }
    const std::string remedy = "send absolute paths; only the command line knows the folder they are relative to";
    for (const auto& layer : parsed->layers)
        if (layer.source == LayerSpec::Source::path && is_relative(layer.path))
            return bad("layer '" + printable(layer.name) + "' has the relative path '" + printable(layer.path) + "'",
                       remedy);
    const auto& seccomp = parsed->security.seccomp;
    if (seccomp != "default" && seccomp != "unconfined" && is_relative(seccomp))
        return bad("'security.seccomp' is the relative path '" + printable(seccomp) + "'", remedy);
    resolve_paths(*parsed, "/", "/"); // what is left to it: the targets that were not given
    return std::move(*parsed);
}

namespace {

Result<bool> read_flag(const Json& body, const char* key, bool standard) {
    const auto found = body.find(key);
    if (found == body.end())
        return standard;
    if (!found->is_boolean())
        return bad(std::string("'") + key + "' must be true or false");
    return found->get<bool>();
}

Result<std::string> optional_text(const Json& body, const char* key) {
    const auto found = body.find(key);
    if (found == body.end() || found->is_null())
        return std::string();
    if (!found->is_string() || found->get_ref<const std::string&>().contains('\0'))
        return bad(std::string("'") + key + "' must be a string");
    return found->get<std::string>();
}

// "lock" is the text of a squishfile.lock; with "locked" nothing else will do.
Result<void> read_lock(const Json& body, catalog::Lock& lock, catalog::LockMode& mode) {
    const auto text = TRY(optional_text(body, "lock"));
    const bool required = TRY(read_flag(body, "locked", false));
    if (text.empty() && required)
        return bad("'locked' needs a 'lock'", "write one: squish lock FILE");
    if (text.empty())
        return {};
    auto parsed = catalog::parse_lock(text);
    if (!parsed) {
        auto lines = render("squishfile.lock", parsed.error());
        while (lines.ends_with('\n'))
            lines.pop_back();
        return bad(std::move(lines), "write it anew: squish lock FILE");
    }
    lock = *std::move(parsed);
    mode = required ? catalog::LockMode::required : catalog::LockMode::prefer;
    return {};
}

Result<Squishfile> read_file(const Json& body) {
    const auto file = body.find("squishfile");
    if (file == body.end() || !file->is_object())
        return bad("the request has no object 'squishfile'");
    return read_squishfile(dump(*file));
}

} // namespace

Result<ResolveRequest> read_resolve(const Request& request) {
    const auto body = TRY(read_object(request.body, {"squishfile", "lock", "locked", "download", "refresh"}));
    ResolveRequest out;
    out.file = TRY(read_file(body));
    TRY(read_lock(body, out.options.lock, out.options.lock_mode));
    out.options.download = TRY(read_flag(body, "download", true));
    out.options.refresh = TRY(read_flag(body, "refresh", false));
    return out;
}

Result<PullRequest> read_pull(const Request& request) {
    const auto body = TRY(read_object(request.body, {"name", "version"}));
    PullRequest out;
    out.name = TRY(optional_text(body, "name"));
    out.requirement = TRY(optional_text(body, "version"));
    if (!catalog::is_layer_name(out.name))
        return bad("'name' must be the name of a layer");
    TRY(catalog::Requirement::parse(out.requirement));
    return out;
}

Result<Provider::ImportRequest> read_import(const Request& request) {
    const auto body = TRY(read_object(request.body, {"path", "url", "sha256", "name", "version", "bundle"}));
    Provider::ImportRequest out;
    out.path = TRY(optional_text(body, "path"));
    out.url = TRY(optional_text(body, "url"));
    out.sha256 = TRY(optional_text(body, "sha256"));
    out.name = TRY(optional_text(body, "name"));
    out.version = TRY(optional_text(body, "version"));
    out.bundle = TRY(read_flag(body, "bundle", false));
    if (out.path.empty() == out.url.empty())
        return bad("either 'path' or 'url' is needed");
    if (!out.path.empty() && is_relative(out.path))
        return bad("'path' must be absolute");
    if (!out.sha256.empty() && !is_digest(out.sha256))
        return bad("'sha256' must be 64 hexadecimal digits in lower case");
    return out;
}

Result<CreateRequest> read_create(Request& request) {
    auto body = TRY(read_object(request.body, {"squishfile", "remove", "args", "lock", "locked", "terminal"}));
    CreateRequest create;
    create.file = TRY(read_file(body));
    create.remove_on_exit = TRY(read_flag(body, "remove", false));
    TRY(read_lock(body, create.lock, create.lock_mode));
    if (const auto args = body.find("args"); args != body.end()) {
        if (!args->is_array() || args->size() > kMaxArgs)
            return bad("'args' must be an array of at most " + std::to_string(kMaxArgs) + " strings");
        create.args.emplace();
        for (const auto& one : *args) {
            if (!one.is_string() || one.get_ref<const std::string&>().contains('\0') ||
                one.get_ref<const std::string&>().size() >= kMaxStringBytes)
                return bad("'args' must be an array of strings without NUL, each shorter than 128 KiB");
            create.args->push_back(one.get<std::string>());
        }
    }
    create.io = TRY(read_io(body, std::move(request.fds)));
    return create;
}

Result<ExecRequest> read_exec(Request& request) {
    auto body = TRY(read_object(request.body, {"command", "env", "workdir", "user", "terminal"}));
    ExecRequest exec;
    exec.command = TRY(read_command(body));
    exec.env = TRY(read_env(body));
    if (const auto workdir = body.find("workdir"); workdir != body.end()) {
        if (!workdir->is_string() || is_relative(workdir->get_ref<const std::string&>()) ||
            workdir->get_ref<const std::string&>().contains('\0'))
            return bad("'workdir' must be an absolute path");
        exec.workdir = workdir->get<std::string>();
    }
    if (const auto user = body.find("user"); user != body.end()) {
        if (!user->is_string())
            return bad("'user' must be UID or UID:GID, in numbers");
        exec.user = TRY(read_user(user->get_ref<const std::string&>()));
    }
    exec.io = TRY(read_io(body, std::move(request.fds)));
    return exec;
}

namespace {
Result<std::string> read_text(const Json& body, const char* key) {
    const auto found = body.find(key);
    if (found == body.end() || !found->is_string())
        return bad(std::string("'") + key + "' must be a port such as \"8080:80\"");
    return found->get<std::string>();
}
} // namespace

Result<std::string> read_port_spec(std::string_view body) {
    const auto object = TRY(read_object(body, {"spec"}));
    return read_text(object, "spec");
}

Result<Rebind> read_rebind(std::string_view body) {
    const auto object = TRY(read_object(body, {"old", "new"}));
    Rebind rebind;
    rebind.old_spec = TRY(read_text(object, "old"));
    rebind.new_spec = TRY(read_text(object, "new"));
    return rebind;
}

Result<std::string> read_network_name(std::string_view body) {
    const auto object = TRY(read_object(body, {"name"}));
    return read_text(object, "name");
}

Result<ResourceChange> read_resource_change(std::string_view body) {
    auto change = TRY(parse_resources_json(body));
    if (change == ResourceChange{})
        return bad("the request changes nothing", "name a limit: {\"memory\": \"512M\"}");
    return change;
}

Result<int> read_signal(const Query& query) {
    const auto given = query.get("signal");
    if (!given)
        return SIGKILL;
    const auto number = signal_number(*given);
    if (!number)
        return bad("'" + printable(given->substr(0, 32)) + "' is no signal",
                   "a name such as TERM or SIGTERM, or a number from 1 to 64");
    return *number;
}

Result<bool> read_wait(const Query& query) {
    const auto given = query.get("wait");
    if (!given)
        return false;
    if (*given != "exit")
        return bad("query parameter 'wait' must be 'exit'");
    return true;
}

} // namespace squish::daemon
