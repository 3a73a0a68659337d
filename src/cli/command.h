// The commands of squish: one function each, found by name; nothing of the others is touched.
#pragma once

#include <span>
#include <string_view>

namespace squish::cli {

using Words = std::span<char* const>; // the command line after the command's name

struct Command {
    std::string_view name;
    std::string_view summary; // for `squish --help`
    int (*run)(Words words);  // returns the exit code
};

[[nodiscard]] std::span<const Command> commands();

int run_command(Words words);
int create_command(Words words);
int ps_command(Words words);
int stop_command(Words words);
int kill_command(Words words);
int wait_command(Words words);
int rm_command(Words words);
int inspect_command(Words words);
int logs_command(Words words);
int exec_command(Words words);
int port_command(Words words);
int validate_command(Words words);
int doctor_command(Words words);
int version_command(Words words);
int daemon_command(Words words);
int layer_command(Words words);
int network_command(Words words);
int lock_command(Words words);
int update_command(Words words);
int stats_command(Words words);
int top_command(Words words);
int events_command(Words words);
int pause_command(Words words);
int unpause_command(Words words);

} // namespace squish::cli
