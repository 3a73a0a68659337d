// squish(1).
#include "account/account.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "version.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace squish::cli {

namespace {

std::string help() {
    std::string out =
        "Usage: squish COMMAND [OPTIONS] …\n\nRuns containers without root and without images.\n\nCommands:\n";
    for (const auto& command : commands()) {
        std::string name(command.name);
        name.resize(12, ' ');
        out.append("  ").append(name).append(command.summary).append("\n");
    }
    return out + "\nOptions:\n  -h, --help  print this help\n  --version   print the version\n\n"
                 "'squish COMMAND --help' says more about a command, the manual page squish(1) everything.\n";
}

int unknown(std::string_view word) {
    std::vector<std::string_view> names;
    for (const auto& command : commands())
        names.push_back(command.name);
    const auto guess = nearest(word, names);
    const auto what = word.starts_with('-') ? "unknown option '" : "unknown command '";
    return give_up(Error{ErrorKind::invalid, what + printable(word) + "'",
                         guess ? "did you mean '" + std::string(*guess) + "'?" : "see 'squish --help'", 0});
}

// Only for help that will certainly be printed and nothing else be done: `squish run --help`, `squish port ls --help`.
bool asks_for_help(Words words) {
    constexpr std::array<std::string_view, 4> kHaveCommands{"port", "network", "layer", "daemon"};
    const bool has_commands = std::ranges::find(kHaveCommands, words[0]) != kHaveCommands.end();
    for (std::size_t i = 1; i < words.size() && i <= (has_commands ? 2 : 1); ++i)
        if (words[i] == std::string_view("--help") || words[i] == std::string_view("-h"))
            return true;
    return false;
}

int main(Words words) {
    keep_standard_fds();
    if (words.empty()) {
        complain(Error{ErrorKind::invalid, "a command is needed", "see 'squish --help'", 0});
        return 2;
    }
    const std::string_view name = words[0];
    if (name == "--help" || name == "-h" || name == "help")
        return print(help()) ? 0 : 1;
    if (name == "--version")
        return print("squish " SQUISH_VERSION "\n") ? 0 : 1;
    for (const auto& command : commands()) {
        if (command.name != name)
            continue;
        if (!asks_for_help(words))
            if (const auto left = account::leave_root("squish"); !left)
                return give_up(left.error());
        return command.run(words.subspan(1));
    }
    return unknown(name);
}

} // namespace

std::span<const Command> commands() {
    static constexpr std::array table{
        Command{"run", "start a container and stay attached to it", run_command},
        Command{"create", "start containers in the background", create_command},
        Command{"ps", "list containers", ps_command},
        Command{"stop", "end containers: SIGTERM, then SIGKILL", stop_command},
        Command{"kill", "send a signal to containers", kill_command},
        Command{"pause", "stop the processes of containers where they are", pause_command},
        Command{"unpause", "let them go on", unpause_command},
        Command{"wait", "wait until containers have ended", wait_command},
        Command{"rm", "remove containers that have ended", rm_command},
        Command{"inspect", "show everything about containers, as JSON", inspect_command},
        Command{"logs", "show what a container has written", logs_command},
        Command{"stats", "show what containers use", stats_command},
        Command{"top", "watch what containers use, full screen", top_command},
        Command{"events", "follow what happens to containers", events_command},
        Command{"update", "change the limits of containers that run", update_command},
        Command{"exec", "run a further program in a container", exec_command},
        Command{"port", "list and change published ports", port_command},
        Command{"network", "list, create, remove and inspect networks", network_command},
        Command{"layer", "list, pull, import, build, verify and remove layers", layer_command},
        Command{"lock", "write down which layers a squishfile gets", lock_command},
        Command{"validate", "check squishfiles", validate_command},
        Command{"doctor", "check what squish needs of this machine", doctor_command},
        Command{"version", "show the versions of squish and of the daemon", version_command},
        Command{"daemon", "start, stop or show the daemon", daemon_command},
    };
    return table;
}

} // namespace squish::cli

int main(int argc, char** argv) {
    const squish::cli::Words words(argv, static_cast<std::size_t>(argc));
    return squish::cli::main(words.empty() ? words : words.subspan(1));
}
