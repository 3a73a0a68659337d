// What run and create have in common: their options, and a squishfile with the options applied to it.
#pragma once

#include "cli/client.h"
#include "cli/command.h"
#include "cli/limit_options.h"
#include "cli/options.h"
#include "cli/squishfile_source.h"
#include "squishfile/squishfile.h"

#include <optional>
#include <string>
#include <vector>

namespace squish::cli {

struct StartOptions {
    bool remove = false, interactive = false, terminal = false;
    std::optional<std::string> name;
    std::vector<std::string> env, publish, with, networks, aliases;
    bool locked = false;
    LimitOptions limits;
    std::vector<std::string> args; // after --, in place of run.args
    bool has_args = false;

    void declare(Options& options);
};

// Splits the command line at the first "--": what is after it belongs to the payload.
struct SplitWords {
    Words ours, payload;
    bool split = false;
};
[[nodiscard]] SplitWords split_words(Words words);

// Reads the squishfile at `file` (or `file`/squishfile.toml), resolves its paths and applies the options. Errors are
// one per line, FILE:LINE:COLUMN: message.
struct Loaded {
    Squishfile file;
    std::string lock; // the text of the squishfile.lock beside it; empty where there is none
};
[[nodiscard]] Result<Loaded> load(const std::string& file, const StartOptions& options);
// The text of the lock file beside a squishfile, empty where there is none.
[[nodiscard]] Result<std::string> read_lock(const SquishfileSource& source);
[[nodiscard]] std::string lock_path(const SquishfileSource& source);

// Pure: the options applied to a squishfile. `environment` looks up the variables that --env NAME passes through.
using Environment = const char* (*) (const char* name);
[[nodiscard]] Result<void> apply(const StartOptions& options, Squishfile& file, Environment environment);

// The body of POST /v1/containers.
[[nodiscard]] Json create_body(const Loaded& loaded, const StartOptions& options);

} // namespace squish::cli
