// [run], [env], [restart] and [health]: the payload and how it is kept.
#include "base/text.h"
#include "squishfile/sections.h"

#include <limits>

namespace squish::reader {

namespace {

constexpr std::uint64_t kMaxRetries = 1'000'000; // of a restart
constexpr std::uint64_t kMaxFailures = 1000;     // of health checks in a row

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

RestartPolicy read_policy(const Node& node) {
    const auto text = node.string();
    if (text && *text == "on-failure")
        return RestartPolicy::on_failure;
    if (text && *text == "always")
        return RestartPolicy::always;
    if (text && *text != "no")
        fail_choice(node, *text, {"no", "on-failure", "always"});
    return RestartPolicy::no;
}

// A duration, or none at all: "0s".
std::optional<std::chrono::milliseconds> read_start_period(const Node& node) {
    if (node.kind() == Value::Kind::string && node.string() == "0s")
        return std::chrono::milliseconds(0);
    return read_duration(node);
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

RestartSpec read_restart(const Node& node) {
    RestartSpec restart;
    restart.at = node.key_at();
    const auto table = node.table({"policy", "max_retries", "delay", "max_delay"});
    const auto policy = table.get("policy"), delay = table.get("delay"), max_delay = table.get("max_delay");
    if (policy)
        restart.policy = read_policy(*policy);
    const auto max_retries = table.get("max_retries");
    if (max_retries)
        if (const auto count = max_retries->integer(1, kMaxRetries))
            restart.max_retries = static_cast<std::uint32_t>(*count);
    if (delay)
        restart.delay = read_duration(*delay).value_or(restart.delay);
    if (max_delay)
        restart.max_delay = read_duration(*max_delay).value_or(restart.max_delay);
    if (restart.delay > restart.max_delay && max_delay)
        max_delay->fail("must not be shorter than delay");
    else if (restart.delay > restart.max_delay)
        delay->fail("must not be longer than max_delay, which is 1m where it is not given");
    if (!policy)
        for (const auto* const key : {&max_retries, &delay, &max_delay})
            if (*key)
                (*key)->fail("has no effect without restart.policy");
    return restart;
}

HealthSpec read_health(const Node& node) {
    HealthSpec health;
    health.at = node.key_at();
    const auto table = node.table({"command", "interval", "timeout", "retries", "start_period"});
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
    if (const auto interval = table.get("interval"))
        health.interval = read_duration(*interval).value_or(health.interval);
    if (const auto timeout = table.get("timeout"))
        health.timeout = read_duration(*timeout).value_or(health.timeout);
    if (const auto retries = table.get("retries"))
        if (const auto count = retries->integer(1, kMaxFailures))
            health.retries = static_cast<std::uint32_t>(*count);
    if (const auto start_period = table.get("start_period"))
        health.start_period = read_start_period(*start_period).value_or(health.start_period);
    return health;
}

} // namespace squish::reader
