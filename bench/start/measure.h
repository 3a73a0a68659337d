// Running whole processes and taking the time.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace squish::bench {

[[nodiscard]] std::uint64_t monotonic_ns();

// "NAME=VALUE"; in place of ours where it is not empty.
using Environment = std::vector<std::string>;
// Ours with these in place of what it had.
[[nodiscard]] Environment environment_with(const Environment& changes);

struct Outcome {
    std::uint64_t nanoseconds = 0; // from before posix_spawn(3) to after waitpid(2)
    int code = 0;                  // 128+N where a signal ended it
};

// `words[0]` is an absolute path. stdin is /dev/null; stdout and stderr go to `output`, a descriptor.
[[nodiscard]] Result<Outcome> run_process(const std::vector<std::string>& words, int output,
                                          const Environment& environment = {});

// The same for somebody who wants to know what it said: at most 64 KiB of it.
struct Told {
    int code = 0;
    std::string text;
};
[[nodiscard]] Result<Told> ask_process(const std::vector<std::string>& words, const Environment& environment = {});

void rest(unsigned milliseconds);

// The program of that name in $PATH or in the folders of the administrator; empty where there is none.
[[nodiscard]] std::string find_program(const std::string& name);

} // namespace squish::bench
