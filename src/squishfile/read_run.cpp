// [run], [env], [restart] and [health]: the payload and how it is kept.
#include "base/text.h"
#include "squishfile/sections.h"

#include <limits>

namespace squish::reader {

namespace {

// "1000" or "1000:1000". The all-ones id means "unchanged" to chown(2) and setresuid(2), so it is no id.
std::optional<UserSpec> parse_user(std::string_view text) {
    const auto parts = split(text, ':');
    std::optional<std::uint64_t> uid, gid;
    if (parts.size() <= 2) {
        uid = parse_number(parts.front());
        gid = parse_number(parts.back());
    }
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max() - 1;
    if (!uid || !gid || *uid > kMost || *gid > kMost)
        return std::nullopt;
    return UserSpec{static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid)};
}

void check_command(const Node& node, const std::string& command) {
    if (command.empty())
        node.fail("must not be empty");
    else if (command.size() > kMaxPathBytes)
        node.fail("is too long: at most " + std::to_string(kMaxPathBytes) + " bytes");
    else if (command.contains('/') && !command.starts_with('/'))
        node.fail("must be an absolute path in the container (\"/app/server\") or a name that PATH leads to "
                  "(\"server\"), not " +
                  quoted(command));
}

} // namespace

RunSpec read_run(const Node& node) {
    RunSpec run;
    run.at = node.key_at();
    const auto table = node.table({"command", "args", "workdir", "user"});
    if (const auto command = table.need("command", "the program to start; without a [run] table squish finds it")) {
        if (auto text = command->string()) {
            check_command(*command, *text);
            run.command = *std::move(text);
        }
    }
    if (const auto args = table.get("args"))
        run.args = args->strings(kMaxArgs);
    if (const auto workdir = table.get("workdir")) {
        run.workdir = workdir->string();
        if (run.workdir && !run.workdir->starts_with('/'))
            workdir->fail("must be an absolute path in the container, not " + quoted(*run.workdir));
        else if (run.workdir && run.workdir->size() > kMaxPathBytes)
            workdir->fail("is too long: at most " + std::to_string(kMaxPathBytes) + " bytes");
    }
    if (const auto user = table.get("user")) {
        if (const auto text = user->string("a string such as \"1000:1000\"")) {
            run.user = parse_user(*text);
            if (!run.user)
                user->fail("must be numeric, \"UID\" or \"UID:GID\", each at most 4294967294, not " + quoted(*text));
        }
    }
    return run;
}

std::vector<std::pair<std::string, std::string>> read_env(const Node& node) {
    std::vector<std::pair<std::string, std::string>> env;
    for (const auto& entry : node.members(kMaxEnv)) {
        if (!is_valid_env_name(entry.key()))
            node.report().add(entry.key_at(), quoted(entry.key()) + " is not the name of an environment variable: it "
                                                                    "must not be empty nor contain '=' or NUL");
        auto value = entry.string("a string (in quotes)");
        if (!value)
            continue;
        if (entry.key().size() + 1 + value->size() >= kMaxStringBytes) // "KEY=value" and its NUL
            entry.fail("is too long: name and value together at most " + std::to_string(kMaxStringBytes - 2) +
                       " bytes");
        env.emplace_back(entry.key(), *std::move(value));
    }
    return env;
}

RestartPolicy read_restart(const Node& node) {
    const auto policy = node.table({"policy"}).get("policy");
    const auto text = policy ? policy->string() : std::nullopt;
    if (!text || *text == "no")
        return RestartPolicy::no;
    if (*text == "on-failure")
        return RestartPolicy::on_failure;
    if (*text == "always")
        return RestartPolicy::always;
    fail_choice(*policy, *text, {"no", "on-failure", "always"});
    return RestartPolicy::no;
}

HealthSpec read_health(const Node& node) {
    HealthSpec health;
    health.at = node.key_at();
    const auto table = node.table({"command", "interval"});
    if (const auto command = table.need("command", "the program that finds out, with its arguments")) {
        if (command->kind() == Value::Kind::array && command->size() == 0)
            command->fail("must name a program");
        for (const auto& item : command->items("an array of strings", kMaxArgs)) {
            auto text = item.string();
            if (!text)
                continue;
            if (health.command.empty())
                check_command(item, *text);
            health.command.push_back(*std::move(text));
        }
    }
    if (const auto interval = table.get("interval")) {
        if (const auto text = interval->string("a string such as \"5s\"")) {
            const auto parsed = parse_duration(*text);
            if (parsed)
                health.interval = *parsed;
            else
                interval->fail(parsed.error().text());
        }
    }
    return health;
}

} // namespace squish::reader
